from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ganmodels import penalties, training
from ganmodels.families import dcgan
from ganmodels.families.wgan_gp import FAMILY
from ganmodels.family import Batch, ImageShape
from ganmodels.packing import Packed
from ganmodels.specs import SPEC

LABELS = torch.zeros(4, dtype=torch.int64)


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python(
        {"family": "wgan_gp", "dataset": "digits", "width": 4, "device": "cpu", "precision": "fp32", **knobs}
    )


class Bowl(nn.Module):
    """D(x) = ½ Σ x²: its gradient is x, whose norm tells where it was taken."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.square().flatten(1).sum(dim=1) / 2


class Plane(nn.Module):
    """D(x) = slope · Σ x: its gradient is `slope` at each pixel."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.slope * images.flatten(1).sum(dim=1)


def test_a_plane_pays_for_slopes_other_than_one_on_either_side() -> None:
    real, fake = torch.randn(4, 1, 4, 4), torch.randn(4, 1, 4, 4)
    for slope, expected in ((0.25, 0.0), (0.5, 1.0), (0.0, 1.0), (-0.25, 0.0)):  # 16 pixels: the norm is 4·|slope|
        found = penalties.interpolated(Plane(slope), real, fake, LABELS)
        assert found.item() == pytest.approx(expected, abs=1e-6)


def test_the_penalty_teaches_the_slope() -> None:
    plane = Plane(0.5)
    penalties.interpolated(plane, torch.randn(4, 1, 4, 4), torch.randn(4, 1, 4, 4), LABELS).backward()
    assert plane.slope.grad is not None
    assert plane.slope.grad.item() == pytest.approx(2 * (4 * 0.5 - 1) * 4)  # d/ds of (4 s − 1)²


def test_each_norm_is_one_images_and_taken_between_it_and_its_fake() -> None:
    """A bowl's slope at x is |x|: real images of norm 5 and fakes of norm 2 on the same ray give norms in between."""
    direction = torch.full((4000, 1, 2, 2), 0.5)  # of norm 1
    found = penalties.interpolated(Bowl(), 5 * direction, 2 * direction, torch.zeros(4000, dtype=torch.int64))
    # With r uniform between 2 and 5, E(r − 1)² is (4³ − 1³) / 9 = 7; at one common point it could be anything.
    assert found.item() == pytest.approx(7, rel=0.05)


def test_images_judged_together_have_one_norm() -> None:
    real = torch.ones(4, 1, 2, 2)
    alone = penalties.interpolated(Bowl(), real, real, LABELS)
    together = penalties.interpolated(Packed(Bowl(), 2), real, real, LABELS)
    assert alone.item() == pytest.approx((2 - 1) ** 2)
    assert together.item() == pytest.approx((8**0.5 - 1) ** 2)


def test_the_loss_is_the_difference_of_means_and_the_penalty_times_its_weight() -> None:
    real, fake = torch.full((4, 1, 4, 4), 2.0), torch.full((4, 1, 4, 4), 1.0)
    found, metrics = FAMILY.d_loss(Plane(0.5), Batch(real, LABELS), fake, asked(penalty_weight=3.0))
    assert metrics["wasserstein_estimate"].item() == 0.5 * 16
    assert metrics["gradient_penalty"].item() == pytest.approx(1)
    assert found.item() == pytest.approx(-8 + 3 * 1)
    assert FAMILY.g_loss is not None
    assert FAMILY.g_loss(Plane(0.5), Batch(real, LABELS), fake, asked())[0].item() == -8


def test_the_critic_has_no_batch_norm_and_none_can_be_asked_for() -> None:
    assert (FAMILY.generator, FAMILY.discriminator) == (dcgan.Generator, dcgan.Discriminator)
    for preset in ("quick", "paper"):
        critic = FAMILY.discriminator(asked(preset=preset), ImageShape(1, 8, 10))
        assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in critic.modules())
    with pytest.raises(ValidationError, match="discriminator_norm"):
        asked(discriminator_norm="batch")


def test_the_paper_is_one_word_away() -> None:
    spec = asked(preset="paper")
    assert (spec.penalty_weight, spec.discriminator_steps) == (10, 5)
    assert (spec.generator_learning_rate, spec.discriminator_learning_rate) == (1e-4, 1e-4)
    assert (spec.beta1, spec.beta2) == (0.0, 0.9)


@pytest.mark.parametrize("knobs", [{"conditional": True}, {"conditional": True, "conditioning": "concat"}])
def test_it_learns_labels_with_dcgans_networks(knobs: dict[str, Any]) -> None:
    spec, shape = asked(**knobs), ImageShape(1, 8, 10)
    assert spec.labels_from == "generator"
    state = training.start(spec, shape)
    images, labels = torch.rand(64, 1, 8, 8), torch.arange(64) % 10
    metrics = training.step(spec, FAMILY, state, [Batch(images, labels)])
    assert all(value.isfinite() for value in metrics.values())
    with torch.no_grad():
        judged = state.discriminator.network(images[:1].expand(10, -1, -1, -1), torch.arange(10))
    assert len(judged.unique()) == 10
