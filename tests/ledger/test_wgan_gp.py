from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ganmodels import training
from ganmodels.families import wgan, wgan_gp
from ganmodels.family import Batch, ImageShape, Metrics
from ganmodels.specs import SPEC

Loss = Callable[[nn.Module, Batch, Tensor, Any], tuple[Tensor, Metrics]]


def asked(**knobs: Any) -> Any:
    small = {"dataset": "digits", "width": 4, "device": "cpu", "precision": "fp32", "batch_size": 8}
    return SPEC.validate_python({"family": "wgan_gp", **small, **knobs})


def never_added(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Metrics]:
    """The fault: the penalty is declared, computed and reported, and never added to the loss."""
    _, metrics = wgan_gp.d_loss(d, batch, fake, spec)
    return wgan.d_loss(d, batch, fake, spec)[0], metrics


def test_a_gradient_penalty_that_is_declared_and_never_added() -> None:
    """Ledger 20: the loss rises by the penalty that is reported, for each unit of its weight."""
    critic = training.start(asked(), ImageShape(1, 8, 10)).discriminator.network
    random = torch.Generator().manual_seed(3)
    real, fake = (2 * torch.rand(8, 1, 8, 8, generator=random) - 1 for _ in range(2))
    batch = Batch(real, torch.zeros(8, dtype=torch.int64))

    def is_felt(loss: Loss) -> bool:
        found = []
        for weight in (10.0, 11.0):
            torch.manual_seed(0)
            value, metrics = loss(critic, batch, fake, asked(penalty_weight=weight))
            found.append(value)
        return torch.isclose(found[1] - found[0], metrics["gradient_penalty"], rtol=1e-3).item() is True

    assert is_felt(wgan_gp.d_loss)
    assert not is_felt(never_added)
