"""The data sets: images, their labels, and a split that never changes."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganmodels.datasets import points, shapes, stacks
from ganmodels.datasets.imagesets import DatasetUnavailable, ImageSet, hold_out
from ganmodels.specs import DATASETS, DatasetFacts

__all__ = ["DATASETS", "Dataset", "DatasetFacts", "DatasetUnavailable", "ImageSet", "digest", "load"]

HELD_OUT = 5_000
DIGITS_HELD_OUT = 300
POINTS = {"train": 50_000, "validation": 5_000, "test": 10_000}
STACKS = {"train": 128_000, "validation": 5_000, "test": 10_000}  # PacGAN trains on 128,000 (Lin et al. 2018)
SHAPES = {"train": 400, "validation": 100, "test": 100}

Parts = tuple[ImageSet, ImageSet, ImageSet]  # train, validation, test
Arrays = tuple[Tensor, Tensor]  # images, labels


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
    train, validation, test = LOADERS[name](name, data_dir)
    return Dataset(name, DATASETS[name], train, validation, test, digest(train, validation, test))


def digest(*parts: ImageSet) -> str:
    """Hash the bytes of every image and label, with each part's size: the split is part of the identity."""
    found = sha256()
    for part in parts:
        found.update(f"{tuple(part.images.shape)}".encode())
        found.update(part.images.numpy().data)
        found.update(part.labels.numpy().data)
    return found.hexdigest()


def _mnist(name: str, data_dir: Path) -> Parts:
    from ganmodels.datasets import mnist  # not before it is asked for: it brings the downloading along

    return _parts(name, *mnist.read(mnist.SOURCES[name], data_dir / name))


def _cifar(name: str, data_dir: Path) -> Parts:
    from ganmodels.datasets import cifar  # not before it is asked for: it brings the downloading along

    return _parts(name, *cifar.read(cifar.CIFAR10, data_dir / name))


def _digits(name: str, data_dir: Path) -> Parts:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)  # (1797, 64), whole numbers 0 to 16
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    everything = _image_set(name, (torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))))
    test, rest = hold_out(everything, DIGITS_HELD_OUT)
    validation, train = hold_out(rest, DIGITS_HELD_OUT)
    return train, validation, test


def _stacked(name: str, data_dir: Path) -> Parts:
    train, validation, test = (
        _image_set(name, stacks.draw(digits, part, STACKS[part]))
        for part, digits in zip(STACKS, _mnist("mnist", data_dir), strict=True)
    )
    return train, validation, test


def _points(name: str, data_dir: Path) -> Parts:
    span = DATASETS[name].span
    train, validation, test = (_image_set(name, points.draw(name, part, POINTS[part], span)) for part in POINTS)
    return train, validation, test


def _shapes(name: str, data_dir: Path) -> Parts:
    train, validation, test = (_image_set(name, shapes.draw(part, SHAPES[part])) for part in SHAPES)
    return train, validation, test


def _parts(name: str, training: Arrays, test: Arrays) -> Parts:
    """Split a data set that comes with a test set of its own: validation is held out of training."""
    validation, train = hold_out(_image_set(name, training), HELD_OUT)
    return train, validation, _image_set(name, test)


def _image_set(name: str, arrays: Arrays) -> ImageSet:
    images, labels = arrays
    return ImageSet(images, labels, DATASETS[name].label_names)


LOADERS: dict[str, Callable[[str, Path], Parts]] = {
    "mnist": _mnist,
    "fashion-mnist": _mnist,
    "kmnist": _mnist,
    "cifar10": _cifar,
    "digits": _digits,
    "stacked-mnist": _stacked,
    "ring": _points,
    "grid": _points,
    "shapes": _shapes,
}
