"""What an `sgan` job may ask for."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ganmodels.specs import limits
from ganmodels.specs.datasets import DatasetFacts
from ganmodels.specs.knobs import AdamKnobs, FamilyFacts, Labeled, LabeledKnobs, PenaltyKnobs, PerClass


class SganSpec(AdamKnobs, PenaltyKnobs, LabeledKnobs):
    """Semi-supervised GAN: a discriminator that names the class of what is real, learned from a few labels.

    `dropout` is that of `network: conv`; `mlp` has Gaussian noise between its layers instead. Without any labels it is
    a GAN of the same networks, to compare with, and classifies nothing.
    """

    SERVES: ClassVar[tuple[str, ...]] = ("images", "scores", "classes")
    JUDGED_BY: ClassVar[tuple[str, ...]] = ("error_rate", "fd_classifier")
    PAPER: ClassVar[Mapping[str, Any]] = {
        "generator_loss": "both",
        "batch_size": 512,
        "augment": [],
        "cooldown": 0.0,
        "ema_decay": 0.999,
        "generator_learning_rate": 1e-5,
        "discriminator_learning_rate": 1e-5,
        "total_steps": 16_000,
    }
    # Salimans et al. 2016 and their code for MNIST, whose 300 epochs `preset: paper` runs.
    PERCEPTRON: ClassVar[Mapping[str, Any]] = {
        "generator_loss": "feature_matching",
        "unlabeled_weight": 0.5,
        "augment": [],
        "cooldown": 1 / 3,
        "ema_decay": 0.9999,
        "generator_learning_rate": 3e-3,
        "discriminator_learning_rate": 3e-3,
        "total_steps": 40_000,
        "precision": "auto",
    }

    family: Literal["sgan"]
    total_steps: limits.TotalSteps = 7_500
    batch_size: limits.BatchSize = 100
    precision: limits.Precision = "fp32"
    network: Annotated[
        Literal["conv", "mlp"],
        Field(description="Convolutional, for 28 pixels; or fully connected (Salimans 2016), for any image."),
    ] = "conv"
    generator_loss: Annotated[
        Literal["feature_matching", "non_saturating", "both"],
        Field(description="The distance of mean features, −log p(real) of what is drawn, or the sum of the two."),
    ] = "feature_matching"
    fake_class: Annotated[
        Literal["implied", "unit"],
        Field(description="The logit of being fake: fixed at 0, or an output of its own."),
    ] = "implied"
    unlabeled_weight: Annotated[
        float, Field(ge=0, le=100, description="Weight of telling real from fake beside telling classes apart.")
    ] = 1.0
    dropout: limits.Dropout = 0.5
    labeled: Labeled = PerClass(per_class=10)
    augment: limits.Augment = ["translation"]
    cooldown: limits.Cooldown = 0.5
    ema_decay: limits.EmaDecay = 0.995
    generator_learning_rate: limits.GeneratorRate = 1e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 1e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.999
    preview_grid: limits.PreviewGrid = "5x5"

    @classmethod
    def defaults(cls, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the defaults that go with the preset and the network."""
        if asked.get("network") != "mlp":
            return super().defaults(asked)
        return {**cls.PERCEPTRON, **({"total_steps": 165_000} if asked.get("preset") == "paper" else {})}

    @model_validator(mode="after")
    def check_batch(self) -> Self:
        """Raise ValueError for packs, which have no class, and for a batch of one, which BatchNorm cannot take."""
        if self.packing > 1:
            raise ValueError("the discriminator classifies single images: packing must be 1")
        if self.network == "mlp" and self.batch_size < 2:
            raise ValueError("the fully connected generator normalizes over the batch: batch_size must be 2 or more")
        return self

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Fully connected networks take any image, and points too; the convolutional ones 28 pixels alone."""
        if self.network == "mlp" or facts.size == 28:
            return None
        return "sgan's convolutional networks see images of 28 pixels: ask for network mlp"

    @property
    def labels_from(self) -> Literal["generator", "classes"] | None:
        """The class head, which picks images of a label out of many; nobody, where it has learned none."""
        return None if self.labeled == "none" else "classes"

    @property
    def serves(self) -> tuple[str, ...]:
        """What a checkpoint of this very job can answer."""
        return tuple(what for what in super().serves if what != "classes" or self.labeled != "none")


FACTS = FamilyFacts(
    SganSpec,
    "Semi-supervised GAN",
    "Odena: Semi-Supervised Learning with Generative Adversarial Networks, 2016",
    "https://arxiv.org/abs/1606.01583",
    ("images", "labels", "scores", "classes"),
)
