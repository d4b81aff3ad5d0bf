"""Faults of the write-ups that any discriminator can have, shown on the one with the most to it."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from ganmodels import training
from ganmodels.families import FAMILIES, acgan
from ganmodels.family import Batch, ImageShape, Metrics
from ganmodels.specs import SPEC
from ganmodels.training import State

SHAPE = ImageShape(1, 8, 10)
LABELS = torch.arange(8)

Loss = Callable[[nn.Module, Batch, Tensor, Any], tuple[Tensor, Metrics]]


def asked(**knobs: Any) -> Any:
    small = {"family": "acgan", "dataset": "digits", "width": 4, "batch_size": 8, "precision": "fp32"}
    return SPEC.validate_python({**small, **knobs})


def real_images() -> Tensor:
    return torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _is_dropout_active(prepare: Callable[[State], Any], share: float = 0.5) -> bool:
    """Tell whether two updates see the same weights and real images differently, and one update alike each time."""

    def seen(update: int) -> Tensor:
        spec = asked(dropout=share)
        state = training.start(spec, SHAPE)
        prepare(state)
        batch = Batch(real_images(), LABELS, update=update)
        return training.discriminator_step(spec, FAMILIES["acgan"], state, batch)["d_real"]

    assert torch.equal(seen(1), seen(1))
    return not torch.equal(seen(1), seen(2))


def test_dropout_that_is_never_active() -> None:
    """Ledger 10. `tf.layers.dropout` does nothing unless told that it is training."""
    assert _is_dropout_active(lambda state: None)
    assert not _is_dropout_active(lambda state: state.discriminator.network.eval())
    assert not _is_dropout_active(lambda state: None, share=0.0)  # what else an update draws is not what is seen


def _describes_real_images_alone(d_loss: Loss, family: str) -> bool:
    """Tell whether BatchNorm's statistics after a loss are those that the real images alone leave."""
    spec = asked(family=family, discriminator_norm="batch")
    ours, expected = (training.start(spec, SHAPE).discriminator.network for _ in range(2))
    real = real_images()
    torch.manual_seed(0)  # dropout leaves out the same activations in both
    d_loss(ours, Batch(real, LABELS), torch.zeros_like(real), spec)
    torch.manual_seed(0)
    expected(real, LABELS)
    found = dict(ours.named_buffers())
    assert any("running_var" in name for name in found)
    return all(torch.equal(found[name], statistic) for name, statistic in expected.named_buffers())


def _two_batches(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Metrics]:
    """Judge the generated images as the real ones: their statistics enter the same average."""
    (real_logits, real_classes), (fake_logits, _) = d(batch.real, batch.labels), d(fake, batch.labels)
    loss = softplus(-real_logits).mean() + softplus(fake_logits).mean() + cross_entropy(real_classes, batch.labels)
    return loss, {}


def _one_batch(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Metrics]:
    """Judge real and generated images together: each is normalized by what the other is."""
    logits, _ = d(torch.cat([batch.real, fake]), batch.labels.repeat(2))
    real_logits, fake_logits = logits.chunk(2)
    return softplus(-real_logits).mean() + softplus(fake_logits).mean(), {}


@pytest.mark.parametrize("family", ["acgan", "dcgan", "hinge", "lsgan", "r3gan"])
def test_statistics_are_of_real_images_alone(family: str) -> None:
    """Ledger 13: what holds of the real losses."""
    assert _describes_real_images_alone(FAMILIES[family].d_loss, family)


@pytest.mark.parametrize("faulty", [_two_batches, _one_batch])
def test_statistics_that_mix_real_and_generated_images(faulty: Loss) -> None:
    """Ledger 13. Evaluation then normalizes by statistics that no batch in training ever had."""
    assert not _describes_real_images_alone(faulty, "acgan")


class Sure(nn.Module):
    """Judges each image as the logits given say, and reads its label rightly."""

    def __init__(self, real: Tensor, fake: Tensor) -> None:
        super().__init__()
        self.answers = [real, fake]

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return self.answers.pop(0), 1e4 * nn.functional.one_hot(labels, 10).float()


def _keeps_confident_mistakes(d_loss: Loss) -> bool:
    """Tell whether the loss and its gradient are those of a calculation in double precision, however sure D is."""
    for logit in (0.0, 5.0, 20.0, 60.0):
        real = torch.full((8,), 9.0)
        fake = torch.full((8,), logit, requires_grad=True)
        loss, _ = d_loss(Sure(real, fake), Batch(real_images(), LABELS), real_images(), asked())
        torch.autograd.backward(loss)
        assert fake.grad is not None
        expected = math.log1p(math.exp(-9.0)) + math.log1p(math.exp(logit))
        slope = 1 / (1 + math.exp(-logit))
        if not math.isclose(loss.item(), expected, rel_tol=1e-5):
            return False
        if not math.isclose(fake.grad.sum().item(), slope, rel_tol=1e-5):
            return False
    return True


def _of_probabilities(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Metrics]:
    real_logits, _ = d(batch.real, batch.labels)
    fake_logits, _ = d(fake, batch.labels)
    loss = -(real_logits.sigmoid() + 1e-8).log().mean() - (1 - fake_logits.sigmoid() + 1e-8).log().mean()
    return loss, {}


def test_an_epsilon_that_float32_loses() -> None:
    """Ledger 15. 1 − p + 1e-8: p is 1 to float32 from a logit of 17 on, the loss stands still and its slope is 0."""
    assert _keeps_confident_mistakes(acgan.d_loss)
    assert not _keeps_confident_mistakes(_of_probabilities)
