import math

import pytest
import torch
from torch import Tensor

from ganmodels.measures.modes import gaussian_modes, modes_and_kl


def test_every_class_alike_has_no_divergence() -> None:
    assert modes_and_kl(torch.arange(1_000) % 10, 10) == {
        "modes": 10,
        "mode_kl": pytest.approx(0, abs=1e-12),
        "least_class_share": 0.1,
    }


@pytest.mark.parametrize("classes", [2, 10, 1_000])
def test_one_class_alone_has_the_largest_divergence(classes: int) -> None:
    found = modes_and_kl(torch.full((50,), classes - 1), classes)
    assert found == {"modes": 1, "mode_kl": pytest.approx(math.log(classes)), "least_class_share": 0}


def test_the_divergence_is_taken_from_the_generated_to_the_real_and_not_back() -> None:
    """¾ ln(¾ / ½) + ¼ ln(¼ / ½); the other way round it is ½ ln(½ / ¾) + ½ ln(½ / ¼)."""
    found = modes_and_kl(torch.tensor([0, 0, 0, 1]), 2, real=torch.tensor([0, 1, 1, 0, 0, 1]))
    forward = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert found["mode_kl"] == pytest.approx(forward)
    assert forward != pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2), abs=0.01)
    assert found["least_class_share"] == 0.25


def test_the_classes_of_real_images_need_not_be_alike() -> None:
    uneven = torch.tensor([0, 0, 0, 1])
    assert modes_and_kl(uneven.repeat(5), 2, real=uneven)["mode_kl"] == pytest.approx(0, abs=1e-12)
    assert modes_and_kl(uneven, 2)["mode_kl"] > 0.1


def test_a_real_class_that_is_never_generated_costs_a_finite_divergence() -> None:
    found = modes_and_kl(torch.tensor([0, 1]), 3, real=torch.tensor([0, 1, 2, 2]))
    assert found["mode_kl"] == pytest.approx(math.log(2))
    assert found["modes"] == 2


def test_a_class_without_real_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"classes \[2\], of which there is no real one"):
        modes_and_kl(torch.tensor([0, 2]), 3, real=torch.tensor([0, 1]))


def test_a_class_beyond_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="class 3 found, expected 0 to 2"):
        modes_and_kl(torch.tensor([0, 3]), 3)


def ring() -> Tensor:
    angles = torch.arange(8) * (2 * math.pi / 8)
    return 2 * torch.stack([angles.cos(), angles.sin()], 1)


def around(centers: Tensor, count: int, deviation: float) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return centers.repeat(count, 1) + deviation * torch.randn(count * len(centers), 2, generator=random)


def test_draws_of_the_ring_find_all_its_modes() -> None:
    """A normal draw in the plane lies within 3 σ with probability 1 − e^(−9/2) = .989."""
    found = gaussian_modes(around(ring(), 500, 0.02), ring(), 0.02)
    assert found["modes"] == 8
    assert found["high_quality_fraction"] == pytest.approx(1 - math.exp(-4.5), abs=0.005)
    assert found["mode_kl"] < 1e-3


def test_a_collapsed_generator_finds_one_mode() -> None:
    found = gaussian_modes(around(ring()[2:3], 500, 0.02), ring(), 0.02)
    assert found["modes"] == 1
    assert found["mode_kl"] == pytest.approx(math.log(8))


def test_three_deviations_are_the_border_and_one_sample_finds_a_mode() -> None:
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    inside, outside = torch.tensor([[0.0, 2.99], [10.0, -2.99]]), torch.tensor([[3.01, 0.0], [5.0, 0.0]])
    found = gaussian_modes(torch.cat([inside, outside]), centers, 1.0)
    assert found == {"modes": 2, "high_quality_fraction": 0.5, "mode_kl": pytest.approx(0)}
    assert gaussian_modes(torch.cat([inside[:1], outside]), centers, 1.0)["modes"] == 1


def test_no_sample_near_a_center_is_the_worst_there_is() -> None:
    found = gaussian_modes(torch.zeros(20, 2), ring(), 0.02)
    assert found == {"modes": 0, "high_quality_fraction": 0, "mode_kl": pytest.approx(math.log(8))}
