"""Attempts: each claim of a job, how it ended, and the end of what its process said."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.clock import now
from store.lifecycle import JobState
from store.tables import attempts, failed_attempts

LOG_CHARACTERS = 64_000  # kept of each attempt: the last ones


@dataclass(frozen=True)
class Attempt:
    """One worker's try at a job: `number` counts since the newest checkpoint, `token` is unlike any other try's."""

    token: int
    number: int
    worker_id: str
    started_at: datetime
    ended_at: datetime | None
    state: JobState | None
    log: str


BEGIN = insert(attempts).values(started_at=now(), log="")
COLUMNS = [attempts.c[name] for name in Attempt.__dataclass_fields__]


def begin(connection: Connection, job_number: int, token: int, number: int, worker_id: str) -> None:
    """Write that a worker has claimed the job."""
    values = {"job_number": job_number, "token": token, "number": number, "worker_id": worker_id}
    connection.execute(BEGIN, values)


def say(connection: Connection, job_number: int, token: int, log: str) -> None:
    """Keep the end of what the attempt's process has said so far."""
    kept = log.replace("\x00", "")[-LOG_CHARACTERS:]  # PostgreSQL's texts hold no zero byte
    here = (attempts.c.job_number == job_number, attempts.c.token == token)
    connection.execute(update(attempts).where(*here).values(log=kept))


def end(connection: Connection, job_number: int, token: int, state: JobState) -> None:
    """Write that the attempt is over, and what it left the job in."""
    here = (attempts.c.job_number == job_number, attempts.c.token == token)
    connection.execute(update(attempts).where(*here).values(ended_at=now(), state=state))


def count_failure(connection: Connection, code: str) -> None:
    """Count a failed attempt for good: deleting its job does not take it back."""
    counting = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(failed_attempts)
    once_more = {"count": failed_attempts.c.count + 1}
    row = counting.values(code=code, count=1)
    connection.execute(row.on_conflict_do_update(index_elements=["code"], set_=once_more))


def page(connection: Connection, job_number: int, after: int, limit: int) -> tuple[list[Attempt], bool]:
    """Return up to `limit` attempts whose token is above `after`, oldest first, and whether more follow."""
    query = (
        select(*COLUMNS)
        .where(attempts.c.job_number == job_number, attempts.c.token > after)
        .order_by(attempts.c.token)
        .limit(limit + 1)
    )
    found = [
        Attempt(**{**row._mapping, "state": row.state and JobState(row.state)}) for row in connection.execute(query)
    ]
    return found[:limit], len(found) > limit
