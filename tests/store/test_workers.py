from datetime import timedelta

from sqlalchemy import update

from store import tables, workers
from store.clock import later
from store.database import Database
from store.lifecycle import JobState
from store.workers import Worker
from tests.store import scenes

MINUTE = timedelta(minutes=1)


def announce(database: Database, name: str, device: str = "cpu") -> None:
    with database.write() as connection:
        workers.announce(connection, name, "host", 7, device)


def alive(database: Database) -> list[Worker]:
    with database.read() as connection:
        return workers.alive(connection, MINUTE)


def test_a_worker_that_announces_itself_is_alive_and_idle(database: Database) -> None:
    announce(database, "worker-1")
    announce(database, "worker-1", device="cuda:0")
    (found,) = alive(database)
    assert (found.id, found.host, found.pid, found.device, found.job_id) == ("worker-1", "host", 7, "cuda:0", None)
    assert found.started_at <= found.seen_at


def test_a_worker_that_leaves_or_falls_silent_is_gone(database: Database) -> None:
    for name in ("worker-1", "worker-2", "worker-3"):
        announce(database, name)
    with database.write() as connection:
        workers.leave(connection, "worker-1")
        seen = update(tables.workers).values(seen_at=later(-2 * MINUTE))
        connection.execute(seen.where(tables.workers.c.id == "worker-2"))
    assert [worker.id for worker in alive(database)] == ["worker-3"]
    announce(database, "worker-2")
    assert {worker.id for worker in alive(database)} == {"worker-2", "worker-3"}


def test_a_worker_shows_the_job_it_holds_and_only_while_it_does(database: Database) -> None:
    announce(database, "worker-1")
    announce(database, "worker-2")
    held = scenes.run(database)
    assert {worker.id: worker.job_id for worker in alive(database)} == {"worker-1": held.job.id, "worker-2": None}
    scenes.put(database, held.job, state=JobState.SUCCEEDED)
    assert {worker.job_id for worker in alive(database)} == {None}


def test_a_worker_is_listed_once_though_an_expired_job_still_bears_its_name(database: Database) -> None:
    announce(database, "worker-1")
    lost = scenes.run(database)
    scenes.expire(database, lost.job)
    held = scenes.run(database)
    assert [(worker.id, worker.job_id) for worker in alive(database)] == [("worker-1", held.job.id)]
