"""What moves the weights, and the moments it keeps, which a checkpoint must hold."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

# What each kind remembers of a parameter, beside the number of its steps.
MOMENTS: dict[type[Optimizer], tuple[str, ...]] = {Adam: ("exp_avg", "exp_avg_sq"), RMSprop: ("square_avg",)}


class HasBetas(Protocol):
    """A spec with Adam's two decays."""

    @property
    def beta1(self) -> float:
        """The decay of the mean gradient."""

    @property
    def beta2(self) -> float:
        """The decay of the squared gradient."""


def adam(network: nn.Module, spec: HasBetas, rate: float) -> Optimizer:
    """Make Adam with the spec's decays (Kingma, Ba 2014)."""
    return Adam(network.parameters(), lr=rate, betas=(spec.beta1, spec.beta2), fused=True)


def set_rates(optimizer: Optimizer, rate: float, beta2: float | None) -> None:
    """Set the learning rate, and Adam's second decay where it changes in the course of a run."""
    for group in optimizer.param_groups:
        group["lr"] = rate
        if beta2 is not None:
            group["betas"] = (group["betas"][0], beta2)


def moments(optimizer: Optimizer, network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Walk over what the optimizer remembers, in place, by the parameter's name and the moment's."""
    kept = next(kept for kind, kept in MOMENTS.items() if isinstance(optimizer, kind))
    for name, parameter in network.named_parameters():
        state = optimizer.state[parameter]
        if not state:
            state |= _at_the_start(parameter, kept)
        for moment in (*kept, "step"):
            yield f"{name}.{moment}", state[moment]


def _at_the_start(parameter: Tensor, kept: tuple[str, ...]) -> dict[str, Any]:  # Any: as the optimizer types it
    """Give the zeros that an optimizer starts from, which it only makes at its first step."""
    step = torch.zeros((), dtype=torch.float32, device=parameter.device)
    return {"step": step, **{moment: torch.zeros_like(parameter) for moment in kept}}
