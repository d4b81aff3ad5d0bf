"""How an attempt ends: by its worker's word, or because the worker was not heard of any more."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from store import claims, jobs, tables
from store.claims import Claim, Failure
from store.database import Database
from store.errors import TransitionRefused
from store.lifecycle import HELD, JobState
from tests.store import scenes
from tests.store.scenes import CARD, FILES

LOST = Failure("device", "the device fell off", 3, retryable=True)
HOPELESS = Failure("bad_data", "file 3 is no image", 3, retryable=False)
BACKOFF = timedelta(hours=1)


def reap(database: Database) -> list[str]:
    with database.write() as connection:
        return claims.reap(connection)


def fail(database: Database, held: Claim, failure: Failure = LOST, retry_after: timedelta = BACKOFF) -> JobState:
    with database.write() as connection:
        return claims.fail(connection, held, failure, retry_after)


def resume(database: Database, held: Claim) -> Claim:
    """Claim and begin the same job once more, its backoff being over."""
    scenes.put(database, held.job, not_before=None)
    again = scenes.claim(database)
    assert again is not None
    with database.write() as connection:
        claims.begin(connection, again, 0)
    return again


@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RUNNING])
def test_a_silent_worker_loses_its_job_to_the_queue(database: Database, state: JobState) -> None:
    held = scenes.hold(database, state)
    scenes.expire(database, held.job)
    assert reap(database) == [held.job.id]
    job = scenes.read(database, held.job)
    assert (job.state, job.failures, job.error) == (JobState.QUEUED, 1, None)
    assert "worker-1" in str(job.state_reason)
    assert scenes.happened(database, job)[-1] == "queued"
    again = scenes.claim(database, "worker-2")
    assert again is not None
    assert (again.job.attempt, again.job.state_reason) == (2, None)


@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RUNNING, JobState.PAUSING])
def test_a_silent_worker_s_last_attempt_fails_the_job(database: Database, state: JobState) -> None:
    held = scenes.hold(database, state, max_attempts=1)
    scenes.expire(database, held.job)
    assert reap(database) == [held.job.id]
    job = scenes.read(database, held.job)
    assert (job.state, job.failures) == (JobState.FAILED, 1)
    assert job.error is not None
    assert (job.error["code"], job.error["step"]) == ("worker_lost", 0)
    assert scenes.happened(database, job)[-2:] == ["failed", "done"]


@pytest.mark.parametrize(
    ("asked", "settled"),
    [(JobState.PAUSING, JobState.PAUSED), (JobState.CANCELLING, JobState.CANCELLED)],
)
def test_what_a_silent_worker_was_asked_for_holds_without_it(
    database: Database, asked: JobState, settled: JobState
) -> None:
    held = scenes.hold(database, asked)
    scenes.expire(database, held.job)
    assert reap(database) == [held.job.id]
    assert scenes.read(database, held.job).state is settled


def test_a_cancelled_job_is_not_failed_by_its_silent_worker_s_last_attempt(database: Database) -> None:
    held = scenes.hold(database, JobState.CANCELLING, max_attempts=1)
    scenes.expire(database, held.job)
    reap(database)
    job = scenes.read(database, held.job)
    assert (job.state, job.error) == (JobState.CANCELLED, None)


@pytest.mark.parametrize("state", sorted(HELD))
def test_a_lease_that_lasts_is_left_alone(database: Database, state: JobState) -> None:
    scenes.hold(database, state)
    before = scenes.dump(database)
    assert reap(database) == []
    assert scenes.dump(database) == before


@pytest.mark.parametrize("state", [state for state in JobState if state not in HELD])
def test_a_job_that_nobody_holds_has_nothing_to_reap(database: Database, state: JobState) -> None:
    held = scenes.run(database)
    scenes.expire(database, held.job)
    scenes.put(database, held.job, state=state)
    before = scenes.dump(database)
    assert reap(database) == []
    assert scenes.dump(database) == before


def test_many_reapers_at_once_count_each_silence_once(database: Database) -> None:
    silent = [scenes.run(database) for _ in range(12)]
    for held in silent:
        scenes.expire(database, held.job)
    with ThreadPoolExecutor(4) as threads:
        reaped = [job_id for found in threads.map(reap, [database] * 4) for job_id in found]
    assert sorted(reaped) == sorted(held.job.id for held in silent)
    for held in silent:
        assert scenes.read(database, held.job).failures == 1
        assert scenes.happened(database, held.job) == ["queued", "starting", "running", "queued"]


def test_a_retryable_failure_goes_back_to_the_queue_and_waits_twice_as_long_each_time(database: Database) -> None:
    held = scenes.run(database, max_attempts=4)
    for waits in (1, 2, 4):
        assert fail(database, held) is JobState.QUEUED
        with database.read() as connection:
            query = select(tables.jobs.c.not_before, func.max(tables.events.c.at)).join(tables.events)
            due, failed_at = connection.execute(query.group_by(tables.jobs.c.not_before)).one()
        assert abs(due - failed_at - waits * BACKOFF) < timedelta(minutes=1)
        assert scenes.read(database, held.job).state_reason == LOST.message
        held = resume(database, held)
    assert held.job.attempt == 4
    assert fail(database, held) is JobState.FAILED


def test_the_last_of_its_attempts_fails_the_job(database: Database) -> None:
    held = scenes.run(database, max_attempts=2)
    assert fail(database, held) is JobState.QUEUED
    assert fail(database, resume(database, held)) is JobState.FAILED
    job = scenes.read(database, held.job)
    assert job.error == {"code": "device", "message": "the device fell off", "step": 3}
    assert scenes.told(database, job)[-2:] == [("failed", {"error": job.error}), ("done", {"state": "failed"})]
    assert scenes.column(database, job, "lease_expires_at") is None


@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RUNNING, JobState.PAUSING])
def test_a_failure_not_worth_retrying_fails_the_job_at_once(database: Database, state: JobState) -> None:
    held = scenes.hold(database, state)
    assert fail(database, held, HOPELESS) is JobState.FAILED
    job = scenes.read(database, held.job)
    assert (job.state, job.failures) == (JobState.FAILED, 1)
    assert job.error == {"code": "bad_data", "message": "file 3 is no image", "step": 3}


@pytest.mark.parametrize("failure", [LOST, HOPELESS])
def test_a_failure_while_cancelling_cancels(database: Database, failure: Failure) -> None:
    held = scenes.hold(database, JobState.CANCELLING)
    assert fail(database, held, failure) is JobState.CANCELLED
    assert scenes.read(database, held.job).error is None


def test_a_retryable_failure_while_pausing_pauses(database: Database) -> None:
    assert fail(database, scenes.hold(database, JobState.PAUSING)) is JobState.PAUSED


def test_a_checkpoint_starts_the_count_of_failures_anew(database: Database) -> None:
    held = scenes.run(database, max_attempts=2)
    fail(database, held)
    held = resume(database, held)
    with database.write() as connection:
        claims.checkpoint(connection, held, 7, "folder", FILES, CARD)
    job = scenes.read(database, held.job)
    assert (job.failures, job.step) == (0, 7)
    assert fail(database, held) is JobState.QUEUED
    assert fail(database, resume(database, held)) is JobState.FAILED


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (JobState.STARTING, JobState.QUEUED),
        (JobState.RUNNING, JobState.QUEUED),
        (JobState.PAUSING, JobState.PAUSED),
        (JobState.CANCELLING, JobState.CANCELLED),
    ],
)
def test_a_job_given_back_goes_where_it_was_asked_to_and_no_attempt_counts(
    database: Database, found: JobState, left: JobState
) -> None:
    held = scenes.hold(database, found, max_attempts=1)
    with database.write() as connection:
        assert claims.release(connection, held, "the worker is drained") is left
    job = scenes.read(database, held.job)
    assert (job.state, job.failures, job.state_reason) == (left, 0, "the worker is drained")
    if left is JobState.QUEUED:
        again = scenes.claim(database)
        assert again is not None
        assert again.job.attempt == held.job.attempt


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        (JobState.RUNNING, JobState.SUCCEEDED),
        (JobState.PAUSING, JobState.SUCCEEDED),
        (JobState.CANCELLING, JobState.CANCELLED),
    ],
)
def test_a_finished_run_succeeds_unless_it_was_to_be_cancelled(
    database: Database, found: JobState, ends: JobState
) -> None:
    held = scenes.hold(database, found)
    with database.write() as connection:
        assert claims.succeed(connection, held) is ends
    job = scenes.read(database, held.job)
    assert (job.state, job.terminal) == (ends, True)
    assert job.finished_at is not None
    assert scenes.told(database, job)[-1] == ("done", {"state": ends})
    assert scenes.column(database, job, "lease_expires_at") is None


def test_a_job_that_never_began_cannot_succeed(database: Database) -> None:
    held = scenes.start(database)
    before = scenes.dump(database)
    with pytest.raises(TransitionRefused):
        with database.write() as connection:
            claims.succeed(connection, held)
    assert scenes.dump(database) == before


@pytest.mark.parametrize("ending", ["succeed", "release", "fail"])
def test_a_cancellation_on_its_way_is_obeyed_by_the_ending_it_meets(database: Database, ending: str) -> None:
    held = scenes.run(database)

    def end() -> JobState:
        with database.write() as connection:
            if ending == "succeed":
                return claims.succeed(connection, held)
            if ending == "release":
                return claims.release(connection, held, "drained")
            return claims.fail(connection, held, LOST, BACKOFF)

    with ThreadPoolExecutor(1) as thread:
        with database.write() as connection:
            jobs.cancel(connection, held.job.id)
            ended = thread.submit(end)
            with pytest.raises(TimeoutError):  # it waits for this transaction, whatever that decides
                ended.result(timeout=0.2)
        assert ended.result() is JobState.CANCELLED
    assert scenes.read(database, held.job).state is JobState.CANCELLED
