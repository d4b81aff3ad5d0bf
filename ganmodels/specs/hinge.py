"""What a `hinge` job may ask for."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganmodels.specs import limits
from ganmodels.specs.knobs import ConvolutionalKnobs, FamilyFacts, Output, PenaltyKnobs


class HingeSpec(ConvolutionalKnobs, PenaltyKnobs):
    """Hinge loss with spectral norm: SNGAN."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "width": 64,
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "initial_deviation": 0.02,
        "beta1": 0.0,
        "beta2": 0.9,
        "discriminator_steps": 5,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "total_steps": 100_000,
    }
    OUTPUT: ClassVar[Output] = "score"
    BOUNDED: ClassVar[tuple[str, ...]] = ("d_loss",)  # the generator's moves with all scores, the margin does not

    family: Literal["hinge"]
    total_steps: limits.TotalSteps = 3_000
    discriminator_norm: limits.DiscriminatorNorm = "spectral"
    ema_decay: limits.EmaDecay = 0.995
    generator_learning_rate: limits.GeneratorRate = 3e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 3e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.99
    r1_weight: limits.R1Weight = 0.25
    cooldown: limits.Cooldown = 0.7


FACTS = FamilyFacts(
    HingeSpec,
    "Hinge loss with spectral norm (SNGAN)",
    "Miyato, Kataoka, Koyama, Yoshida: Spectral Normalization for Generative Adversarial Networks, 2018",
    "https://arxiv.org/abs/1802.05957",
    ("images", "labels", "scores"),
)
