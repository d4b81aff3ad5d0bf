"""What a `gan` job may ask for."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganmodels.specs import limits
from ganmodels.specs.datasets import DatasetFacts
from ganmodels.specs.knobs import AdamKnobs, FamilyFacts, LogisticKnobs, PenaltyKnobs


class FullyConnectedKnobs(PenaltyKnobs):
    """The knobs of the fully connected networks of `gan`, which several losses share."""

    precision: limits.Precision = "fp32"
    hidden: limits.Hidden = [128]

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Fully connected networks take any image, and points too."""
        return None


class GanSpec(FullyConnectedKnobs, LogisticKnobs, AdamKnobs):
    """Vanilla GAN: two fully connected networks and the original losses."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "hidden": [128],
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "beta1": 0.9,
        "beta2": 0.999,
        "generator_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "total_steps": 100_000,
    }

    family: Literal["gan"]
    total_steps: limits.TotalSteps = 20_000
    hidden: limits.Hidden = [512, 512]
    r1_weight: limits.R1Weight = 0.1
    ema_decay: limits.EmaDecay = 0.999
    generator_learning_rate: limits.GeneratorRate = 1e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 1e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.999


FACTS = FamilyFacts(
    GanSpec,
    "Vanilla GAN (fully connected)",
    "Goodfellow et al.: Generative Adversarial Nets, 2014",
    "https://arxiv.org/abs/1406.2661",
    ("images", "scores"),
)
