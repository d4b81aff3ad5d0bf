"""What a `classifier` job may ask for."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ganmodels.specs import limits
from ganmodels.specs.datasets import DatasetFacts
from ganmodels.specs.knobs import DisturbedKnobs, FamilyFacts, GrantedLabels, LabeledKnobs


class ClassifierSpec(DisturbedKnobs, LabeledKnobs):
    """The supervised baseline: a classifier alone, on the very labels that a semi-supervised GAN is granted.

    `dropout` is that of the convolutional networks; `mlp` has Gaussian noise between its layers instead.
    """

    SERVES: ClassVar[tuple[str, ...]] = ("classes",)
    JUDGED_BY: ClassVar[tuple[str, ...]] = ("error_rate",)

    family: Literal["classifier"]
    total_steps: limits.TotalSteps = 3_000
    batch_size: limits.BatchSize = 100
    precision: limits.Precision = "fp32"
    network: Annotated[
        Literal["same_as_sgan", "mlp", "googlenet"],
        Field(description="sgan's discriminator, for 28 pixels; its fully connected one; or inception blocks."),
    ] = "same_as_sgan"
    dropout: limits.Dropout = 0.5
    labeled: GrantedLabels = "all"
    learning_rate: limits.LearningRate = 1e-3
    cooldown: limits.Cooldown = 0.5
    beta1: limits.Beta1 = 0.9
    beta2: limits.Beta2 = 0.999
    ema_decay: limits.EmaDecay = 0.99

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Say why the network cannot take such images; the fully connected one takes any, and points too."""
        if self.network == "same_as_sgan" and facts.size != 28:
            return "sgan's convolutional networks see images of 28 pixels: ask for network mlp or googlenet"
        if self.network == "googlenet" and facts.size < 8:
            return "inception blocks see images of 8 pixels or more: ask for network mlp"
        return None


FACTS = FamilyFacts(
    ClassifierSpec,
    "Supervised classifier",
    "Szegedy et al.: Going Deeper with Convolutions, 2014",
    "https://arxiv.org/abs/1409.4842",
    ("classes",),
)
