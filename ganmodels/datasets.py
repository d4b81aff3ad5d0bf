"""The data sets: images as bytes, their labels, and a split that never changes."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganmodels.draws import Purpose, source
from ganmodels.specs import DATASETS, DatasetFacts

MNIST_HELD_OUT = 5_000
DIGITS_HELD_OUT = 300


class DatasetUnavailable(Exception):
    """A data set could not be read; the message says what was looked for, where, and what to do."""


@dataclass(frozen=True)
class ImageSet:
    """Images (N, C, H, W), uint8, beside their labels (N,), int64."""

    images: Tensor
    labels: Tensor
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: Tensor) -> "ImageSet":
        """Pick the images at `positions`, in that order."""
        return ImageSet(self.images[positions], self.labels[positions], self.label_names)


@dataclass(frozen=True)
class Dataset:
    """A data set and its split: learn from `train`, choose on `validation`, read `test` once."""

    name: str
    facts: DatasetFacts
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    digest: str


def load(name: str, data_dir: Path) -> Dataset:
    """Read a data set from `data_dir`, downloading it there when it is missing. Raises DatasetUnavailable."""
    train, validation, test = LOADERS[name](data_dir, DATASETS[name])
    return Dataset(name, DATASETS[name], train, validation, test, digest(train, validation, test))


def digest(*parts: ImageSet) -> str:
    """Hash the bytes of every image and label, with each part's size: the split is part of the identity."""
    found = sha256()
    for part in parts:
        found.update(f"{tuple(part.images.shape)}".encode())
        found.update(part.images.numpy().data)
        found.update(part.labels.numpy().data)
    return found.hexdigest()


def _mnist(data_dir: Path, facts: DatasetFacts) -> tuple[ImageSet, ImageSet, ImageSet]:
    from ganmodels import mnist  # not before it is asked for: it brings the downloading along

    train, test = mnist.read(data_dir / "mnist")
    train_set, test_set = (ImageSet(images, labels, facts.label_names) for images, labels in (train, test))
    validation, rest = _split(train_set, MNIST_HELD_OUT)
    return rest, validation, test_set


def _digits(data_dir: Path, facts: DatasetFacts) -> tuple[ImageSet, ImageSet, ImageSet]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)  # (1797, 64), whole numbers 0 to 16
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    everything = ImageSet(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)), facts.label_names)
    test, rest = _split(everything, DIGITS_HELD_OUT)
    validation, train = _split(rest, DIGITS_HELD_OUT)
    return train, validation, test


def _split(images: ImageSet, held_out: int) -> tuple[ImageSet, ImageSet]:
    """Hold out a random but fixed part: it must not depend on a job's seed, or jobs could not be compared."""
    order = torch.randperm(len(images), generator=source(0, 0, 0, Purpose.DATA_ORDER))
    return images.take(order[:held_out]), images.take(order[held_out:].sort().values)


LOADERS: dict[str, Callable[[Path, DatasetFacts], tuple[ImageSet, ImageSet, ImageSet]]] = {
    "mnist": _mnist,
    "digits": _digits,
}
