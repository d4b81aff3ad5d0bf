"""What a family is: networks, losses, and what goes in and comes out of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganmodels.optimizers import adam
from ganmodels.schedules import Rates, cooldown
from ganmodels.specs import Knobs

Metrics = dict[str, Tensor]

UNKNOWN = -1  # the label of an image whose label the run may not use


@dataclass(frozen=True)
class ImageShape:
    """Square images: `channels` deep, `size` pixels wide, in `labels` classes."""

    channels: int
    size: int
    labels: int


@dataclass(frozen=True)
class Latent:
    """Where noise comes from: `uniform` between `low` and `high`, or `normal` (0, 1), which has no bounds."""

    distribution: Literal["uniform", "normal"]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Batch:
    """Real images (B, C, H, W) in the family's range beside their labels (B,), int64, `UNKNOWN` where not granted.

    `labeled` (L, C, H, W) and `labeled_labels` (L,) are drawn apart from the images whose labels the run may use;
    empty for a family that asks for none. `update` counts the discriminator's updates from 1.
    """

    real: Tensor
    labels: Tensor
    labeled: Tensor = field(default_factory=lambda: torch.empty(0))
    labeled_labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    update: int = 1


Loss = Callable[[nn.Module, Batch, Tensor, Any], tuple[Tensor, Metrics]]


def realness(discriminator: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Give the logits (B,) of a discriminator that answers nothing else."""
    logits: Tensor = discriminator(images, labels)
    return logits


def no_look(discriminator: nn.Module, images: Tensor, spec: Any) -> None:
    """Begin with the weights as they were drawn."""


def unchanged(discriminator: nn.Module, spec: Any) -> None:
    """Leave the discriminator as its optimizer left it."""


@dataclass(frozen=True)
class Family:
    """A kind of GAN. Networks take labels always; those that know none ignore them.

    `generator(z, labels)` gives images (B, C, H, W) within `output_range(spec)`. The losses are called with the
    discriminator, the batch, and the generated images beside it (B, C, H, W; none, where there is no generator); each
    is what its owner minimizes. What they and the networks draw comes from PyTorch's global generator, which the step
    has seeded. `score` reads the discriminator's logits (B,) of being real, `classify` its class logits (B, K); None
    where it has no such opinion. `first_look` may set the discriminator's first weights by real images (N, C, H, W),
    before any update; `after_update` is called after every update of it. The spec handed to a callable is the family's
    own (`Any`, since a callable that takes one family's spec takes no other's).
    """

    spec: type[Knobs]
    discriminator: Callable[[Any, ImageShape], nn.Module]
    d_loss: Loss
    output_range: Callable[[Any], tuple[float, float]]
    generator: Callable[[Any, ImageShape], nn.Module] | None = None
    g_loss: Loss | None = None
    latent: Callable[[Any], Latent] | None = None
    score: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = realness
    classify: Callable[[nn.Module, Tensor], Tensor] | None = None
    optimizer: Callable[[nn.Module, Any, float], Optimizer] = adam
    schedule: Callable[[Any, int], Rates] = cooldown
    first_look: Callable[[nn.Module, Tensor, Any], None] = no_look
    after_update: Callable[[nn.Module, Any], None] = unchanged
