"""What every data set is read into: images beside their labels, and the part that is held out of training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganmodels.draws import Purpose, source


class DatasetUnavailable(Exception):
    """A data set could not be read; the message says what was looked for, where, and what to do."""


@dataclass(frozen=True)
class ImageSet:
    """Images (N, C, H, W), uint8, beside their labels (N,), int64; points are (N, 2, 1, 1), float32 in [0, 1]."""

    images: Tensor
    labels: Tensor
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: Tensor) -> "ImageSet":
        """Pick the images at `positions`, in that order."""
        return ImageSet(self.images[positions], self.labels[positions], self.label_names)


def hold_out(images: ImageSet, count: int) -> tuple[ImageSet, ImageSet]:
    """Hold out a random but fixed part: it must not depend on a job's seed, or jobs could not be compared."""
    order = torch.randperm(len(images), generator=source(0, 0, 0, Purpose.DATA_ORDER))
    return images.take(order[:count]), images.take(order[count:].sort().values)
