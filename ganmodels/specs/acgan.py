"""What an `acgan` job may ask for."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ganmodels.specs import limits
from ganmodels.specs.knobs import ConvolutionalKnobs, FamilyFacts, PenaltyKnobs


class AcganSpec(ConvolutionalKnobs, PenaltyKnobs):
    """Auxiliary classifier GAN: the discriminator reads the label that the generator was asked for."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "width": 64,
        "batch_size": 100,
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "dropout": 0.5,
        "initial_deviation": 0.02,
        "discriminator_norm": "batch",
        "beta1": 0.5,
        "beta2": 0.999,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "total_steps": 50_000,
    }
    SERVES: ClassVar[tuple[str, ...]] = ("images", "classes", "scores")

    family: Literal["acgan"]
    conditional: Annotated[Literal[True], Field(description="This family always learns the labels.")] = True
    total_steps: limits.TotalSteps = 3_000
    label_weight: limits.LabelWeight = 1.0
    dropout: limits.Dropout = 0.3
    ema_decay: limits.EmaDecay = 0.995
    generator_learning_rate: limits.GeneratorRate = 1e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 1e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.99
    r1_weight: limits.R1Weight = 1.0
    cooldown: limits.Cooldown = 0.7

    @property
    def score_needs_label(self) -> bool:
        """No: the label is what its discriminator reads, not what it is told."""
        return False


FACTS = FamilyFacts(
    AcganSpec,
    "Auxiliary classifier GAN",
    "Odena, Olah, Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs, 2017",
    "https://arxiv.org/abs/1610.09585",
    ("images", "labels", "classes", "scores"),
)
