from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from store import census, claims, jobs
from store.census import Census
from store.claims import Failure
from store.clock import now
from store.database import Database
from store.lifecycle import JobState
from tests.store import scenes

HOUR = timedelta(hours=1)


def taken(database: Database) -> Census:
    with database.read() as connection:
        return census.take(connection)


def an_hour_ago(database: Database) -> datetime:
    with database.read() as connection:
        present = connection.scalar(select(now()))
    assert present is not None
    return present - HOUR


def test_an_empty_service_counts_nothing(database: Database) -> None:
    assert taken(database) == Census(dict.fromkeys(JobState, 0), timedelta(0), 0.0, {})


def test_jobs_are_counted_where_they_stand_and_the_speed_of_those_that_run(database: Database) -> None:
    for state, speed in ((JobState.RUNNING, 100.0), (JobState.RUNNING, 20.5), (JobState.PAUSING, 3.0)):
        scenes.put(database, scenes.hold(database, state).job, images_per_second=speed)
    scenes.put(database, scenes.submit(database), images_per_second=7.0)  # as it was before it was drained
    found = taken(database)
    assert {state: count for state, count in found.jobs.items() if count} == {
        JobState.RUNNING: 2,
        JobState.PAUSING: 1,
        JobState.QUEUED: 1,
    }
    assert found.images_per_second == 120.5


def test_the_longest_wait_is_that_of_the_queue_alone(database: Database) -> None:
    paused, waiting = scenes.submit(database), scenes.submit(database)
    with database.write() as connection:
        jobs.pause(connection, paused.id)
    for job, hours in ((paused, 3), (waiting, 0)):
        scenes.put(database, job, queued_at=an_hour_ago(database) - hours * HOUR)
    scenes.submit(database)
    assert HOUR <= taken(database).longest_wait < 1.1 * HOUR


@pytest.mark.parametrize("how", ["drained", "failed", "lost"])
def test_a_job_that_comes_back_to_the_queue_begins_to_wait_anew(database: Database, how: str) -> None:
    held = scenes.run(database)
    scenes.put(database, held.job, queued_at=an_hour_ago(database))
    if how == "lost":
        scenes.expire(database, held.job)
    with database.write() as connection:
        match how:
            case "drained":
                claims.release(connection, held, "drained")
            case "failed":
                claims.fail(connection, held, Failure("io", "disk full", 5, retryable=True), timedelta(0))
            case _:
                claims.reap(connection)
    assert scenes.read(database, held.job).state is JobState.QUEUED
    assert taken(database).longest_wait < HOUR / 2


def test_failed_attempts_are_counted_for_good_by_what_they_failed_of(database: Database) -> None:
    for _ in range(2):
        held = scenes.run(database)
        with database.write() as connection:
            claims.fail(connection, held, Failure("io", "disk full", 5, retryable=False), timedelta(0))
    lost = scenes.run(database)
    scenes.expire(database, lost.job)
    with database.write() as connection:
        assert claims.reap(connection) == [lost.job.id]
        jobs.delete(connection, held.job.id)
    drained = scenes.claim(database)
    assert drained is not None
    with database.write() as connection:
        claims.release(connection, drained, "drained")
    assert taken(database).failed_attempts == {"io": 2, "worker_lost": 1}
