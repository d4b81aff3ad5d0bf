"""Pausing, resuming and cancelling, from every state a job can be in."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from store import claims, jobs
from store.database import Database
from store.errors import TransitionRefused
from store.jobs import Job
from store.lifecycle import HELD, JobState
from tests.store import scenes

S = JobState
Steer = Callable[[Connection, str], Job]

# What each request makes of a job in each state; None where it is refused.
LEADS_TO: dict[Steer, dict[JobState, JobState | None]] = {
    jobs.pause: {
        **{S.QUEUED: S.PAUSED, S.STARTING: S.PAUSING, S.RUNNING: S.PAUSING, S.PAUSING: S.PAUSING, S.PAUSED: S.PAUSED},
        **dict.fromkeys((S.CANCELLING, S.SUCCEEDED, S.FAILED, S.CANCELLED)),
    },
    jobs.resume: {
        **{S.QUEUED: S.QUEUED, S.STARTING: S.STARTING, S.RUNNING: S.RUNNING, S.PAUSED: S.QUEUED},
        **dict.fromkeys((S.PAUSING, S.CANCELLING, S.SUCCEEDED, S.FAILED, S.CANCELLED)),
    },
    jobs.cancel: {
        **dict.fromkeys((S.QUEUED, S.PAUSED, S.CANCELLED), S.CANCELLED),
        **dict.fromkeys((S.STARTING, S.RUNNING, S.PAUSING, S.CANCELLING), S.CANCELLING),
        **dict.fromkeys((S.SUCCEEDED, S.FAILED)),
    },
}
CASES = [pytest.param(steer, here, id=f"{steer.__name__}-{here}") for steer in LEADS_TO for here in JobState]


@pytest.mark.parametrize(("steer", "here"), CASES)
def test_a_request_moves_a_job_as_its_state_allows_and_says_so_once(
    database: Database, steer: Steer, here: JobState
) -> None:
    job = scenes.submit(database)
    scenes.put(database, job, state=here)
    told = scenes.happened(database, job)
    there = LEADS_TO[steer][here]
    for _ in range(2):
        if there is None:
            before = scenes.dump(database)
            with pytest.raises(TransitionRefused) as refusal, database.write() as connection:
                steer(connection, job.id)
            assert scenes.dump(database) == before
            assert refusal.value.state == here
        else:
            with database.write() as connection:
                assert steer(connection, job.id).state == there
            assert scenes.read(database, job).state == there
    if there in (None, here):
        assert scenes.happened(database, job) == told
    else:
        assert scenes.happened(database, job)[len(told)] == there
        assert scenes.happened(database, job).count(str(there)) == told.count(str(there)) + 1


@pytest.mark.parametrize("here", [S.STARTING, S.RUNNING, S.PAUSING])
def test_a_worker_that_lets_go_of_a_pausing_job_leaves_it_paused_and_nobody_claims_it(
    database: Database, here: JobState
) -> None:
    held = scenes.hold(database, here)
    with database.write() as connection:
        jobs.pause(connection, held.job.id)
        assert claims.release(connection, held, "at its last checkpoint") is JobState.PAUSED
    assert scenes.claim(database) is None
    assert scenes.read(database, held.job).failures == 0
    with database.write() as connection:
        jobs.resume(connection, held.job.id)
    again = scenes.claim(database)
    assert again is not None
    assert (again.job.id, again.job.attempt) == (held.job.id, 1)


def test_a_pausing_job_whose_worker_is_silent_is_paused_by_the_reaper(database: Database) -> None:
    held = scenes.hold(database, JobState.PAUSING)
    scenes.expire(database, held.job)
    with database.write() as connection:
        claims.reap(connection)
    assert scenes.read(database, held.job).state is JobState.PAUSED


def test_a_resumed_job_does_not_wait_out_an_old_failure(database: Database) -> None:
    job = scenes.submit(database)
    held = scenes.claim(database)
    assert held is not None
    with database.write() as connection:
        claims.fail(connection, held, claims.Failure("io", "disk full", 0, retryable=True), scenes.LEASE)
        jobs.pause(connection, job.id)
        jobs.resume(connection, job.id)
    assert scenes.claim(database) is not None


def test_every_held_state_is_covered() -> None:
    assert {here for leads in LEADS_TO.values() for here in leads} == set(JobState) >= HELD
