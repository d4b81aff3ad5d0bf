from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ganmodels import training
from ganmodels.families import wgan
from ganmodels.family import Batch, Family, ImageShape, Metrics, unchanged
from ganmodels.specs import SPEC
from ganmodels.specs.wgan import WganSpec


def batches_of(count: int) -> list[Batch]:
    random = torch.Generator().manual_seed(3)
    return [
        Batch(torch.rand(16, 1, 8, 8, generator=random), torch.zeros(16, dtype=torch.int64), update=update)
        for update in range(1, count + 1)
    ]


def clip_then_score(d: nn.Module, batch: Batch, fake: Tensor, spec: WganSpec) -> tuple[Tensor, Metrics]:
    """The fault: clipping runs beside the update instead of after it, and here comes first."""
    wgan.clip(d, spec)
    return wgan.d_loss(d, batch, fake, spec)


def clip_weights_alone(network: nn.Module, spec: WganSpec) -> None:
    """The fault's cousin: a filter by name clips the weights and forgets the biases."""
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            parameter.data.clamp_(-spec.clip, spec.clip)


def test_weight_clipping_racing_the_update() -> None:
    """Ledger 5: after every step, not one parameter of the critic is beyond the clip."""
    asked: dict[str, Any] = {"family": "wgan", "dataset": "digits", "device": "cpu", "precision": "fp32"}
    spec = SPEC.validate_python(asked | {"batch_size": 16, "discriminator_learning_rate": 1e-2})

    def keeps_to_the_clip(family: Family) -> bool:
        state = training.start(spec, ImageShape(1, 8, 10))
        largest = 0.0
        for number in range(3):
            training.step(spec, family, state, batches_of(number + 1))
            parameters = state.discriminator.network.parameters()
            largest = max(largest, *(parameter.abs().max().item() for parameter in parameters))
        return largest <= torch.tensor(spec.clip).item()  # as float32 holds it

    assert keeps_to_the_clip(wgan.FAMILY)
    assert not keeps_to_the_clip(replace(wgan.FAMILY, d_loss=clip_then_score, after_update=unchanged))
    assert not keeps_to_the_clip(replace(wgan.FAMILY, after_update=clip_weights_alone))
