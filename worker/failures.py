"""What can end an attempt, by name, and whether trying again may help."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganmodels.datasets import DatasetUnavailable


class NumericsChanged(Exception):
    """The job began under other conditions than this worker's; going on would not give the same numbers."""


class Diverged(Exception):
    """A number is no longer finite."""

    def __init__(self, step: int, reason: str) -> None:
        """Remember the step at which it was found."""
        super().__init__(f"not finite at step {step}: {reason}")
        self.step, self.reason = step, reason


def classed(error: Exception) -> tuple[str, bool]:
    """Name a failure, and tell whether trying again may help."""
    match error:
        case DatasetUnavailable():
            return "dataset_unavailable", False
        case NumericsChanged():
            return "numerics_changed", False
        case Diverged():
            return "diverged", False
        case torch.OutOfMemoryError() | MemoryError():
            return "out_of_memory", False
        case torch.AcceleratorError():
            return "device", True
        case OSError():
            return "io", True
        case ValueError():
            return "bad_spec", False
        case _:
            return "internal", False


def finite_or_raise(step: int, metrics: Mapping[str, Tensor]) -> dict[str, float]:
    """Read the metrics off the device. Raises Diverged when one is not finite."""
    numbers = {name: float(value) for name, value in metrics.items()}
    wrong = {name: value for name, value in numbers.items() if value - value != 0}
    if wrong:
        raise Diverged(step, ", ".join(f"{name} = {value}" for name, value in wrong.items()))
    return numbers


def whole_or_raise(step: int, network: nn.Module) -> None:
    """Raise Diverged when a weight is not finite: such a network must never become a checkpoint."""
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise Diverged(step, f"weight {name}")
