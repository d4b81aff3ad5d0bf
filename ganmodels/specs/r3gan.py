"""What an `r3gan` job may ask for."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ganmodels.specs import limits
from ganmodels.specs.datasets import DATASETS, DatasetFacts
from ganmodels.specs.knobs import ConvolutionalKnobs, FamilyFacts, Output

PenaltyWeight = Annotated[
    float, Field(ge=0, le=1000, description="γ of the gradient penalties on real and on generated images, at first.")
]
FinalPenaltyWeight = Annotated[float, Field(ge=0, le=1000, description="γ from the end of the burn-in on.")]
FinalBeta2 = Annotated[
    float, Field(ge=0, lt=1, description="Adam's decay of the squared gradient from the end of the burn-in on.")
]
FinalRateShare = Annotated[
    float, Field(ge=0, le=1, description="Share of both learning rates that is left at the end of the burn-in.")
]
BurnIn = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Share of the run over which learning rates, β2 and γ move along a cosine to their last values, "
        "and the average's half-life from nothing to that of `ema_decay`.",
    ),
]
PointHidden = Annotated[limits.Hidden, Field(description="Widths of the hidden layers of both networks, for points.")]


class R3ganSpec(ConvolutionalKnobs):
    """The relativistic loss with penalties on both sides, of images and of points of the plane."""

    # The authors' preset for CIFAR-10: 20 million images at 512 a step, an average with a half-life of 5 million.
    PAPER: ClassVar[Mapping[str, Any]] = {
        "width": 64,
        "batch_size": 512,
        "latent_size": 64,
        "ema_decay": 0.5 ** (512 / 5_000_000),
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "final_rate_share": 0.25,
        "beta2": 0.9,
        "final_beta2": 0.99,
        "penalty_weight": 0.05,
        "final_penalty_weight": 0.005,
        "burn_in": 1.0,
        "cooldown": 0.0,
        "total_steps": 39_063,
    }
    # Modes half a hundredth of the range wide take a steep discriminator: little penalty. Noise is flat as the plane.
    POINTS: ClassVar[Mapping[str, Any]] = {
        "precision": "fp32",
        "batch_size": 128,
        "latent_size": 2,
        "ema_decay": 0.999,
        "generator_learning_rate": 2e-3,
        "discriminator_learning_rate": 2e-3,
        "final_rate_share": 0.05,
        "penalty_weight": 0.01,
        "final_penalty_weight": 0.0005,
        "total_steps": 8_000,
    }
    SERVES: ClassVar[tuple[str, ...]] = ("images",)
    OUTPUT: ClassVar[Output] = "score"  # the loss sees differences of logits: one alone says nothing

    family: Literal["r3gan"]
    total_steps: limits.TotalSteps = 3_000
    ema_decay: limits.EmaDecay = 0.995
    generator_learning_rate: limits.GeneratorRate = 2e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 2e-3
    final_rate_share: FinalRateShare = 0.25
    beta1: limits.Beta1 = 0.0
    beta2: limits.Beta2 = 0.9
    final_beta2: FinalBeta2 = 0.99
    penalty_weight: PenaltyWeight = 1.0
    final_penalty_weight: FinalPenaltyWeight = 0.1
    burn_in: BurnIn = 1.0
    hidden: PointHidden = [128, 128, 128]

    @classmethod
    def defaults(cls, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the defaults that depend on what is asked: points take other settings than images."""
        points = [name for name, facts in DATASETS.items() if facts.kind == "points"]
        return {**(cls.POINTS if asked.get("dataset") in points else {}), **super().defaults(asked)}

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Say why such networks cannot draw such images; points have networks of their own."""
        return None if facts.kind == "points" else super().why_unfit(facts)


FACTS = FamilyFacts(
    R3ganSpec,
    "R3GAN's loss: relativistic, with gradient penalties on real and generated images",
    "Huang, Gokaslan, Kuleshov, Tompkin: The GAN is dead; long live the GAN! A Modern GAN Baseline, 2024",
    "https://arxiv.org/abs/2501.05441",
    ("images", "labels"),
)
