"""What a `convgan` job may ask for."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ganmodels.specs import limits
from ganmodels.specs.datasets import DatasetFacts
from ganmodels.specs.knobs import AdamKnobs, FamilyFacts, LogisticKnobs, PenaltyKnobs

SIZE = 28


class ConvganSpec(AdamKnobs, LogisticKnobs, PenaltyKnobs):
    """Convolutional GAN whose discriminator is trained alone before the two alternate."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "beta1": 0.9,
        "generator_learning_rate": 1e-4,
        "discriminator_learning_rate": 3e-4,
        "total_steps": 100_000,
    }

    family: Literal["convgan"]
    total_steps: limits.TotalSteps = 4_000
    batch_size: limits.BatchSize = 50
    d_pretrain_steps: limits.PretrainSteps = 300
    preview_every: Annotated[
        limits.Steps, Field(description="Steps between fixed-noise previews, each with the discriminator's estimate.")
    ] = 100
    ema_decay: limits.EmaDecay = 0.99
    r1_weight: limits.R1Weight = 1.0
    cooldown: limits.Cooldown = 0.5
    generator_learning_rate: limits.GeneratorRate = 1e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 1e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.999

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Say why the write-up's networks, whose every size is fixed, cannot draw such images."""
        if reason := super().why_unfit(facts):
            return reason
        if (facts.size, facts.channels) == (SIZE, 1):
            return None
        return f"this family draws grey images of {SIZE} pixels"


FACTS = FamilyFacts(
    ConvganSpec,
    "Convolutional GAN with discriminator pre-training",
    "Goodfellow et al.: Generative Adversarial Nets, 2014; networks of a TensorFlow write-up on MNIST",
    "https://arxiv.org/abs/1406.2661",
    ("images", "scores"),
)
