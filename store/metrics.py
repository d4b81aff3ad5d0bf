"""Metrics: one number per job, name and step, and curves of them thinned honestly."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, literal, or_, select

from store.tables import metrics

COST, TEST = "cpu_seconds", "test_"  # what a run tells when it has ended, and may tell anew


class Point(NamedTuple):  # a curve has ten thousand, and a dataclass takes three times as long to make
    """One value of one metric; None where the number was not finite."""

    step: int
    value: float | None


def record(connection: Connection, job_number: int, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    """Write each step's numbers. A step written twice is an error of ours, and the database says so."""
    rows = [
        {"job_number": job_number, "name": name, "step": step, "value": finite(value)}
        for step, numbers in points
        for name, value in numbers.items()
    ]
    if rows:
        connection.execute(insert(metrics), rows)


def forget_after(connection: Connection, job_number: int, step: int) -> None:
    """Remove what an attempt that resumes at `step` writes anew: the points above it, and a run's last figures."""
    last = or_(metrics.c.name == COST, metrics.c.name.startswith(TEST, autoescape=True))
    connection.execute(delete(metrics).where(metrics.c.job_number == job_number, or_(metrics.c.step > step, last)))


def newest(connection: Connection, job_number: int) -> dict[str, float | None]:
    """Return the last value of each metric."""
    mine = metrics.c.job_number == job_number
    ends = (
        select(metrics.c.name, func.max(metrics.c.step).label("step")).where(mine).group_by(metrics.c.name).subquery()
    )
    there = (metrics.c.name == ends.c.name) & (metrics.c.step == ends.c.step)
    rows = connection.execute(select(metrics.c.name, metrics.c.value).join(ends, there).where(mine))
    return {row.name: row.value for row in rows}


def names(connection: Connection, job_number: int, after: str, limit: int) -> tuple[list[str], bool]:
    """Return up to `limit` names of the job's metrics beyond `after`, in order, and whether more follow.

    Goes from each name to the next one in the index, whatever number of points lies between.
    """
    least = select(func.min(metrics.c.name)).where(metrics.c.job_number == job_number)
    first = least.where(metrics.c.name > after).scalar_subquery()
    found = select(literal(1).label("place"), first.label("name")).cte("found", recursive=True)
    following = least.where(metrics.c.name > found.c.name).scalar_subquery()
    more = (found.c.place <= limit, found.c.name.is_not(None))
    found = found.union_all(select(found.c.place + 1, following).where(*more))
    query = select(found.c.name).where(found.c.name.is_not(None)).order_by(found.c.place)
    names = list(connection.scalars(query))
    return names[:limit], len(names) > limit


def series(connection: Connection, job_number: int, name: str, from_step: int = 0) -> list[Point]:
    """Return every point of one metric from a step on, in order."""
    query = (
        select(metrics.c.step, metrics.c.value)
        .where(metrics.c.job_number == job_number, metrics.c.name == name, metrics.c.step >= from_step)
        .order_by(metrics.c.step)
    )
    return [Point(*row) for row in connection.execute(query)]


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """Keep at most `most` points of a curve, its ends and every stretch's lowest and highest among them."""
    if len(points) <= most:
        return list(points)
    if most < 4:
        return [points[round(i * (len(points) - 1) / max(1, most - 1))] for i in range(most)]
    inner, stretches = points[1:-1], (most - 2) // 2
    kept = [points[0]]
    for i in range(stretches):
        stretch = inner[i * len(inner) // stretches : (i + 1) * len(inner) // stretches]
        lowest, highest = min(stretch, key=_low), max(stretch, key=_high)
        kept += sorted({lowest, highest}, key=lambda point: point.step)
    return [*kept, points[-1]]


def finite(value: float) -> float | None:
    """Return the number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def _low(point: Point) -> float:
    return math.inf if point.value is None else point.value


def _high(point: Point) -> float:
    return -math.inf if point.value is None else point.value
