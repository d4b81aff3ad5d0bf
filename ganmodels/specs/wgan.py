"""What a `wgan` job may ask for."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganmodels.specs import limits
from ganmodels.specs.gan import FullyConnectedKnobs
from ganmodels.specs.knobs import FamilyFacts, Output


class WganSpec(FullyConnectedKnobs):
    """Wasserstein GAN: a critic whose parameters are clipped, moved by RMSProp."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "hidden": [128],
        "clip": 0.01,
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "generator_learning_rate": 5e-5,
        "discriminator_learning_rate": 5e-5,
        "total_steps": 100_000,
    }
    OUTPUT: ClassVar[Output] = "score"
    BOUNDED: ClassVar[tuple[str, ...]] = ()  # a critic's unit is its own

    family: Literal["wgan"]
    total_steps: limits.TotalSteps = 8_000
    hidden: limits.Hidden = [512, 512]
    discriminator_steps: limits.DiscriminatorSteps = 5
    clip: limits.Clip = 0.03
    cooldown: limits.Cooldown = 0.5
    ema_decay: limits.EmaDecay = 0.999
    generator_learning_rate: limits.GeneratorRate = 3e-4
    discriminator_learning_rate: limits.DiscriminatorRate = 3e-4


FACTS = FamilyFacts(
    WganSpec,
    "Wasserstein GAN (weight clipping)",
    "Arjovsky, Chintala, Bottou: Wasserstein GAN, 2017",
    "https://arxiv.org/abs/1701.07875",
    ("images", "scores"),
)
