import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganmodels import datasets
from ganmodels.datasets import Dataset, ImageSet, points

NAMES = ["ring", "grid"]


@pytest.fixture(params=NAMES)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return datasets.load(request.param, Path("nowhere"))


def parts(dataset: Dataset) -> tuple[ImageSet, ImageSet, ImageSet]:
    return dataset.train, dataset.validation, dataset.test


def from_center(dataset: Dataset, part: ImageSet) -> Tensor:
    """Give each point's offset from its Gaussian's center, in deviations (N, 2)."""
    plane = points.to_plane(part.images, dataset.facts.span)
    return (plane - points.centers(dataset.name)[part.labels]) / points.deviation(dataset.name)


def test_the_ring_and_the_grid_are_those_of_the_papers() -> None:
    ring, grid = points.centers("ring"), points.centers("grid")
    assert ring.shape == (8, 2)
    assert torch.allclose(ring.norm(dim=1), torch.ones(8))
    assert torch.allclose((ring - ring.roll(1, 0)).norm(dim=1), torch.full((8,), 2 * math.sin(math.pi / 8)))
    assert {(x, y) for x, y in grid.tolist()} == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert len(grid) == 25
    assert (points.deviation("ring"), points.deviation("grid")) == (0.01, 0.05)


def test_points_come_as_images_of_one_pixel_and_two_channels(dataset: Dataset) -> None:
    assert [len(part) for part in parts(dataset)] == [50_000, 5_000, 10_000]
    for part in parts(dataset):
        assert part.images.shape[1:] == (dataset.facts.channels, dataset.facts.size, dataset.facts.size) == (2, 1, 1)
        assert part.images.dtype == torch.float32
        assert part.labels.dtype == torch.int64
    assert dataset.facts.kind == "points"


def test_the_points_fill_most_of_the_square_and_keep_from_its_border(dataset: Dataset) -> None:
    for part in parts(dataset):
        low, high = part.images.amin(dim=(0, 2, 3)), part.images.amax(dim=(0, 2, 3))
        assert (low > 0.05).all()
        assert (high < 0.95).all()
        assert (high - low > 0.8).all()


def test_every_gaussian_has_equally_many_points(dataset: Dataset) -> None:
    assert len(points.centers(dataset.name)) == len(dataset.facts.label_names)
    for part in parts(dataset):
        counts = part.labels.bincount(minlength=len(dataset.facts.label_names))
        assert counts.unique().tolist() == [len(part) // len(dataset.facts.label_names)]


def test_points_scatter_around_their_own_center_as_wide_as_stated(dataset: Dataset) -> None:
    for part in parts(dataset):
        offsets = from_center(dataset, part)
        assert 3.5 < offsets.norm(dim=1).max() < 6
        assert (offsets.std(dim=0) - 1).abs().max() < 0.03
        assert offsets.mean(dim=0).abs().max() < 0.04
        assert abs((offsets.norm(dim=1) < 3).float().mean() - (1 - math.exp(-4.5))) < 0.004


def test_each_gaussian_alone_is_centered(dataset: Dataset) -> None:
    offsets = from_center(dataset, dataset.train)
    for label in range(len(dataset.facts.label_names)):
        assert offsets[dataset.train.labels == label].mean(dim=0).abs().max() < 0.1


def test_no_point_is_in_two_parts(dataset: Dataset) -> None:
    train, validation, test = ({tuple(point) for point in part.images.flatten(1).tolist()} for part in parts(dataset))
    assert len(train) > 49_900
    assert not train & validation
    assert not train & test
    assert not validation & test


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 1, 1)])
def test_the_unit_square_becomes_the_plane(shape: tuple[int, ...]) -> None:
    unit = torch.tensor([[0.0, 1.0], [0.5, 0.5], [0.75, 0.25]]).reshape(shape)
    assert points.to_plane(unit, 5.0).tolist() == [[-5.0, 5.0], [0.0, 0.0], [2.5, -2.5]]


def test_the_same_points_come_each_time() -> None:
    first, second = (points.draw("ring", "train", 1000, 1.25) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], points.draw("ring", "test", 1000, 1.25)[0])
