"""What changes in the course of a run: learning rates, and whatever else a family lets move."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Rates:
    """The settings of one step; `beta2` is None where it stays as it is."""

    discriminator: float
    generator: float
    ema_decay: float
    beta2: float | None = None


class HasRates(Protocol):
    """A spec with two learning rates that may fall to nothing at the end of the run."""

    @property
    def total_steps(self) -> int:
        """The steps of the whole run."""

    @property
    def discriminator_learning_rate(self) -> float:
        """The rate at the start."""

    @property
    def generator_learning_rate(self) -> float:
        """The rate at the start."""

    @property
    def cooldown(self) -> float:
        """The share of the run over which the rates fall."""

    @property
    def ema_decay(self) -> float:
        """The decay of the average."""


def cooldown(spec: HasRates, step: int) -> Rates:
    """Keep both rates whole until the cooldown, then let them fall to nothing in a straight line."""
    share = share_left(spec.total_steps, step, spec.cooldown)
    return Rates(spec.discriminator_learning_rate * share, spec.generator_learning_rate * share, spec.ema_decay)


def share_left(total_steps: int, step: int, cooldown: float) -> float:
    """Give the share of a rate that is left at `step`, counted from 1."""
    left = (total_steps - step + 1) / total_steps
    return min(1.0, left / cooldown) if cooldown > 0 else 1.0
