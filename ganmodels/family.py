"""What a family is: two networks, two losses, and what goes in and comes out of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from ganmodels.specs import Knobs

Metrics = dict[str, Tensor]


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
    """Real images (B, C, H, W) in the family's range beside their labels (B,), int64."""

    real: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Family:
    """A kind of GAN. Networks take labels always; those that know none ignore them.

    `generator(z, labels)` gives images (B, C, H, W) within `output_range`; `discriminator(images, labels)` gives
    logits (B,). Each loss is what its owner minimizes. The spec handed to a callable is the family's own (`Any`,
    since a callable that takes one family's spec is no callable that takes every family's).
    """

    spec: type[Knobs]
    generator: Callable[[Any, ImageShape], nn.Module]
    discriminator: Callable[[Any, ImageShape], nn.Module]
    d_loss: Callable[[nn.Module, Batch, Tensor, Any], tuple[Tensor, Metrics]]
    g_loss: Callable[[nn.Module, Tensor, Tensor, Any], tuple[Tensor, Metrics]]
    latent: Latent
    output_range: tuple[float, float]
