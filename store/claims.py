"""Claims: one worker's authority over one job, and every write that needs it.

A claim is a guarded UPDATE that sets a lease and raises the job's token. Each write names the token; once another
worker has claimed the job, or the lease is over, no row matches and the writer learns that it has lost it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, func, or_, select, update

from store import attempts, checkpoints, events, metrics, previews
from store.clock import after, later, milliseconds, now
from store.errors import LeaseLost
from store.jobs import COLUMNS, Job, move, of_row
from store.lifecycle import HELD, JobState
from store.previews import Picture
from store.tables import jobs

Json = Mapping[str, Any]  # Any: JSON

WORKER_LOST = "worker_lost"  # the code of a failure that nobody is left to report
KEPT = 20  # checkpoints of a job whose spec is older than the knob


@dataclass(frozen=True)
class Claim:
    """The job as it was claimed, the fencing token, and how long the lease lasts from each heartbeat."""

    job: Job
    token: int
    lease: timedelta

    def guards(self) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions under which this claim may still write."""
        return (
            jobs.c.number == self.job.number,
            jobs.c.token == self.token,
            jobs.c.state.in_(HELD),
            jobs.c.lease_expires_at > now(),
        )


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended: `code` for programs, `message` for people, and whether trying again may help."""

    code: str
    message: str
    step: int
    retryable: bool


def next_waiting() -> Select[tuple[int]]:
    """Choose the job that the next claim takes, leaving out those that others are about to take."""
    return (
        select(jobs.c.number)
        .where(jobs.c.state == JobState.QUEUED, or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now()))
        .order_by(jobs.c.priority.desc(), jobs.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


# Built once: that takes longer than running it does, and whoever writes next waits for it.
CLAIM = (
    update(jobs)
    .where(jobs.c.number == next_waiting().scalar_subquery())
    .values(
        state=JobState.STARTING,
        state_reason=None,
        token=jobs.c.token + 1,
        attempt=jobs.c.failures + 1,
        worker_id=bindparam("worker"),
        lease_expires_at=after(bindparam("lease", type_=BigInteger)),
        not_before=None,
    )
    .returning(*COLUMNS)
)


def claim(connection: Connection, worker_id: str, lease: timedelta) -> Claim | None:
    """Take the waiting job of highest priority, the oldest first; None when none waits."""
    row = connection.execute(CLAIM, {"worker": worker_id, "lease": milliseconds(lease)}).one_or_none()
    if row is None:
        return None
    job = of_row(row)
    events.append(connection, job.number, "starting", {"attempt": job.attempt, "worker": worker_id})
    attempts.begin(connection, job.number, job.token, job.attempt, worker_id)
    return Claim(job, job.token, lease)


def others_wait(connection: Connection) -> bool:
    """Tell whether any job waits to be claimed."""
    return connection.scalar(select(jobs.c.number).where(jobs.c.state == JobState.QUEUED).limit(1)) is not None


def due_in(connection: Connection) -> float | None:
    """Return the seconds until the next waiting job may be claimed; None when none waits."""
    delays = (func.count(), func.count(jobs.c.not_before), func.min(jobs.c.not_before))
    query = select(*delays, now()).where(jobs.c.state == JobState.QUEUED)
    waiting, delayed, soonest, present = connection.execute(query).one()
    if waiting > delayed:
        return 0.0
    return None if soonest is None else max(0.0, (soonest - present).total_seconds())


def heartbeat(connection: Connection, held: Claim) -> JobState:
    """Renew the lease and return the job's state; raise LeaseLost when it is another's."""
    return _hold(connection, held, lease_expires_at=later(held.lease))


def state(connection: Connection, held: Claim) -> JobState:
    """Return the state of the job held, or raise LeaseLost."""
    found = connection.scalar(select(jobs.c.state).where(*held.guards()))
    if found is None:
        raise LeaseLost(f"job {held.job.id}: token {held.token} no longer holds it")
    return JobState(found)


def resolve(connection: Connection, held: Claim, spec: Json, numerics: Json) -> None:
    """Store the spec with every choice made, before the first step."""
    _hold(connection, held, spec=dict(spec), numerics=dict(numerics))


def begin(connection: Connection, held: Claim, step: int) -> JobState:
    """Write that training runs from `step` on, forgetting the points that it will write anew."""
    found = _hold(connection, held, step=step, started_at=func.coalesce(jobs.c.started_at, now()))
    _forget(connection, held, step)
    if found is JobState.STARTING:
        move(connection, held.job.number, JobState.RUNNING, jobs.c.token == held.token)
    return found


def report(
    connection: Connection,
    held: Claim,
    step: int,
    points: Sequence[tuple[int, Mapping[str, float]]],
    images_per_second: float | None = None,
) -> None:
    """Write how far the job has come, and metric points in order of step."""
    newest = dict(connection.scalar(select(jobs.c.metrics).where(*held.guards())) or {})
    for _, numbers in points:
        newest |= {name: metrics.finite(value) for name, value in numbers.items()}
    speed = {} if images_per_second is None else {"images_per_second": images_per_second}
    _hold(connection, held, step=step, metrics=newest, **speed)
    metrics.record(connection, held.job.number, points)


def checkpoint(connection: Connection, held: Claim, step: int, folder: str, files: Json, card: Json) -> list[str]:
    """Point at a checkpoint that is written whole; the count of failures starts anew.

    Returns the folders of older ones that the spec does not ask to keep: nothing points at them any more.
    """
    _hold(connection, held, step=step, failures=0)
    checkpoints.record(connection, held.job.number, step, folder, files, card, card["metrics"])
    size = sum(file["size"] for file in files.values())
    events.append(connection, held.job.number, "checkpoint", {"step": step, "bytes": size})
    return checkpoints.prune(connection, held.job.number, held.job.spec.get("keep_checkpoints", KEPT))


def damaged(connection: Connection, held: Claim, owner: str, step: int, reason: str) -> None:
    """Leave a checkpoint, be it another job's, out of every later answer, with an event that says why."""
    _hold(connection, held)
    number = connection.scalar(select(jobs.c.number).where(jobs.c.id == owner))
    if number is not None:
        checkpoints.mark_damaged(connection, number, step)
    events.append(connection, held.job.number, "checkpoint_damaged", {"step": step, "reason": reason})


def preview(connection: Connection, held: Claim, step: int, picture: Picture) -> None:
    """Point at a preview that is written whole."""
    _hold(connection, held)
    previews.record(connection, held.job.number, step, picture)
    said = {} if picture.score is None else {"score": picture.score}
    events.append(connection, held.job.number, "preview", {"step": step, **said})


def health(connection: Connection, held: Claim, verdict: Json) -> None:
    """Write a new verdict on the run, as an event and as the job's state of health."""
    _hold(connection, held, health=dict(verdict))
    events.append(connection, held.job.number, "health", verdict)


def roll_back(connection: Connection, held: Claim, step: int, data: Json) -> None:
    """Write that the run goes on from an earlier step, forgetting the points that came after it."""
    _hold(connection, held, step=step)
    _forget(connection, held, step)
    events.append(connection, held.job.number, "rolled_back", data)


def _forget(connection: Connection, held: Claim, step: int) -> None:
    metrics.forget_after(connection, held.job.number, step)
    _hold(connection, held, metrics=metrics.newest(connection, held.job.number))


def say(connection: Connection, held: Claim, log: str) -> None:
    """Keep the end of what the attempt's process has said so far."""
    _hold(connection, held)
    attempts.say(connection, held.job.number, held.token, log)


def note(connection: Connection, held: Claim, type_: str, data: Json) -> None:
    """Write an event of the job held."""
    _hold(connection, held)
    events.append(connection, held.job.number, type_, data)


def succeed(connection: Connection, held: Claim, reason: str | None = None) -> JobState:
    """End the job as succeeded, or as cancelled when that was asked for in the meantime; return which."""
    found = _hold(connection, held)
    target = JobState.CANCELLED if found is JobState.CANCELLING else JobState.SUCCEEDED
    said = {} if reason is None else {"state_reason": reason}
    move(connection, held.job.number, target, jobs.c.token == held.token, lease_expires_at=None, **said)
    attempts.end(connection, held.job.number, held.token, target)
    return target


def release(connection: Connection, held: Claim, reason: str) -> JobState:
    """Give the job back unharmed, the attempt not counted; return where it went."""
    target = {JobState.CANCELLING: JobState.CANCELLED, JobState.PAUSING: JobState.PAUSED}.get(
        _hold(connection, held), JobState.QUEUED
    )
    move(connection, held.job.number, target, jobs.c.token == held.token, state_reason=reason, lease_expires_at=None)
    attempts.end(connection, held.job.number, held.token, target)
    return target


def fail(connection: Connection, held: Claim, failure: Failure, retry_after: timedelta) -> JobState:
    """End the attempt: back to the queue while trying again may help, else failed; return where the job went."""
    _hold(connection, held)
    return _give_up(connection, _read(connection, held.job.number), [jobs.c.token == held.token], failure, retry_after)


def reap(connection: Connection) -> list[str]:
    """Take the jobs whose lease is over from their silent workers; return their ids."""
    query = select(*COLUMNS).where(jobs.c.state.in_(HELD), jobs.c.lease_expires_at <= now())
    silent = [of_row(row) for row in connection.execute(query.with_for_update(skip_locked=True))]
    for job in silent:
        expired = (jobs.c.token == job.token, jobs.c.state == job.state, jobs.c.lease_expires_at <= now())
        message = f"worker {job.worker_id} has not been heard of for a whole lease"
        failure = Failure(WORKER_LOST, message, job.step, retryable=True)
        _give_up(connection, job, expired, failure, retry_after=timedelta(0))
    return [job.id for job in silent]


def _give_up(
    connection: Connection,
    job: Job,
    guards: Sequence[ColumnElement[bool]],
    failure: Failure,
    retry_after: timedelta,
) -> JobState:
    """Move a job on after a failed attempt, by its state, its failures so far and the kind of this one."""
    failures = job.failures + 1
    target = {JobState.CANCELLING: JobState.CANCELLED, JobState.PAUSING: JobState.PAUSED}.get(
        job.state, JobState.QUEUED
    )
    values: dict[str, Any] = {"failures": failures, "state_reason": failure.message, "lease_expires_at": None}
    if target is not JobState.CANCELLED and (not failure.retryable or failures >= job.max_attempts):
        target = JobState.FAILED
        values["error"] = {"code": failure.code, "message": failure.message, "step": failure.step}
    if target is JobState.QUEUED:
        values["not_before"] = later(retry_after * 2 ** (failures - 1))
    move(connection, job.number, target, *guards, **values)
    attempts.end(connection, job.number, job.token, target)
    attempts.count_failure(connection, failure.code)
    return target


def _read(connection: Connection, number: int) -> Job:
    return of_row(connection.execute(select(*COLUMNS).where(jobs.c.number == number)).one())


def _hold(connection: Connection, held: Claim, **values: Any) -> JobState:  # Any: column values
    """Change the job's row under the claim's guards and return its state; raise LeaseLost when no row matches.

    The row stays locked until the transaction ends, so that state is not changed by anybody else meanwhile.
    """
    values = values or {"token": held.token}
    found = connection.scalar(update(jobs).where(*held.guards()).values(values).returning(jobs.c.state))
    if found is None:
        raise LeaseLost(f"job {held.job.id}: token {held.token} no longer holds it")
    return JobState(found)
