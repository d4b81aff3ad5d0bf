"""A database filled by the hundred thousand: old jobs that have ended, a few that run, and a long queue."""

import math
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Connection, insert, literal, select, text

from ganmodels.specs import SPEC
from store.database import Database
from store.lifecycle import TERMINAL, JobState
from store.tables import checkpoints, deliveries, events, jobs, metrics

SERIES_POINTS = 10_000
SERIES_OF_A_JOB = 20  # but for one job that has half of all
ENDED, RUNNING = 0.6, 0.001  # shares of the jobs; the others wait
FAMILIES = ("dcgan", "cgan", "wgan_gp", "hinge", "gan")
DATASETS = ("mnist", "fashion-mnist", "digits")
NAMES = (None, "baseline", "sweep", "night run")
PRIORITIES = (0, 0, 0, 5, -5)
FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
Row = dict[str, Any]  # Any: column values


@dataclass(frozen=True)
class Filled:
    """The ids to ask for: all jobs, oldest first; the names of the metrics of those that have any."""

    job_ids: list[str]
    series: dict[str, list[str]]


def fill(database: Database, job_count: int, point_count: int) -> Filled:
    """Write jobs, their events and checkpoints, and series of 10,000 metric points each, into an empty database."""
    draws = random.Random(7)
    rows = [_job(i / job_count, i, draws) for i in range(job_count)]
    with database.write() as connection:
        connection.execute(insert(jobs), rows)
        _tell(connection)
    ended = [number for number, row in enumerate(rows, 1) if row["state"] in TERMINAL]
    series_count = max(2, point_count // SERIES_POINTS)
    curves = {ended[0]: series_count - series_count // 2}
    for number in ended[1 : 2 + series_count // 2 // SERIES_OF_A_JOB]:
        curves[number] = min(SERIES_OF_A_JOB, series_count - sum(curves.values()))
    _draw(database, curves)
    settle(database)
    names = {rows[number - 1]["id"]: [_name(i) for i in range(count)] for number, count in curves.items() if count}
    return Filled([row["id"] for row in rows], names)


def settle(database: Database) -> None:
    """Do what PostgreSQL would do by itself a little later."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for command in ("SET synchronous_commit = on", "ANALYZE", "VACUUM"):  # VACUUM trusts what is on disk
                connection.execute(text(command))


def _job(age: float, number: int, draws: random.Random) -> Row:
    state = JobState.QUEUED
    if age < ENDED:
        (state,) = draws.choices([JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED], (80, 15, 5))
    elif age < ENDED + RUNNING:
        state = JobState.RUNNING
    asked = {"family": draws.choice(FAMILIES), "dataset": draws.choice(DATASETS), "priority": draws.choice(PRIORITIES)}
    spec = SPECS[asked["family"]] | asked
    at = FIRST + timedelta(minutes=number)
    return {
        "id": str(uuid.UUID(int=draws.getrandbits(128), version=4)),
        **asked,
        "name": draws.choice(NAMES),
        "tags": {},
        "state": state,
        "spec": spec,
        "origin": None,
        "step": 0 if state is JobState.QUEUED else 1000,
        "total_steps": 1000,
        "metrics": {} if state is JobState.QUEUED else {f"figure_{i}": draws.random() for i in range(20)},
        "token": 0 if state is JobState.QUEUED else 1,
        "attempt": 0 if state is JobState.QUEUED else 1,
        "failures": 0,
        "max_attempts": 3,
        "worker_id": f"worker-{number}" if state is JobState.RUNNING else None,
        "lease_expires_at": LAST if state is JobState.RUNNING else None,
        "created_at": at,
        "queued_at": at,
    }


SPECS = {
    family: SPEC.validate_python({"family": family, "dataset": "digits"}).model_dump(mode="json") for family in FAMILIES
}


def _tell(connection: Connection) -> None:
    """Write four events of every job; of each that has ended three checkpoints, and a webhook that was told."""
    for type_ in ("queued", "starting", "running", "done"):
        said = select(jobs.c.number, literal(type_), literal({}, JSON), jobs.c.queued_at)
        connection.execute(insert(events).from_select(["job_number", "type", "data", "at"], said))
    for step in (200, 600, 1000):
        files, card = {"state.safetensors": {"sha256": "0" * 64, "size": 3}}, {"serves": ["images"], "metrics": {}}
        columns = ["job_number", "step", "folder", "files", "card", "metrics", "created_at"]
        written = select(
            jobs.c.number,
            literal(step),
            literal(f"jobs/{step}"),
            *(literal(value, JSON) for value in (files, card, {"fd_classifier": 1 / step})),
            jobs.c.queued_at,
        ).where(jobs.c.state.in_(TERMINAL))
        connection.execute(insert(checkpoints).from_select(columns, written))
    heard = select(jobs.c.id, jobs.c.number, literal("https://example.org"), literal("{}"), literal(1))
    columns = ["id", "job_number", "url", "body", "tries"]
    connection.execute(insert(deliveries).from_select(columns, heard.where(jobs.c.state.in_(TERMINAL))))


def _draw(database: Database, curves: dict[int, int]) -> None:
    """Write each job's series: the first of all point by point, the others after it."""
    (first, _), *_ = curves.items()
    with database.write() as connection:
        values = [math.exp(-i / 3000) + math.sin(i * i) / 10 for i in range(SERIES_POINTS)]
        points = [{"job_number": first, "name": _name(0), "step": 10 * i, "value": v} for i, v in enumerate(values)]
        connection.execute(insert(metrics), points)
    drawn = (metrics.c.job_number == first, metrics.c.name == _name(0))
    for number, count in curves.items():
        with database.write() as connection:
            for i in range(number == first, count):
                copied = select(literal(number), literal(_name(i)), metrics.c.step, metrics.c.value).where(*drawn)
                connection.execute(insert(metrics).from_select(["job_number", "name", "step", "value"], copied))


def _name(i: int) -> str:
    return f"metric_{i:04}"
