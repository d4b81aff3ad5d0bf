import math

import pytest
import torch

from ganmodels.losses import logistic, minimax, non_saturating


def test_a_discriminator_that_cannot_tell_pays_log_4() -> None:
    assert logistic(torch.zeros(3), torch.zeros(5)).item() == pytest.approx(math.log(4))


def test_the_logistic_loss_is_the_cross_entropy_of_the_probabilities() -> None:
    real, fake = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([-0.7, 0.1])
    expected = -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
    torch.testing.assert_close(logistic(real, fake), expected)


def test_the_generators_losses_are_minus_log_real_and_log_fake() -> None:
    fake = torch.tensor([-0.7, 0.1, 3.0])
    torch.testing.assert_close(non_saturating(fake), -fake.sigmoid().log().mean())
    torch.testing.assert_close(minimax(fake), (1 - fake.sigmoid()).log().mean())


def test_losses_of_confident_logits_stay_finite_and_keep_their_gradient() -> None:
    wrong = torch.tensor([-200.0], requires_grad=True)
    logistic(wrong, -wrong).backward()
    assert logistic(wrong, -wrong).item() == pytest.approx(400)
    assert wrong.grad is not None
    assert wrong.grad.item() == pytest.approx(-2)


def test_minimax_fades_where_non_saturating_does_not() -> None:
    gradients = []
    for loss in (minimax, non_saturating):
        rejected = torch.tensor([-10.0], requires_grad=True)
        loss(rejected).backward()
        assert rejected.grad is not None
        gradients.append(rejected.grad.item())
    assert -1e-4 < gradients[0] < 0
    assert gradients[1] == pytest.approx(-1, abs=1e-4)


def test_both_generator_losses_fall_as_the_fakes_pass_for_real() -> None:
    worse, better = torch.tensor([-1.0]), torch.tensor([1.0])
    assert non_saturating(better) < non_saturating(worse)
    assert minimax(better) < minimax(worse)
