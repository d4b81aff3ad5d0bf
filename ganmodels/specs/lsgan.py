"""What an `lsgan` job may ask for."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganmodels.specs import limits
from ganmodels.specs.knobs import ConvolutionalKnobs, FamilyFacts, Output, PenaltyKnobs


class LsganSpec(ConvolutionalKnobs, PenaltyKnobs):
    """Least squares GAN: the distance to 0 and 1 in the place of a cross-entropy."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "width": 64,
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "initial_deviation": 0.02,
        "discriminator_norm": "batch",
        "beta1": 0.5,
        "beta2": 0.999,
        "generator_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "total_steps": 25_000,
    }
    OUTPUT: ClassVar[Output] = "probability"

    family: Literal["lsgan"]
    total_steps: limits.TotalSteps = 3_000
    ema_decay: limits.EmaDecay = 0.995
    generator_learning_rate: limits.GeneratorRate = 3e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 3e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.99
    r1_weight: limits.R1Weight = 0.25
    cooldown: limits.Cooldown = 0.7


FACTS = FamilyFacts(
    LsganSpec,
    "Least squares GAN",
    "Mao, Li, Xie, Lau, Wang, Smolley: Least Squares Generative Adversarial Networks, 2017",
    "https://arxiv.org/abs/1611.04076",
    ("images", "labels", "scores"),
)
