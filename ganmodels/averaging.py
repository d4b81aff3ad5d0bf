"""The averaged generator: an exponential moving average of the weights, and the buffers as they are."""

from copy import deepcopy

import torch
from torch import Tensor, nn


def averaged_copy(generator: nn.Module) -> nn.Module:
    """Start the average at the generator itself, in evaluation mode and out of reach of gradients."""
    return deepcopy(generator).eval().requires_grad_(False)


@torch.no_grad()
def update(averaged: nn.Module, generator: nn.Module, decay: float) -> None:
    """Move each averaged weight (1 − decay) of the way to the generator's; copy the buffers, which are statistics."""
    into: list[Tensor] = list(averaged.parameters())
    out_of: list[Tensor] = list(generator.parameters())
    torch._foreach_lerp_(into, out_of, 1 - decay)
    for kept, current in zip(averaged.buffers(), generator.buffers(), strict=True):
        kept.copy_(current)
