"""Checkpoints: rows that point at folders of files. Bytes first, pointer second; only rows are read."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Select, insert, select, update

from ganmodels.specs import FAMILIES
from store.clock import now
from store.errors import CheckpointNotFound, CheckpointPruned
from store.lifecycle import TERMINAL
from store.tables import aliases, checkpoints, jobs


@dataclass(frozen=True)
class Checkpoint:
    """What can be resumed and served: `files` maps a name to its `sha256` and `size`."""

    job_number: int
    step: int
    folder: str
    files: Mapping[str, Mapping[str, Any]]  # Any: JSON
    card: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    created_at: datetime
    damaged_at: datetime | None
    pruned_at: datetime | None

    def path(self, name: str) -> str:
        """Return where the file lies among the artifacts."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class Milestone:
    """A checkpoint that is worth knowing without its files and card."""

    step: int
    created_at: datetime


COLUMNS = [checkpoints.c[name] for name in Checkpoint.__dataclass_fields__]
WHOLE = (checkpoints.c.damaged_at.is_(None), checkpoints.c.pruned_at.is_(None))
DEFAULT_JUDGES = ("fd_classifier",)  # of a family that this version's menu does not know


def record(
    connection: Connection,
    job_number: int,
    step: int,
    folder: str,
    files: Mapping[str, Mapping[str, Any]],
    card: Mapping[str, Any],
    metrics: Mapping[str, float | None],
) -> None:
    """Point at a folder whose files are all written. A damaged checkpoint of the same step is replaced."""
    values = {
        "folder": folder,
        "files": dict(files),
        "card": dict(card),
        "metrics": dict(metrics),
        "created_at": now(),
        "damaged_at": None,
        "pruned_at": None,
    }
    here = (checkpoints.c.job_number == job_number, checkpoints.c.step == step)
    if connection.execute(update(checkpoints).where(*here).values(values)).rowcount == 0:
        connection.execute(insert(checkpoints).values(job_number=job_number, step=step, **values))


def latest(connection: Connection, job_number: int) -> Checkpoint:
    """Return the newest checkpoint that is whole, or raise CheckpointNotFound."""
    row = connection.execute(_whole(job_number).limit(1)).one_or_none()
    if row is None:
        raise CheckpointNotFound("the job has no checkpoint yet")
    return Checkpoint(*row)


def whole(connection: Connection, job_number: int) -> list[Checkpoint]:
    """Return every checkpoint that can be resumed from, newest first."""
    return [Checkpoint(*row) for row in connection.execute(_whole(job_number))]


def latest_of_each(connection: Connection) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each job that has a checkpoint that is whole, newest job first: its number and its newest one's card."""
    newest_first = (checkpoints.c.job_number.desc(), checkpoints.c.step.desc())
    query = select(checkpoints.c.job_number, checkpoints.c.card).where(*WHOLE).order_by(*newest_first).limit(1)
    row = connection.execute(query).one_or_none()
    while row is not None:
        yield row.job_number, row.card
        row = connection.execute(query.where(checkpoints.c.job_number < row.job_number)).one_or_none()


def milestones(
    connection: Connection, job_numbers: Collection[int]
) -> dict[int, tuple[Milestone | None, Milestone | None]]:
    """Return each job's newest whole checkpoint and its best one, None where there is none.

    The best is lowest in the figure that its family is judged by, the first of several that there is, among the
    checkpoints that were evaluated.
    """
    query = (
        select(
            checkpoints.c.job_number, checkpoints.c.step, checkpoints.c.created_at, checkpoints.c.metrics, jobs.c.family
        )
        .join(jobs)
        .where(checkpoints.c.job_number.in_(job_numbers), *WHOLE)
        .order_by(checkpoints.c.step)
    )
    latest: dict[int, Milestone] = {}
    best: dict[int, tuple[float, Milestone]] = {}
    for number, step, created_at, metrics, family in connection.execute(query):
        latest[number] = Milestone(step, created_at)
        judges = FAMILIES[family].spec.JUDGED_BY if family in FAMILIES else DEFAULT_JUDGES
        figure = next((metrics[name] for name in judges if metrics.get(name) is not None), None)
        if figure is not None and (number not in best or figure < best[number][0]):
            best[number] = figure, latest[number]
    return {number: (latest.get(number), best[number][1] if number in best else None) for number in job_numbers}


def at(connection: Connection, job_number: int, step: int) -> Checkpoint:
    """Return the checkpoint of one step; raise CheckpointNotFound, or CheckpointPruned where it was."""
    here = (checkpoints.c.job_number == job_number, checkpoints.c.step == step)
    row = connection.execute(select(*COLUMNS).where(*here)).one_or_none()
    if row is None or row.damaged_at is not None:
        raise CheckpointNotFound(f"the job has no whole checkpoint at step {step}")
    if row.pruned_at is not None:
        raise CheckpointPruned(f"the checkpoint at step {step} was removed by retention")
    return Checkpoint(*row)


def chosen(connection: Connection, job_number: int, step: Literal["latest", "best"] | int) -> Checkpoint:
    """Return the newest checkpoint, the best on validation, or that of a step.

    Raises CheckpointNotFound, or CheckpointPruned.
    """
    if step == "latest":
        return latest(connection, job_number)
    if step == "best":
        best = milestones(connection, [job_number])[job_number][1]
        if best is None:
            raise CheckpointNotFound(
                "no checkpoint of the job has the figure that its family is judged by, so none is known to be the best"
            )
        return at(connection, job_number, best.step)
    return at(connection, job_number, step)


def up_to(connection: Connection, job_id: str, step: int) -> list[Checkpoint]:
    """Return every whole checkpoint of a job by its id, from `step` down, newest first; none where it is deleted."""
    owner = select(jobs.c.number).where(jobs.c.id == job_id).scalar_subquery()
    query = select(*COLUMNS).where(checkpoints.c.job_number == owner, checkpoints.c.step <= step, *WHOLE)
    return [Checkpoint(*row) for row in connection.execute(query.order_by(checkpoints.c.step.desc()))]


def page(connection: Connection, job_number: int, after: int | None, limit: int) -> tuple[list[Checkpoint], bool]:
    """Return up to `limit` whole checkpoints below step `after`, newest first, and whether more follow."""
    query = _whole(job_number).limit(limit + 1)
    if after is not None:
        query = query.where(checkpoints.c.step < after)
    found = [Checkpoint(*row) for row in connection.execute(query)]
    return found[:limit], len(found) > limit


def mark_damaged(connection: Connection, job_number: int, step: int) -> None:
    """Leave a checkpoint whose files are not what their digests say out of every later answer."""
    here = (checkpoints.c.job_number == job_number, checkpoints.c.step == step)
    connection.execute(update(checkpoints).where(*here).values(damaged_at=now()))


def prune(connection: Connection, job_number: int, keep: int) -> list[str]:
    """Let go of whole checkpoints but the `keep` newest, the best, those other jobs begin with, those with an alias.

    Returns the folders that nothing points at any more.
    """
    steps = list(connection.scalars(_whole(job_number).with_only_columns(checkpoints.c.step)))
    if len(steps) <= keep:
        return []
    best = milestones(connection, [job_number])[job_number][1]
    awaited, pinned = _awaited(connection, job_number), _pinned(connection, job_number)
    needed = {*steps[:keep], *([best.step] if best else []), *awaited, *pinned}
    spent = (checkpoints.c.job_number == job_number, checkpoints.c.step.in_(set(steps) - needed))
    query = update(checkpoints).where(*spent).values(pruned_at=now()).returning(checkpoints.c.folder)
    return list(connection.scalars(query))


def heirs(job_id: str) -> Select[tuple[str, str, Any]]:
    """Choose the jobs that have yet to begin with a checkpoint of this one: their id, state and origin."""
    own = select(checkpoints.c.job_number).where(checkpoints.c.job_number == jobs.c.number)
    return select(jobs.c.id, jobs.c.state, jobs.c.origin).where(
        jobs.c.origin_job_id == job_id, jobs.c.state.not_in(TERMINAL), ~own.exists()
    )


def _awaited(connection: Connection, job_number: int) -> set[int]:
    """Find the steps that other jobs have yet to begin with."""
    job_id = connection.execute(select(jobs.c.id).where(jobs.c.number == job_number)).scalar_one()
    return {heir.origin["step"] for heir in connection.execute(heirs(job_id))}


def _pinned(connection: Connection, job_number: int) -> set[int]:
    """Find the steps that aliases point at; the newest and the best are kept anyway."""
    named = connection.scalars(select(aliases.c.step).where(aliases.c.job_number == job_number))
    return {step for step in named if isinstance(step, int)}


def _whole(job_number: int) -> Select[Any]:
    return select(*COLUMNS).where(checkpoints.c.job_number == job_number, *WHOLE).order_by(checkpoints.c.step.desc())
