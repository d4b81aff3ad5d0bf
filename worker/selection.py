"""Which of a run's checkpoints is the best so far on validation, and when no better one is to be expected."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass
class Selection:
    """The lowest figure so far, the step it was measured at, and how many evaluations came after it."""

    judged_by: str | None
    lowest: float | None = None
    step: int | None = None
    since: int = 0

    def consider(self, step: int, figures: Mapping[str, float]) -> bool:
        """Take an evaluation into account; tell whether it is the best so far."""
        figure = figures.get(self.judged_by) if self.judged_by else None
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

    def of_step(self, step: int) -> "Selection":
        """Give what another job, which goes on from this step, begins to compare with: this step, if it is the best."""
        return replace(self, since=0) if self.step == step else Selection(self.judged_by)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Give what a resumed run must know."""
        return asdict(self)

    @classmethod
    def of(cls, judged_by: str | None, stored: Mapping[str, Any] | None) -> "Selection":  # Any: JSON
        """Start anew, or go on from what a checkpoint stored of the same figure."""
        return cls(**stored) if stored and stored["judged_by"] == judged_by else cls(judged_by)
