from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels.families import lsgan
from ganmodels.family import Batch
from ganmodels.specs import SPEC


class Fixed(nn.Module):
    """Answers what its images hold."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.flatten()


def images(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


@pytest.fixture
def spec() -> Any:
    return SPEC.validate_python({"family": "lsgan"})


LABELS = torch.zeros(2, dtype=torch.int64)


def test_the_losses_are_the_papers_with_0_and_1(spec: Any) -> None:
    batch, fake = Batch(images(1.0, 0.5), LABELS), images(0.0, -2.0)
    loss, metrics = lsgan.d_loss(Fixed(), batch, fake, spec)
    assert loss.item() == pytest.approx(((0 + 0.25) / 2 + (0 + 4) / 2) / 2)
    assert metrics["d_real"].item() == pytest.approx(0.75)
    assert metrics["d_fake"].item() == pytest.approx(-1)
    loss, _ = lsgan.g_loss(Fixed(), batch, fake, spec)
    assert loss.item() == pytest.approx((1 + 9) / 2 / 2)


def test_images_that_pass_too_well_are_drawn_back_too(spec: Any) -> None:
    """What least squares have that a cross-entropy has not: the distance counts on either side (section 3.2)."""
    fake = images(3.0, 1.0).requires_grad_()
    loss, _ = lsgan.g_loss(Fixed(), Batch(fake, LABELS), fake, spec)
    torch.autograd.backward(loss)
    assert fake.grad is not None
    assert fake.grad.flatten().tolist() == [1.0, 0.0]


def test_the_best_answer_is_the_probability_of_being_real(spec: Any) -> None:
    """Where three of four images are real (equation 5: p / (p + q))."""

    def loss(answer: float) -> float:
        real, fake = images(answer, answer, answer, 1.0), images(answer, 0.0, 0.0, 0.0)
        return lsgan.d_loss(Fixed(), Batch(real, LABELS), fake, spec)[0].item()

    assert loss(0.75) < min(loss(0.7), loss(0.8))


def test_a_score_of_0_cannot_tell() -> None:
    logits = lsgan.score(Fixed(), images(0.5, 1.0, 0.0, 0.51), LABELS)
    assert logits[0] == 0
    assert logits[1] == -logits[2] == 2
    assert logits[3].sigmoid().item() == pytest.approx(0.51, abs=1e-4)
