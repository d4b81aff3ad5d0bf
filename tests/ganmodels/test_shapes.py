from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganmodels import datasets
from ganmodels.datasets import Dataset, shapes

CIRCLE, SQUARE = 0, 1
BETWEEN = 108  # gray levels: brighter than any ground, darker than any shape


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return datasets.load("shapes", Path("nowhere"))


def widths(image: Tensor) -> Tensor:
    """Measure how wide the bright pixels of (256, 256) lie, seen from each of 16 directions."""
    places = (image > BETWEEN).nonzero().to(torch.float32)
    angles = torch.arange(16) * (torch.pi / 16)
    seen = places @ torch.stack([angles.cos(), angles.sin()])
    return seen.amax(dim=0) - seen.amin(dim=0)


def test_the_parts_are_large_gray_images_of_two_classes_equally_many(dataset: Dataset) -> None:
    parts = (dataset.train, dataset.validation, dataset.test)
    assert [len(part) for part in parts] == [400, 100, 100]
    for part in parts:
        assert part.images.shape[1:] == (dataset.facts.channels, dataset.facts.size, dataset.facts.size)
        assert part.images.dtype == torch.uint8
        assert part.labels.dtype == torch.int64
        assert part.labels.bincount().tolist() == [len(part) // 2] * 2
    assert dataset.facts.label_names == ("circle", "square")


def test_circles_are_equally_wide_from_everywhere_and_squares_are_not(dataset: Dataset) -> None:
    for image, label in zip(dataset.train.images[:, 0], dataset.train.labels.tolist(), strict=True):
        seen = widths(image)
        ratio = float(seen.max() / seen.min())
        assert (1 <= ratio < 1.06) if label == CIRCLE else (1.25 < ratio < 1.5)


def test_brightness_does_not_tell_the_classes_apart(dataset: Dataset) -> None:
    images, labels = dataset.train.images, dataset.train.labels
    means = images.flatten(1).to(torch.float32).mean(dim=1)
    circles_below = torch.stack([(means[labels == CIRCLE] <= cut).float().mean() for cut in means])
    squares_below = torch.stack([(means[labels == SQUARE] <= cut).float().mean() for cut in means])
    best = 0.5 + (circles_below - squares_below).abs().max() / 2
    assert 0.5 < best < 0.6


def test_a_circle_and_a_square_of_the_same_knobs_cover_the_same_area() -> None:
    knobs = torch.rand(20, 8, generator=torch.Generator().manual_seed(1)).numpy()
    for knob in knobs:
        circle, square = (shapes._levels(square, knob) for square in (False, True))
        assert set(circle.flat) == set(square.flat)
        assert (circle > BETWEEN).sum() == pytest.approx((square > BETWEEN).sum(), rel=0.02)


def test_no_shape_is_cut_off_and_all_four_kinds_occur(dataset: Dataset) -> None:
    bright = dataset.train.images[:, 0] > BETWEEN
    border = torch.ones(256, 256, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert not bright[:, border].any()
    sizes = bright.flatten(1).sum(dim=1)
    assert sizes.min() > 1_500
    assert sizes.max() < 25_000
    hollow = torch.stack([image.nonzero().float().mean(dim=0).round().long() for image in bright])
    filled = bright[torch.arange(len(bright)), hollow[:, 0], hollow[:, 1]]
    for label in (CIRCLE, SQUARE):
        assert 0.4 < filled[dataset.train.labels == label].float().mean() < 0.6


def test_size_place_gray_levels_and_noise_vary_from_image_to_image(dataset: Dataset) -> None:
    images = dataset.train.images[:, 0].to(torch.float32)
    corner = images[:, :8, :8].flatten(1)
    assert corner.mean(dim=1).std() > 10
    assert (corner.std(dim=1) > 3).all()
    assert (corner.std(dim=1) < 7).all()
    assert len({image.tobytes() for image in dataset.train.images.numpy()}) == 400


def test_no_image_is_in_two_parts(dataset: Dataset) -> None:
    parts = (dataset.train, dataset.validation, dataset.test)
    assert len({image.tobytes() for part in parts for image in part.images.numpy()}) == 600
