"""How images reach the networks: resident on the device as bytes, cut into batches and scaled there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganmodels.datasets import ImageSet
from ganmodels.draws import positions
from ganmodels.family import Batch


@dataclass(frozen=True)
class Supply:
    """Batches of `size` real images on `device`, scaled to `output_range`, in the order that `seed` decides."""

    images: Tensor
    labels: Tensor
    seed: int
    size: int
    output_range: tuple[float, float]

    def batch(self, step: int) -> Batch:
        """Cut the batch of the step numbered `step`, counted from 1."""
        chosen = positions(self.seed, (step - 1) * self.size, self.size, len(self.images)).to(self.images.device)
        return Batch(to_range(self.images[chosen], self.output_range), self.labels[chosen])


def supply(images: ImageSet, seed: int, size: int, output_range: tuple[float, float], device: str) -> Supply:
    """Move all images to `device`, once, as bytes: a quarter of what floats would take."""
    return Supply(images.images.to(device), images.labels.to(device), seed, size, output_range)


def to_range(images: Tensor, output_range: tuple[float, float]) -> Tensor:
    """Scale bytes 0 to 255 to floats from low to high: what the generator draws and the discriminator sees."""
    low, high = output_range
    return images.to(torch.float32) * ((high - low) / 255) + low


def to_unit(images: Tensor, output_range: tuple[float, float]) -> Tensor:
    """Scale what a generator draws to [0, 1]."""
    low, high = output_range
    return (images - low) / (high - low)


def to_bytes(unit: Tensor) -> Tensor:
    """Round images in [0, 1] to bytes 0 to 255."""
    return unit.clamp(0, 1).mul(255).round().to(torch.uint8)
