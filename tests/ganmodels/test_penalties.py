import pytest
import torch
from torch import Tensor, nn

from ganmodels.packing import Packed
from ganmodels.penalties import zero_centered


class Plane(nn.Module):
    """D(x) = slope · Σ x: its gradient is `slope` at each pixel."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.slope * images.sum(dim=(1, 2, 3))


class Bowl(nn.Module):
    """D(x) = Σ x²: its gradient is 2x."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.square().sum(dim=(1, 2, 3))


def test_the_penalty_of_a_plane_is_its_slope_squared_at_each_pixel() -> None:
    plane = Plane(3.0)
    penalty = zero_centered(plane, torch.randn(5, 2, 4, 4), torch.zeros(5, dtype=torch.int64))
    assert penalty.item() == pytest.approx(9 * 2 * 4 * 4)
    penalty.backward()
    assert plane.slope.grad is not None
    assert plane.slope.grad.item() == pytest.approx(2 * 3 * 2 * 4 * 4)  # d/ds of 32 s²


def test_the_penalty_is_the_mean_over_images_of_the_squared_norm() -> None:
    images = torch.randn(6, 1, 3, 3)
    penalty = zero_centered(Bowl(), images, torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(penalty, 4 * images.square().sum(dim=(1, 2, 3)).mean())


def test_the_penalty_of_a_pack_is_that_of_what_is_judged_at_once() -> None:
    images = torch.randn(6, 1, 3, 3)
    packs = images.reshape(2, 3, 3, 3)
    alone = zero_centered(Bowl(), packs, torch.zeros(2, dtype=torch.int64))
    packed = zero_centered(Packed(Bowl(), 3), images, torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(packed, alone)


def test_the_penalty_asks_nothing_of_the_images_themselves() -> None:
    images = torch.randn(2, 1, 3, 3)
    zero_centered(Bowl(), images, torch.zeros(2, dtype=torch.int64))
    assert not images.requires_grad
