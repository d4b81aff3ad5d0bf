"""How images reach the networks: resident on the device as bytes, cut into batches and scaled there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganmodels import draws
from ganmodels.datasets import ImageSet
from ganmodels.draws import Purpose, positions
from ganmodels.family import UNKNOWN, Batch
from ganmodels.specs.knobs import Count, Fraction, Knobs, Labeled, LabeledKnobs, PerClass


@dataclass(frozen=True)
class Supply:
    """Batches of `size` real images on `device`, scaled to `output_range`, in the order that `seed` decides.

    `granted` (L,) are the positions of the images whose labels may be used, drawn apart from all others; where labels
    are granted one by one, no other label leaves this object.
    """

    images: Tensor
    labels: Tensor
    granted: Tensor
    seed: int
    size: int
    output_range: tuple[float, float]

    def batch(self, update: int) -> Batch:
        """Cut the batch of the discriminator's update numbered `update`, counted from 1."""
        first = (update - 1) * self.size
        chosen = positions(self.seed, first, self.size, len(self.images)).to(self.images.device)
        real = to_range(self.images[chosen], self.output_range)
        if len(self.granted) == 0:
            return Batch(real, self.labels[chosen], update=update)
        order = positions(self.seed, first, self.size, len(self.granted), Purpose.LABELED_ORDER)
        mine = self.granted[order.to(self.granted.device)]
        return Batch(
            real,
            torch.full_like(self.labels[chosen], UNKNOWN),
            to_range(self.images[mine], self.output_range),
            self.labels[mine],
            update,
        )


def supply(images: ImageSet, spec: Knobs, output_range: tuple[float, float], device: str) -> Supply:
    """Move the images that the spec grants to `device`, once, as bytes: a quarter of what floats would take."""
    images = visible(images, spec)
    labels, granted = images.labels, torch.empty(0, dtype=torch.int64)
    if isinstance(spec, LabeledKnobs):
        granted = granted_labels(labels, spec.labeled, spec.seed)
        withheld = torch.ones(len(labels), dtype=torch.bool)
        withheld[granted] = False
        labels = labels.masked_fill(withheld, UNKNOWN)
    return Supply(
        images.images.to(device), labels.to(device), granted.to(device), spec.seed, spec.batch_size, output_range
    )


def visible(images: ImageSet, spec: Knobs) -> ImageSet:
    """Take the share of the images that a run may see, its classes balanced as nearly as can be."""
    if spec.data_fraction == 1:
        return images
    count = visible_count(spec, len(images))
    return images.take(draws.balanced(images.labels, count, draws.source(spec.seed, 0, 0, Purpose.DATA_SUBSET)))


def visible_count(spec: Knobs, total: int) -> int:
    """Tell how many of the images that is."""
    return max(1, round(spec.data_fraction * total))


def granted_labels(labels: Tensor, labeled: Labeled, seed: int) -> Tensor:
    """Draw the positions (L,) of the images whose labels a run may use; the same for every family of one seed.

    Raises ValueError where there are fewer.
    """
    match labeled:
        case "none":
            count = 0
        case "all":
            count = len(labels)
        case PerClass(per_class=each):
            present, there = torch.unique(labels, return_counts=True)
            if each > there.min():
                raise ValueError(f"per_class {each} asked for, the rarest class has {int(there.min())} images")
            count = each * len(present)
        case Count(count=count):
            pass
        case Fraction(fraction=share):
            count = max(1, round(share * len(labels)))
    return draws.balanced(labels, count, draws.source(seed, 0, 0, Purpose.LABELED_SUBSET))


def to_range(images: Tensor, output_range: tuple[float, float]) -> Tensor:
    """Scale bytes 0 to 255, or floats 0 to 1, to floats from low to high: what the generator draws and D sees."""
    low, high = output_range
    if images.dtype == torch.uint8:
        return images.to(torch.float32) * ((high - low) / 255) + low
    return images * (high - low) + low


def to_unit(images: Tensor, output_range: tuple[float, float]) -> Tensor:
    """Scale what a generator draws to [0, 1]."""
    low, high = output_range
    return (images - low) / (high - low)


def to_bytes(unit: Tensor) -> Tensor:
    """Round images in [0, 1] to bytes 0 to 255."""
    return unit.clamp(0, 1).mul(255).round().to(torch.uint8)
