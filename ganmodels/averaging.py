"""The averaged network: an exponential moving average of the weights and of BatchNorm's running statistics.

Statistics of today's weights say little about an average that lags behind them: a `catgan` with 20 clusters read half
of the images wrongly with them and a third with its own, in the middle of training (docs/experiments.md).
"""

from copy import deepcopy

import torch
from torch import Tensor, nn

from ganmodels.normalization import running_statistics


def averaged_copy(network: nn.Module) -> nn.Module:
    """Start the average at the network itself, in evaluation mode and out of reach of gradients."""
    return deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def update(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move each weight and statistic (1 − decay) of the way to the network's; copy all other buffers."""
    statistics = running_statistics(averaged)
    for name, kept in averaged.named_buffers():
        if name not in statistics:
            kept.copy_(network.get_buffer(name))
    into: list[Tensor] = [*averaged.parameters(), *statistics.values()]
    out_of: list[Tensor] = [*network.parameters(), *(network.get_buffer(name) for name in statistics)]
    torch._foreach_lerp_(into, out_of, 1 - decay)
