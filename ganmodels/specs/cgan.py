"""What a `cgan` job may ask for."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganmodels.specs import limits
from ganmodels.specs.gan import FullyConnectedKnobs
from ganmodels.specs.knobs import AdamKnobs, FamilyFacts, LogisticKnobs


class CganSpec(FullyConnectedKnobs, LogisticKnobs, AdamKnobs):
    """Conditional GAN: fully connected networks that see the label beside their input."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "hidden": [128],
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "mismatch_weight": 0.0,
        "beta1": 0.9,
        "beta2": 0.999,
        "generator_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "total_steps": 100_000,
    }

    family: Literal["cgan"]
    total_steps: limits.TotalSteps = 10_000
    hidden: limits.Hidden = [512, 512]
    r1_weight: limits.R1Weight = 0.1
    cooldown: limits.Cooldown = 0.5
    ema_decay: limits.EmaDecay = 0.999
    generator_learning_rate: limits.GeneratorRate = 1e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 1e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.999
    mismatch_weight: limits.MismatchWeight = 0.3

    @property
    def labels_from(self) -> Literal["generator", "classes"] | None:
        """The generator."""
        return "generator"


FACTS = FamilyFacts(
    CganSpec,
    "Conditional GAN (fully connected)",
    "Mirza, Osindero: Conditional Generative Adversarial Nets, 2014",
    "https://arxiv.org/abs/1411.1784",
    ("images", "labels", "scores"),
)
