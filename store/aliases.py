"""Aliases: names that serve, each for a job and one of its checkpoints."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from store import checkpoints, jobs, tables
from store.clock import now
from store.errors import AliasNotFound
from store.tables import aliases

Step = Literal["latest", "best"] | int

DEFAULT = "default"  # who answers where nobody is named


@dataclass(frozen=True)
class Alias:
    """A name for the newest or the best checkpoint of a job, or for that of one step."""

    name: str
    job: str
    job_number: int
    step: Step
    updated_at: datetime


COLUMNS = [aliases.c.name, tables.jobs.c.id, *(aliases.c[name] for name in ("job_number", "step", "updated_at"))]
QUERY = select(*COLUMNS).join(tables.jobs)


def put(connection: Connection, name: str, job_id: str, step: Step) -> bool:
    """Point a name at a job, in one move from whatever it stood for; return whether it is new.

    Raises JobNotFound, and for a step CheckpointNotFound or CheckpointPruned.
    """
    job = jobs.locked(connection, job_id)  # it can be neither deleted nor pruned meanwhile
    if isinstance(step, int):
        checkpoints.at(connection, job.number, step)
    values = {"job_number": job.number, "step": step, "updated_at": now()}
    moved = update(aliases).where(aliases.c.name == name).values(values)
    if connection.execute(moved).rowcount == 1:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(aliases).values(name=name, **values))
    except IntegrityError:  # committed since we looked
        connection.execute(moved)
        return False
    return True


def get(connection: Connection, name: str) -> Alias:
    """Return what a name stands for, or raise AliasNotFound."""
    found = find(connection, name)
    if found is None:
        raise AliasNotFound(f"no model {name}")
    return found


def find(connection: Connection, name: str) -> Alias | None:
    """Return what a name stands for; None where it is nobody's."""
    row = connection.execute(QUERY.where(aliases.c.name == name)).one_or_none()
    return None if row is None else Alias(*row)


def page(connection: Connection, after: str | None, limit: int) -> tuple[list[Alias], bool]:
    """Return up to `limit` aliases that come after a name, in order of their names, and whether more follow."""
    query = QUERY.order_by(aliases.c.name).limit(limit + 1)
    if after is not None:
        query = query.where(aliases.c.name > after)
    found = [Alias(*row) for row in connection.execute(query)]
    return found[:limit], len(found) > limit


def remove(connection: Connection, name: str) -> None:
    """Let a name stand for nothing; raise AliasNotFound where it did already."""
    if connection.execute(delete(aliases).where(aliases.c.name == name)).rowcount == 0:
        raise AliasNotFound(f"no model {name}")
