"""Figures of several runs: mean, deviation and interval, and whether they meet their mark."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import t

from benchmarks.papers.records import Record


@dataclass(frozen=True)
class Figure:
    """A figure of every run. Its mean is held against `at_least` or `at_most`, where there is a mark."""

    what: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    digits: int = 4  # significant ones, or none after the point when 0

    @property
    def mean(self) -> float:
        """Return the mean over the runs."""
        return statistics.fmean(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the mean meets its mark; None where there is none, or no run."""
        if not self.values or (self.at_least is None and self.at_most is None):
            return None
        lowest = -math.inf if self.at_least is None else self.at_least
        highest = math.inf if self.at_most is None else self.at_most
        return lowest <= self.mean <= highest

    def text(self) -> str:
        """Write mean ± standard deviation and the number of runs."""
        if not self.values:
            return f"{self.what}: not run yet"
        spread = ""
        if len(self.values) > 1 and math.isfinite(self.mean):
            spread = f" ± {self._short(statistics.stdev(self.values))}"
        return f"{self.what}: {self._short(self.mean)}{spread} (n = {len(self.values)})"

    def _short(self, value: float) -> str:
        if not math.isfinite(value):
            return "never" if value > 0 else str(value)
        return f"{value:.0f}" if self.digits == 0 or abs(value) >= 1000 else f"{value:.{self.digits}g}"


def mean_of(
    what: str,
    runs: Sequence[Record],
    name: str,
    times: float = 1,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """Read one figure of each run that has it."""
    values = [value * times for run in runs if (value := run.figures.get(name)) is not None]
    return Figure(what, values, at_least, at_most)


def excess(what: str, runs: Sequence[Record], name: str, over: str, times: float, at_most: float) -> Figure:
    """Read by how much one figure of each run is above another."""
    pairs = [(run.figures.get(name), run.figures.get(over)) for run in runs]
    above = [(some - other) * times for some, other in pairs if some is not None and other is not None]
    return Figure(what, above, at_most=at_most)


def fraction_of(
    what: str, runs: Sequence[Record], holds: Callable[[Mapping[str, Any]], bool], at_least: float
) -> Figure:
    """Tell of how many runs something holds."""
    return Figure(what, [float(holds(run.figures)) for run in runs], at_least=at_least)


def paired_gain(
    what: str, some: Sequence[Record], others: Sequence[Record], name: str, times: float, at_least: float
) -> list[Figure]:
    """Read the difference seed by seed, and the lower end of the 95 % interval of its mean by Student's t."""
    there = {run.spec["seed"]: run for run in others}
    gains = [
        ((run.figures[name] or 0.0) - (there[run.spec["seed"]].figures[name] or 0.0)) * times
        for run in some
        if run.spec["seed"] in there
    ]
    if len(gains) < 2:
        return [Figure(what, gains, at_least=at_least)]
    half = float(t.ppf(0.975, len(gains) - 1)) * statistics.stdev(gains) / math.sqrt(len(gains))
    lower = Figure("lower end of its 95 % interval", [statistics.fmean(gains) - half], at_least=0.0)
    return [Figure(what, gains, at_least=at_least), lower]
