import multiprocessing
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest
from sqlalchemy import select

from store import claims, tables
from store.database import Database
from store.lifecycle import JobState
from tests.store import scenes

CLAIMANTS = 4
RUSH = 200


def test_an_empty_queue_gives_nothing(database: Database) -> None:
    before = scenes.dump(database)
    assert scenes.claim(database) is None
    assert scenes.dump(database) == before


def test_priority_goes_first_and_then_age(database: Database) -> None:
    asked = [("first", 0), ("urgent", 5), ("second", 0), ("urgent too", 5), ("patient", -5)]
    for name, priority in asked:
        scenes.submit(database, name=name, priority=priority)
    claimed = [scenes.claim(database) for _ in asked]
    names = [held.job.name for held in claimed if held]
    assert names == ["urgent", "urgent too", "first", "second", "patient"]


def test_a_claim_says_who_holds_the_job_and_which_attempt_it_is(database: Database) -> None:
    job = scenes.submit(database)
    held = scenes.claim(database, "worker-7")
    assert held is not None
    assert held.job == scenes.read(database, job)
    assert (held.job.state, held.job.worker_id, held.job.attempt) == (JobState.STARTING, "worker-7", 1)
    assert held.token == held.job.token == job.token + 1
    assert scenes.told(database, job) == [("queued", {}), ("starting", {"attempt": 1, "worker": "worker-7"})]


def test_the_token_rises_with_every_claim(database: Database) -> None:
    first = scenes.run(database)
    with database.write() as connection:
        claims.release(connection, first, "drained")
    second = scenes.claim(database)
    assert second is not None
    assert second.job.id == first.job.id
    assert second.token > first.token


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.QUEUED])
def test_only_a_queued_job_is_claimed(database: Database, state: JobState) -> None:
    taken = scenes.submit(database, priority=50)
    scenes.put(database, taken, state=state)
    before = scenes.dump(database)
    assert scenes.claim(database) is None
    assert scenes.dump(database) == before


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.QUEUED])
def test_a_job_that_cannot_be_claimed_stands_in_nobody_s_way(database: Database, state: JobState) -> None:
    taken, waiting = scenes.submit(database, priority=50), scenes.submit(database)
    scenes.put(database, taken, state=state)
    held = scenes.claim(database)
    assert held is not None
    assert held.job.id == waiting.id
    assert scenes.read(database, taken).state is state


def test_a_job_chosen_but_taken_meanwhile_is_not_claimed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = scenes.run(database).job
    monkeypatch.setattr(claims, "next_waiting", lambda: select(tables.jobs.c.number).limit(1))
    before = scenes.dump(database)
    assert scenes.claim(database, "worker-2") is None
    assert scenes.dump(database) == before
    assert scenes.read(database, taken).worker_id == "worker-1"


def test_a_job_that_backs_off_waits_and_lets_others_pass(database: Database) -> None:
    failed = scenes.run(database, priority=50)
    with database.write() as connection:
        failure = claims.Failure("device", "the device fell off", 3, retryable=True)
        claims.fail(connection, failed, failure, retry_after=timedelta(hours=1))
    assert scenes.claim(database) is None
    other = scenes.submit(database)
    held = scenes.claim(database)
    assert held is not None
    assert held.job.id == other.id


def test_the_queue_says_when_its_next_job_is_due(database: Database) -> None:
    def due_in() -> float | None:
        with database.read() as connection:
            return claims.due_in(connection)

    assert due_in() is None
    failed = scenes.run(database)
    with database.write() as connection:
        failure = claims.Failure("device", "the device fell off", 3, retryable=True)
        claims.fail(connection, failed, failure, retry_after=timedelta(hours=1))
    wait = due_in()
    assert wait is not None
    assert 3000 < wait <= 3600
    scenes.submit(database)
    assert due_in() == 0


def test_others_wait_while_any_job_is_queued(database: Database) -> None:
    scenes.submit(database)
    with database.read() as connection:
        assert claims.others_wait(connection)
    scenes.claim(database)
    with database.read() as connection:
        assert not claims.others_wait(connection)


def test_a_lease_may_last_for_months(database: Database) -> None:
    scenes.submit(database)
    held = scenes.claim(database, lease=timedelta(days=90))
    assert held is not None
    with database.write() as connection:
        assert claims.heartbeat(connection, held) is JobState.STARTING
        assert claims.reap(connection) == []


def test_a_heartbeat_renews_the_lease(database: Database) -> None:
    held = scenes.run(database)
    before = scenes.column(database, held.job, "lease_expires_at")
    with database.write() as connection:
        longer = claims.Claim(held.job, held.token, timedelta(hours=1))
        assert claims.heartbeat(connection, longer) is JobState.RUNNING
    after = scenes.column(database, held.job, "lease_expires_at")
    assert timedelta(minutes=55) < after - before < timedelta(minutes=65)


def test_claims_that_overlap_take_two_jobs(database: Database) -> None:
    first, second = scenes.submit(database), scenes.submit(database)
    with ThreadPoolExecutor(1) as thread:
        with database.write() as connection:
            held = claims.claim(connection, "worker-1", scenes.LEASE)
            later = thread.submit(scenes.claim, database, "worker-2")
            wait([later], timeout=0.2)
        other = later.result()
    assert held is not None
    assert other is not None
    assert (held.job.id, other.job.id) == (first.id, second.id)


def test_each_of_many_jobs_is_claimed_once_and_none_is_lost(database: Database) -> None:
    submit_many(database)
    with ThreadPoolExecutor(CLAIMANTS) as threads:
        claimed = list(threads.map(claim_all, [database] * CLAIMANTS))
    assert_each_once(database, claimed)


@pytest.mark.integration
def test_processes_claim_each_of_many_jobs_once_too(database: Database, database_url: str) -> None:
    submit_many(database)
    with multiprocessing.get_context("spawn").Pool(CLAIMANTS) as processes:
        claimed = processes.map(claim_all_at, [database_url] * CLAIMANTS, chunksize=1)
    assert_each_once(database, claimed)


def submit_many(database: Database) -> None:
    row = scenes.submit(database)
    with database.write() as connection:
        columns = [column for column in tables.jobs.c if column.name not in ("number", "id")]
        model = connection.execute(select(*columns).where(tables.jobs.c.number == row.number)).one()._asdict()
        connection.execute(tables.jobs.insert(), [{**model, "id": f"job-{i}"} for i in range(RUSH - 1)])


def claim_all(database: Database) -> list[int]:
    numbers = []
    while held := scenes.claim(database):
        numbers.append(held.job.number)
    return numbers


def claim_all_at(url: str) -> list[int]:
    database = Database(url)
    numbers = claim_all(database)
    database.close()
    return numbers


def assert_each_once(database: Database, claimed: list[list[int]]) -> None:
    winners = Counter(number for numbers in claimed for number in numbers)
    assert len(winners) == RUSH
    assert set(winners.values()) == {1}
    rows = scenes.dump(database)["jobs"]
    names = [column.name for column in tables.jobs.c]
    assert {(row[names.index("state")], row[names.index("token")]) for row in rows} == {("starting", 1)}
