"""What a `wgan_gp` job may ask for."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ganmodels.specs import limits
from ganmodels.specs.knobs import ConvolutionalKnobs, FamilyFacts, Output, PenaltyKnobs


class WganGpSpec(ConvolutionalKnobs, PenaltyKnobs):
    """Wasserstein GAN whose critic is held to slopes of 1 by a penalty, with or without labels."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "width": 64,
        "ema_decay": 0.0,
        "cooldown": 0.0,
        "initial_deviation": 0.02,
        "discriminator_steps": 5,
        "beta1": 0.0,
        "beta2": 0.9,
        "generator_learning_rate": 1e-4,
        "discriminator_learning_rate": 1e-4,
        "total_steps": 200_000,
    }
    OUTPUT: ClassVar[Output] = "score"
    BOUNDED: ClassVar[tuple[str, ...]] = ()  # a critic's unit is its own

    family: Literal["wgan_gp"]
    total_steps: limits.TotalSteps = 2_000
    discriminator_steps: limits.DiscriminatorSteps = 5
    penalty_weight: limits.PenaltyWeight = 10.0
    discriminator_norm: Annotated[
        Literal["none", "spectral"],
        Field(
            description="What keeps the critic's convolutions in bounds beside the penalty: nothing or spectral norm. "
            "BatchNorm would make an image's slope depend on the images beside it."
        ),
    ] = "none"
    ema_decay: limits.EmaDecay = 0.99
    generator_learning_rate: limits.GeneratorRate = 1e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 1e-3
    beta1: limits.Beta1 = 0.0
    beta2: limits.Beta2 = 0.9
    cooldown: limits.Cooldown = 0.5


FACTS = FamilyFacts(
    WganGpSpec,
    "Wasserstein GAN with gradient penalty",
    "Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved Training of Wasserstein GANs, 2017",
    "https://arxiv.org/abs/1704.00028",
    ("images", "labels", "scores"),
)
