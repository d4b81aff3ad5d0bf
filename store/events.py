"""Events: what happened to a job, in order. The sequence number is the id that a client resumes from.

Every event of a job is written in a transaction that has first changed or inserted the job's row. That row's lock
puts the events of one job in the order of their numbers, so a reader that has seen number n misses none below it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from store.clock import now
from store.tables import events


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job."""

    seq: int
    type: str
    data: Mapping[str, Any]  # Any: JSON
    at: datetime


def append(connection: Connection, job_number: int, type_: str, data: Mapping[str, Any]) -> None:
    """Write an event of a job whose row this transaction has changed."""
    row = {"job_number": job_number, "type": type_, "data": dict(data), "at": now()}
    connection.execute(insert(events).values(row))


def page(connection: Connection, job_number: int, after: int, limit: int) -> tuple[list[Event], bool]:
    """Return up to `limit` events numbered above `after`, oldest first, and whether more follow."""
    query = (
        select(events.c.seq, events.c.type, events.c.data, events.c.at)
        .where(events.c.job_number == job_number, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(limit + 1)
    )
    found = [Event(*row) for row in connection.execute(query)]
    return found[:limit], len(found) > limit
