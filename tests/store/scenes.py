"""Scenes: jobs brought into every state, leases made to run out, and the whole database as one value."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from ganmodels.specs import SPEC, Knobs
from store import aliases, attempts, audit, claims, jobs, keys, tables, workers
from store.claims import Claim
from store.database import Database
from store.jobs import Job
from store.lifecycle import JobState
from store.previews import Picture

LEASE = timedelta(minutes=1)
CARD = {"serves": ["images", "labels"], "metrics": {}}
HOOKED = [{"url": "https://example.org/hook", "events": ["running"]}]
FILES = {"state.safetensors": {"sha256": "0" * 64, "size": 3}}


def spec(**knobs: Any) -> Knobs:
    return SPEC.validate_python({"family": "cgan", "dataset": "digits", "total_steps": 100} | knobs)


def submit(database: Database, **knobs: Any) -> Job:
    with database.write() as connection:
        return jobs.submit(connection, spec(**knobs)).job


def claim(database: Database, worker: str = "worker-1", lease: timedelta = LEASE) -> Claim | None:
    with database.write() as connection:
        return claims.claim(connection, worker, lease)


def start(database: Database, worker: str = "worker-1", **knobs: Any) -> Claim:
    """Submit a job and claim it; nothing else may wait."""
    job = submit(database, **knobs)
    held = claim(database, worker)
    assert held is not None
    assert held.job.id == job.id
    return held


def run(database: Database, worker: str = "worker-1", **knobs: Any) -> Claim:
    """Submit a job, claim it and begin to train."""
    held = start(database, worker, **knobs)
    with database.write() as connection:
        claims.begin(connection, held, 0)
    return held


def hold(database: Database, state: JobState, **knobs: Any) -> Claim:
    """Bring a new job into one of the states in which a worker holds it."""
    if state is JobState.STARTING:
        return start(database, **knobs)
    held = run(database, **knobs)
    if state is not JobState.RUNNING:
        with database.write() as connection:
            jobs.move(connection, held.job.number, state)
    return held


def put(database: Database, job: Job, **values: Any) -> None:
    """Write columns of a job behind the store's back."""
    with database.write() as connection:
        connection.execute(update(tables.jobs).where(tables.jobs.c.number == job.number).values(**values))


def expire(database: Database, job: Job) -> None:
    """Let the job's lease be over."""
    with database.read() as connection:
        ends = connection.scalar(select(tables.jobs.c.lease_expires_at).where(tables.jobs.c.number == job.number))
    assert ends is not None
    put(database, job, lease_expires_at=ends - timedelta(days=1))


def read(database: Database, job: Job) -> Job:
    with database.read() as connection:
        return jobs.get(connection, job.id)


def column(database: Database, job: Job, name: str) -> Any:
    with database.read() as connection:
        return connection.scalar(select(tables.jobs.c[name]).where(tables.jobs.c.number == job.number))


def happened(database: Database, job: Job) -> list[str]:
    """Return the types of the job's events, in order."""
    query = select(tables.events.c.type).where(tables.events.c.job_number == job.number).order_by(tables.events.c.seq)
    with database.read() as connection:
        return list(connection.scalars(query))


def told(database: Database, job: Job) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the types of the job's events and what they say, in order."""
    chosen = select(tables.events.c.type, tables.events.c.data).where(tables.events.c.job_number == job.number)
    with database.read() as connection:
        return [(type_, data) for type_, data in connection.execute(chosen.order_by(tables.events.c.seq))]


def fill(database: Database) -> None:
    """Leave a row in every table; no file."""
    held = run(database, webhooks=HOOKED)
    with database.write() as connection:
        jobs.submit(connection, spec(), "key")
        claims.report(connection, held, 5, [(5, {"d_loss": 0.5})])
        claims.checkpoint(connection, held, 5, "folder", FILES, CARD)
        claims.preview(connection, held, 5, Picture("path", "0" * 64, 80, 80, None))
        aliases.put(connection, "default", held.job.id, 5)
        workers.announce(connection, "worker-1", "host", 7, "cpu")
        key = keys.add(connection, keys.draw(), "mine", [keys.Scope.ADMIN])
        audit.append(connection, audit.OPERATOR, "create key", key.id)
        attempts.count_failure(connection, "io")
    assert all(dump(database).values())


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table."""
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in tables.metadata.sorted_tables
        }
