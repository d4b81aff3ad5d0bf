"""Events: what happened to a job, in order. The sequence number is the id that a client resumes from.

Every event of a job is written in a transaction that has first changed or inserted the job's row. That row's lock
puts the events of one job in the order of their numbers, so a reader that has seen number n misses none below it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, false, func, insert, or_, select

from store import outbox
from store.clock import now
from store.tables import events, jobs


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job."""

    seq: int
    type: str
    data: Mapping[str, Any]  # Any: JSON
    at: datetime


WEBHOOKS = select(jobs.c.spec["webhooks"]).where(jobs.c.number == bindparam("job")).scalar_subquery()
APPEND = insert(events).values(at=now()).returning(events.c.seq, WEBHOOKS)  # built once: most writes hold one
COLUMNS = [events.c[name] for name in Event.__dataclass_fields__]
MOST_JOBS = 200  # in one condition: SQLite reads it to a depth of 1,000


def append(connection: Connection, job_number: int, type_: str, data: Mapping[str, Any]) -> None:
    """Write an event of a job whose row this transaction has changed, and what its webhooks are to be told of it."""
    values = {"job_number": job_number, "type": type_, "data": dict(data), "job": job_number}
    seq, webhooks = connection.execute(APPEND, values).one()
    if webhooks:
        outbox.write(connection, job_number, webhooks, type_, data, seq)


def newest(connection: Connection, job_number: int, type_: str | None = None) -> int:
    """Return the number of a job's newest event, or of its newest of one type, 0 where there is none."""
    query = select(func.max(events.c.seq)).where(events.c.job_number == job_number)
    return connection.scalar(query if type_ is None else query.where(events.c.type == type_)) or 0


def since(connection: Connection, positions: Mapping[int, int], limit: int) -> dict[int, list[Event]]:
    """Return the oldest events of several jobs, by job, each numbered above the job's position; `limit` for all."""
    found: dict[int, list[Event]] = {}
    for first in range(0, len(positions), MOST_JOBS):
        some = list(positions.items())[first : first + MOST_JOBS]
        above = (and_(events.c.job_number == number, events.c.seq > position) for number, position in some)
        query = select(events.c.job_number, *COLUMNS).where(or_(false(), *above)).order_by(events.c.seq).limit(limit)
        for number, *row in connection.execute(query):
            found.setdefault(number, []).append(Event(*row))
    return found


def gone(connection: Connection, job_numbers: Collection[int]) -> set[int]:
    """Return those of these jobs that have been deleted."""
    return set(job_numbers) - set(connection.scalars(select(jobs.c.number).where(jobs.c.number.in_(job_numbers))))


def page(connection: Connection, job_number: int, after: int, limit: int) -> tuple[list[Event], bool]:
    """Return up to `limit` events numbered above `after`, oldest first, and whether more follow."""
    query = (
        select(*COLUMNS)
        .where(events.c.job_number == job_number, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(limit + 1)
    )
    found = [Event(*row) for row in connection.execute(query)]
    return found[:limit], len(found) > limit
