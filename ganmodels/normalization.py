"""What depends on a network's mode: running statistics, and how they are kept to what they are meant to describe."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import _SpectralNorm


def running_statistics(network: nn.Module) -> dict[str, Tensor]:
    """Name the means and variances (C,) that BatchNorm has gathered: buffers that follow the weights."""
    return {
        f"{path}.{name}" if path else name: statistic
        for path, module in network.named_modules()
        if isinstance(module, _BatchNorm)
        for name, statistic in module.named_buffers(recurse=False)
        if statistic.is_floating_point()
    }


@contextmanager
def evaluating(*networks: nn.Module) -> Iterator[None]:
    """Compute as in evaluation, and return each network to the mode it was in."""
    were = [network.training for network in networks]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for network, training in zip(networks, were, strict=True):
            network.train(training)


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Compute as in training, but leave every running statistic as it was.

    BatchNorm normalizes by the batch's own statistics; spectral norm keeps its estimate of the singular vectors.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    spectral = [module for module in network.modules() if isinstance(module, _SpectralNorm) and module.training]
    try:
        for norm in norms:
            norm.track_running_stats = False
        for estimate in spectral:
            estimate.eval()
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for estimate in spectral:
            estimate.train()
