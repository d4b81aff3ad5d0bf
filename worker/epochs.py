"""The figures of each pass over the images: means over the epoch's steps, beside the same on validation."""

from collections.abc import Mapping
from typing import Any

TRAINED = {"d_loss": "train_loss_d", "g_loss": "train_loss_g", "batch_accuracy": "train_accuracy"}


class Epochs:
    """Adds up a run's metrics, step by step, and tells where an epoch of `steps` ends.

    `sums` and `counts` are all that a resumed run must know.
    """

    def __init__(self, steps: int, stored: Mapping[str, Any] | None = None) -> None:  # Any: JSON
        """Start anew, or go on from what a checkpoint stored."""
        self.steps = steps
        self._sums: dict[str, float] = dict(stored["sums"]) if stored else {}
        self._counts: dict[str, int] = dict(stored["counts"]) if stored else {}

    def add(self, numbers: Mapping[str, float]) -> None:
        """Take a step's metrics into account."""
        for name in TRAINED.keys() & numbers.keys():
            self._sums[name] = self._sums.get(name, 0.0) + numbers[name]
            self._counts[name] = self._counts.get(name, 0) + 1

    def over(self, step: int) -> bool:
        """Tell whether an epoch ends with this step."""
        return step % self.steps == 0

    def close(self, step: int) -> dict[str, float]:
        """Give the epoch's number and means, and start the next."""
        means = {TRAINED[name]: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return {"epoch": float(step // self.steps), **means}

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Give what a resumed run must know."""
        return {"sums": self._sums, "counts": self._counts}
