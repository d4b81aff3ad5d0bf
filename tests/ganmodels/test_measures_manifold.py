import math

import pytest
import torch
from torch import Tensor

from ganmodels.measures import distances
from ganmodels.measures.manifold import manifold


def cloud(count: int, size: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def by_definition(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """The papers' formulas, one pair at a time."""

    def radius(own: Tensor, middle: Tensor) -> float:
        return sorted(float((middle - other).norm()) for other in own)[k]  # the first is itself

    def within(middle: Tensor, reach: float, point: Tensor) -> bool:
        return float((middle - point).norm()) <= reach

    real_reach, fake_reach = [radius(real, one) for one in real], [radius(fake, one) for one in fake]
    real_holds = [[within(*ball, point) for point in fake] for ball in zip(real, real_reach, strict=True)]
    fake_holds = [[within(*ball, point) for point in real] for ball in zip(fake, fake_reach, strict=True)]
    return {
        "precision": sum(map(any, zip(*real_holds, strict=True))) / len(fake),
        "recall": sum(map(any, zip(*fake_holds, strict=True))) / len(real),
        "density": sum(map(sum, real_holds)) / (k * len(fake)),
        "coverage": sum(map(any, real_holds)) / len(real),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_four_are_the_papers_definitions(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = cloud(60).double(), 0.6 + 0.7 * cloud(45, seed=1).double()
    monkeypatch.setattr(distances, "PIECE_BYTES", 8 * 60 * 7)  # seven rows at a time: sums must survive the seams
    expected = by_definition(real, fake, k)
    assert manifold(real, fake, k) == pytest.approx(expected)
    assert len({round(value, 6) for value in expected.values()}) == 4  # no two agree by accident


def test_identical_sets_are_precise_and_complete() -> None:
    """Each real ball holds its own middle and k others, its farthest on the border: a density of (k + 1)/k."""
    features = cloud(300, size=64).double() * math.pi
    expected = {"precision": 1, "recall": 1, "density": pytest.approx(6 / 5), "coverage": 1}
    assert manifold(features, features, 5) == expected


def test_balls_of_no_size_still_hold_their_middle() -> None:
    """Of images that all come twice the nearest neighbor is their twin."""
    features = cloud(50, size=64).double().repeat(2, 1) * math.pi
    assert manifold(features, features.flip(0), 1) == {"precision": 1, "recall": 1, "density": 2, "coverage": 1}


def test_sets_far_apart_have_nothing_in_common() -> None:
    assert set(manifold(cloud(50), cloud(50, seed=1) + 100).values()) == {0.0}


def test_one_good_image_repeated_is_precise_and_covers_nothing() -> None:
    real = cloud(200)
    found = manifold(real, real[:1].repeat(100, 1))
    assert found["precision"] == 1
    assert found["recall"] < 0.02
    assert found["coverage"] < 0.1


def test_half_of_the_modes_lose_recall_and_coverage_and_noise_loses_precision_and_density() -> None:
    real = torch.cat([cloud(100), cloud(100, seed=1) + 50])
    half = manifold(real, cloud(200, seed=2))
    noisy = manifold(real, torch.cat([cloud(100, seed=2), cloud(100, seed=3) - 50]))
    assert half["precision"] > 0.8
    assert 0.4 < half["recall"] <= 0.5
    assert 0.4 < half["coverage"] <= 0.5
    assert 0.4 < noisy["precision"] <= 0.5
    assert noisy["density"] < 0.6 < half["density"]


def test_fresh_draws_of_the_same_distribution_have_density_one() -> None:
    assert manifold(cloud(1_000), cloud(1_000, seed=1))["density"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("real", "fake", "neighbors"), [(5, 50, 5), (50, 5, 5), (50, 50, 0)])
def test_too_few_images_for_a_neighbor_are_refused(real: int, fake: int, neighbors: int) -> None:
    with pytest.raises(ValueError, match="images have no neighbor number"):
        manifold(cloud(real), cloud(fake), neighbors)
