"""What a `dcgan` job may ask for."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganmodels.specs import limits
from ganmodels.specs.knobs import ConvolutionalKnobs, FamilyFacts, LogisticKnobs, PenaltyKnobs


class DcganSpec(ConvolutionalKnobs, LogisticKnobs, PenaltyKnobs):
    """Deep convolutional GAN, with or without labels."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "width": 64,
        "batch_size": 128,
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "mismatch_weight": 0.0,
        "initial_deviation": 0.02,
        "discriminator_norm": "batch",
        "beta1": 0.5,
        "beta2": 0.999,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "total_steps": 25_000,
    }

    family: Literal["dcgan"]
    total_steps: limits.TotalSteps = 3_000
    ema_decay: limits.EmaDecay = 0.995
    generator_learning_rate: limits.GeneratorRate = 3e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 3e-3
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.99
    r1_weight: limits.R1Weight = 0.25
    cooldown: limits.Cooldown = 0.7
    mismatch_weight: limits.MismatchWeight = 0.1


FACTS = FamilyFacts(
    DcganSpec,
    "Deep convolutional GAN",
    "Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional GANs, 2015",
    "https://arxiv.org/abs/1511.06434",
    ("images", "labels", "scores"),
)
