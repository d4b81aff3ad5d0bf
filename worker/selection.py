"""Which of a run's checkpoints is the best so far on validation, and when no better one is to be expected."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Selection:
    """The lowest figure so far, the step it was measured at, and how many evaluations came after it."""

    judged_by: str
    lowest: float | None = None
    step: int | None = None
    since: int = 0

    def consider(self, step: int, figures: Mapping[str, float]) -> bool:
        """Take an evaluation into account; tell whether it is the best so far."""
        figure = figures.get(self.judged_by)
        if figure is None:
            return False
        if self.lowest is not None and figure >= self.lowest:
            self.since += 1
            return False
        self.lowest, self.step, self.since = figure, step, 0
        return True

    def exhausted(self, patience: int | None) -> bool:
        """Tell whether so many evaluations in a row were no better that the run should end."""
        return patience is not None and self.since >= patience

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Give what a resumed run must know."""
        return asdict(self)

    @classmethod
    def of(cls, judged_by: str, stored: Mapping[str, Any] | None) -> "Selection":  # Any: JSON
        """Start anew, or go on from what a checkpoint stored."""
        return cls(**stored) if stored else cls(judged_by)
