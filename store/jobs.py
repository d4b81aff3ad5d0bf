"""Jobs: submitting, finding, listing, steering, carrying on from and deleting them."""

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError

from ganmodels.specs import SPEC, Knobs, answered
from store import checkpoints, events, keys
from store.clock import now
from store.errors import (
    CheckpointNotFound,
    CheckpointPruned,
    CursorNotFound,
    IdempotencyConflict,
    JobNotFound,
    NoFurther,
    NotInState,
    OriginNotFound,
    StillNamed,
    StillNeeded,
    TransitionRefused,
)
from store.lifecycle import TERMINAL, TRANSITIONS, JobState, sources
from store.tables import aliases, idempotency_keys, jobs

Json = dict[str, Any]  # Any: what a JSON column holds

RETRIED = frozenset({JobState.FAILED, JobState.CANCELLED})
EXTENDED = frozenset({JobState.SUCCEEDED})


@dataclass(frozen=True)
class Job:
    """One training run asked for, as the database had it when it was read."""

    number: int
    id: str
    name: str | None
    family: str
    dataset: str
    tags: Mapping[str, str]
    state: JobState
    state_reason: str | None
    priority: int
    spec: Json
    origin: Json | None
    numerics: Json | None
    step: int
    total_steps: int
    images_per_second: float | None
    metrics: Mapping[str, float | None]
    health: Json | None
    token: int
    attempt: int
    failures: int
    max_attempts: int
    worker_id: str | None
    error: Json | None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def terminal(self) -> bool:
        """Whether the job will never change again."""
        return self.state in TERMINAL


COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]


def of_row(row: Row[Any]) -> Job:  # Any: a row of COLUMNS
    """Build a job from a row of COLUMNS."""
    found = dict(row._mapping)
    return Job(**{**found, "state": JobState(found["state"])})


@dataclass(frozen=True)
class Filters:
    """What a list of jobs may be narrowed by; None leaves an axis open."""

    state: JobState | None = None
    family: str | None = None
    dataset: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Submission:
    """What `submit` did: the job, and whether it was there already under the same idempotency key."""

    job: Job
    replayed: bool


def submit(
    connection: Connection, spec: Knobs, idempotency_key: str | None = None, key_id: str | None = None
) -> Submission:
    """Write a queued job of an API key, its first event and its idempotency key.

    Raises IdempotencyConflict when the key came before with another spec, OriginNotFound for an `init_from` that
    names no checkpoint, TooManyJobs where the API key may have no more.
    """
    asked = spec.model_dump(mode="json")
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    if idempotency_key is None:
        return Submission(_insert(connection, asked, _origin(connection, spec), key_id), replayed=False)
    if earlier := _earlier(connection, idempotency_key, digest):
        return Submission(earlier, replayed=True)
    try:
        with connection.begin_nested():
            job = _insert(connection, asked, _origin(connection, spec), key_id)
            row = {"key": idempotency_key, "job_number": job.number, "body_digest": digest, "created_at": now()}
            connection.execute(insert(idempotency_keys).values(row))
    except IntegrityError:
        if twin := _earlier(connection, idempotency_key, digest):  # committed since we looked
            return Submission(twin, replayed=True)
        raise
    return Submission(job, replayed=False)


def get(connection: Connection, job_id: str) -> Job:
    """Return the job with this id, or raise JobNotFound."""
    row = connection.execute(select(*COLUMNS).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise JobNotFound(f"no job {job_id}")
    return of_row(row)


def locked(connection: Connection, job_id: str) -> Job:
    """Read a job whose row is locked, so that a claim on its way cannot turn a look at it into a refusal."""
    connection.execute(select(jobs.c.number).where(jobs.c.id == job_id).with_for_update())
    return get(connection, job_id)


def page(connection: Connection, filters: Filters, after: str | None, limit: int) -> tuple[list[Job], bool]:
    """Return up to `limit` jobs, newest first, that come after the job `after`, and whether more follow."""
    chosen = select(jobs.c.number).order_by(jobs.c.number.desc()).limit(limit + 1)
    for axis, wanted in vars(filters).items():
        if wanted is not None:
            chosen = chosen.where(jobs.c[axis] == wanted)
    if after is not None:
        cursor = connection.scalar(select(jobs.c.number).where(jobs.c.id == after))
        if cursor is None:
            raise CursorNotFound(f"no job {after} to list after")
        chosen = chosen.where(jobs.c.number < cursor)
    query = select(*COLUMNS).where(jobs.c.number.in_(chosen)).order_by(jobs.c.number.desc())  # `chosen` reads no rows
    found = [of_row(row) for row in connection.execute(query)]
    return found[:limit], len(found) > limit


def queue_positions(connection: Connection, found: Collection[Job]) -> dict[int, int]:
    """Return how many jobs are claimed before each of these that waits, itself counted, by the job's number.

    No waiting job is counted more than twice: once as one of higher priority, once between one of these and the next.
    """
    waiting = [job for job in found if job.state is JobState.QUEUED]
    if not waiting:
        return {}
    before = func.lag(jobs.c.number, 1, 0).over(partition_by=jobs.c.priority, order_by=jobs.c.number).label("before")
    asked = select(jobs.c.number, jobs.c.priority, before).where(jobs.c.number.in_([job.number for job in waiting]))
    page, queue = asked.subquery("page"), jobs.alias("queue")
    between = (queue.c.number > page.c.before, queue.c.number <= page.c.number)
    gap = select(func.count()).where(queue.c.state == JobState.QUEUED, queue.c.priority == page.c.priority, *between)
    within = func.sum(gap.scalar_subquery()).over(partition_by=page.c.priority, order_by=page.c.number)
    above = (jobs.c.state == JobState.QUEUED, jobs.c.priority > min(job.priority for job in waiting))
    higher = connection.execute(select(jobs.c.priority, func.count()).where(*above).group_by(jobs.c.priority)).all()
    return {
        number: int(counted) + sum(count for priority, count in higher if priority > own)
        for number, own, counted in connection.execute(select(page.c.number, page.c.priority, within))
    }


def newest_able(connection: Connection, what: str, among: int = 1000) -> Job | None:
    """Return the newest job with a checkpoint that serves `what` (images, labels, classes or scores), or None.

    Looks at the `among` newest jobs that have a checkpoint.
    """
    for number, card in islice(checkpoints.latest_of_each(connection), among):
        if what in answered(card["serves"], card.get("kind"), card.get("labels_from")):
            return of_row(connection.execute(select(*COLUMNS).where(jobs.c.number == number)).one())
    return None


def cancel(connection: Connection, job_id: str) -> Job:
    """Cancel a waiting job now, ask the worker of a running one to; return the job as it is then.

    A job already cancelled, or about to be, stays as it is. Raises JobNotFound, or TransitionRefused.
    """
    return _ask(connection, job_id, JobState.CANCELLED, JobState.CANCELLING, "cancelled on request")


def pause(connection: Connection, job_id: str) -> Job:
    """Set a waiting job aside now, ask the worker of a running one to; return the job as it is then.

    A job already paused, or about to be, stays as it is. Raises JobNotFound, or TransitionRefused.
    """
    return _ask(connection, job_id, JobState.PAUSED, JobState.PAUSING, "paused on request")


def resume(connection: Connection, job_id: str) -> Job:
    """Put a paused job back into the queue, where it goes on from its newest checkpoint; return it as it is then.

    A job that waits or trains anyway stays as it is. Raises JobNotFound, or TransitionRefused.
    """
    job = locked(connection, job_id)
    if job.state in (JobState.QUEUED, JobState.STARTING, JobState.RUNNING):
        return job
    reason = "resumed on request"
    move(
        connection,
        job.number,
        JobState.QUEUED,
        jobs.c.state == JobState.PAUSED,
        state_reason=reason,
        not_before=None,
    )
    return get(connection, job_id)


def retry(connection: Connection, job_id: str, key_id: str | None = None) -> Job:
    """Queue a new job like one that failed or was cancelled; it goes on from the newest checkpoint, if there is one.

    Raises JobNotFound, NotInState, or TooManyJobs.
    """
    job = locked(connection, job_id)
    if job.state not in RETRIED:
        raise NotInState(job.state, "retried", RETRIED)
    return _go_on(connection, job, SPEC.validate_python(job.spec), "retry", key_id)


def extend(connection: Connection, job_id: str, total_steps: int, key_id: str | None = None) -> Job:
    """Queue a new job that goes on from the newest checkpoint of a finished one, to `total_steps` in all.

    Raises JobNotFound, NotInState, NoFurther, or TooManyJobs.
    """
    job = locked(connection, job_id)
    if job.state not in EXTENDED:
        raise NotInState(job.state, "extended", EXTENDED)
    if total_steps <= job.step:
        raise NoFurther(f"total_steps {total_steps} is no further than the job has come: it is at step {job.step}")
    return _go_on(connection, job, SPEC.validate_python({**job.spec, "total_steps": total_steps}), "extend", key_id)


def delete(connection: Connection, job_id: str) -> None:
    """Forget a finished job and all that is told of it; its files are left to the caller.

    Raises JobNotFound, NotInState, StillNeeded while another job has yet to begin with a checkpoint of this one, or
    StillNamed while an alias points at it.
    """
    job = locked(connection, job_id)
    if not job.terminal:
        raise NotInState(job.state, "deleted", TERMINAL)
    if heir := connection.execute(checkpoints.heirs(job_id).limit(1)).one_or_none():
        raise StillNeeded(heir.id, heir.state)
    named = select(aliases.c.name).where(aliases.c.job_number == job.number).limit(1)
    if name := connection.scalar(named):
        raise StillNamed(f"the model {name} points at job {job_id}: point it at another, or delete it, first")
    connection.execute(delete_rows(jobs).where(jobs.c.number == job.number))


def _go_on(connection: Connection, job: Job, spec: Knobs, how: str, key_id: str | None) -> Job:
    """Queue a new job that begins with the state of the newest checkpoint of another; as that did, without one."""
    try:
        step = checkpoints.latest(connection, job.number).step
    except CheckpointNotFound:
        origin = job.origin
    else:
        origin = {"job": job.id, "step": step, "how": how}
    return _insert(connection, spec.model_dump(mode="json"), origin, key_id)


def _origin(connection: Connection, spec: Knobs) -> Json | None:
    """Find the checkpoint whose weights a spec asks to begin with."""
    if spec.init_from is None:
        return None
    wanted = spec.init_from
    try:
        job = get(connection, wanted.job)
        step = checkpoints.chosen(connection, job.number, wanted.step).step
    except (JobNotFound, CheckpointNotFound, CheckpointPruned) as missing:
        raise OriginNotFound(str(missing)) from missing
    if job.family != spec.family:
        raise OriginNotFound(f"job {job.id} trained {job.family}, whose networks are not those of {spec.family}")
    return {"job": job.id, "step": step, "how": "init_from"}


def _ask(connection: Connection, job_id: str, target: JobState, asked: JobState, reason: str) -> Job:
    """Move a job to `target`, or to `asked` where a worker must let go of it first."""
    job = locked(connection, job_id)
    if job.state in (target, asked):
        return job
    at_once = target in TRANSITIONS[job.state]
    move(connection, job.number, target if at_once else asked, jobs.c.state == job.state, state_reason=reason)
    return get(connection, job_id)


def move(
    connection: Connection, number: int, target: JobState, *guards: ColumnElement[bool], **values: Any
) -> None:  # Any: column values
    """Change a job's state if the table allows it and the guards hold, and write the event that says so.

    Raises TransitionRefused when the job's state does not lead to `target` or a guard does not hold.
    """
    if target in TERMINAL:
        values = {"finished_at": now(), **values}
    if target is JobState.QUEUED:
        values = {"queued_at": now(), **values}
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.number == number, jobs.c.state.in_(sources(target)), *guards)
        .values(state=target, **values)
    ).rowcount
    if changed != 1:
        state = JobState(connection.execute(select(jobs.c.state).where(jobs.c.number == number)).scalar_one())
        raise TransitionRefused(state, target, TRANSITIONS[state])
    events.append(connection, number, target, _why(values))
    if target in TERMINAL:
        events.append(connection, number, "done", {"state": target})


def _why(values: Json) -> Json:
    if values.get("error"):
        return {"error": values["error"]}
    return {"reason": values["state_reason"]} if values.get("state_reason") else {}


def _earlier(connection: Connection, key: str, digest: str) -> Job | None:
    query = select(idempotency_keys.c.body_digest, jobs.c.id).join(jobs).where(idempotency_keys.c.key == key)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.body_digest != digest:
        raise IdempotencyConflict(f"the key {key!r} came before with another body, for job {row.id}")
    return get(connection, row.id)


def _insert(connection: Connection, asked: Json, origin: Json | None, key_id: str | None) -> Job:
    if key_id is not None:
        keys.check_room(connection, key_id)
    moment = now()
    values = {
        "id": str(uuid.uuid4()),
        **{name: asked[name] for name in ("name", "family", "dataset", "tags", "priority")},
        **{name: asked[name] for name in ("total_steps", "max_attempts")},
        "state": JobState.QUEUED,
        "spec": asked,
        "origin": origin,
        "origin_job_id": origin and origin["job"],
        "key_id": key_id,
        "step": 0,
        "metrics": {},
        **dict.fromkeys(("token", "attempt", "failures"), 0),
        "created_at": moment,
        "queued_at": moment,
    }
    job = of_row(connection.execute(insert(jobs).values(values).returning(*COLUMNS)).one())
    events.append(connection, job.number, "queued", {})
    return job
