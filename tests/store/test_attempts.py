"""What is remembered of each try at a job."""

from datetime import timedelta

from store import attempts, claims
from store.attempts import LOG_CHARACTERS, Attempt
from store.claims import Failure
from store.database import Database
from store.jobs import Job
from store.lifecycle import JobState
from tests.store import scenes


def tries(database: Database, job: Job) -> list[Attempt]:
    with database.read() as connection:
        return attempts.page(connection, job.number, 0, 100)[0]


def test_every_claim_is_an_attempt_and_every_end_is_told(database: Database) -> None:
    job = scenes.submit(database)
    for worker in ("worker-1", "worker-2"):
        held = scenes.claim(database, worker)
        assert held is not None
        with database.write() as connection:
            claims.say(connection, held, f"{worker} was here")
            claims.fail(connection, held, Failure("io", "disk full", 0, retryable=True), timedelta(0))
    lost = scenes.claim(database, "worker-3")
    assert lost is not None
    scenes.expire(database, job)
    with database.write() as connection:
        claims.reap(connection)
    found = tries(database, job)
    assert [(one.worker_id, one.number, one.state, one.log) for one in found] == [
        ("worker-1", 1, JobState.QUEUED, "worker-1 was here"),
        ("worker-2", 2, JobState.QUEUED, "worker-2 was here"),
        ("worker-3", 3, JobState.FAILED, ""),
    ]
    assert all(one.ended_at is not None and one.ended_at >= one.started_at for one in found)


def test_an_attempt_that_goes_on_has_no_end_yet(database: Database) -> None:
    held = scenes.run(database)
    (one,) = tries(database, held.job)
    assert (one.ended_at, one.state, one.token) == (None, None, held.token)
    with database.write() as connection:
        claims.release(connection, held, "drained")
    (one,) = tries(database, held.job)
    assert one.state is JobState.QUEUED


def test_of_a_long_log_the_end_is_kept_without_what_a_database_cannot_hold(database: Database) -> None:
    held = scenes.run(database)
    with database.write() as connection:
        claims.say(connection, held, "x" * LOG_CHARACTERS + "\x00the last words")
    (one,) = tries(database, held.job)
    assert len(one.log) == LOG_CHARACTERS
    assert one.log.endswith("xthe last words")


def test_attempts_come_in_pages(database: Database) -> None:
    job = scenes.submit(database, max_attempts=5)
    for _ in range(3):
        held = scenes.claim(database)
        assert held is not None
        with database.write() as connection:
            claims.fail(connection, held, Failure("io", "disk full", 0, retryable=True), timedelta(0))
    with database.read() as connection:
        first, more = attempts.page(connection, job.number, 0, 2)
        rest, no_more = attempts.page(connection, job.number, first[-1].token, 2)
    assert ([one.number for one in first], more, [one.number for one in rest], no_more) == ([1, 2], True, [3], False)
