from concurrent.futures import ThreadPoolExecutor

import pytest

from store import aliases, checkpoints, claims, jobs
from store.claims import Claim
from store.database import Database
from store.errors import AliasNotFound, CheckpointNotFound, CheckpointPruned, JobNotFound, StillNamed
from store.jobs import Job
from tests.store import scenes

NO_ONE = "00000000-0000-4000-8000-000000000000"


def checkpoint(database: Database, held: Claim, *steps: int) -> None:
    for step in steps:
        with database.write() as connection:
            claims.checkpoint(connection, held, step, f"folder-{step}", scenes.FILES, scenes.CARD)


def put(database: Database, name: str, job: Job, step: aliases.Step = "latest") -> bool:
    with database.write() as connection:
        return aliases.put(connection, name, job.id, step)


def named(database: Database, name: str) -> tuple[str, aliases.Step]:
    with database.read() as connection:
        found = aliases.get(connection, name)
    return found.job, found.step


def kept(database: Database, job: Job) -> list[int]:
    with database.read() as connection:
        return [found.step for found in checkpoints.whole(connection, job.number)]


@pytest.mark.parametrize("step", ["latest", "best", 10, 0])
def test_a_name_stands_for_a_job_and_a_checkpoint(database: Database, step: aliases.Step) -> None:
    held = scenes.run(database)
    checkpoint(database, held, 0, 10)
    assert put(database, "digits", held.job, step) is True
    assert named(database, "digits") == (held.job.id, step)
    assert type(named(database, "digits")[1]) is type(step)


def test_a_name_is_moved_and_let_go(database: Database) -> None:
    first, second = scenes.submit(database), scenes.submit(database)
    assert put(database, "digits", first) is True
    assert put(database, "digits", second, "best") is False
    assert named(database, "digits") == (second.id, "best")
    with database.write() as connection:
        aliases.remove(connection, "digits")
        assert aliases.find(connection, "digits") is None
        with pytest.raises(AliasNotFound, match="digits"):
            aliases.get(connection, "digits")
        with pytest.raises(AliasNotFound, match="digits"):
            aliases.remove(connection, "digits")


def test_a_name_stands_for_nothing_that_is_not_there(database: Database) -> None:
    held = scenes.run(database, keep_checkpoints=1)
    checkpoint(database, held, 10, 20)
    put(database, "digits", held.job)
    for job_id, step, error in (
        (NO_ONE, "latest", JobNotFound),
        (held.job.id, 30, CheckpointNotFound),
        (held.job.id, 10, CheckpointPruned),
    ):
        with pytest.raises(error), database.write() as connection:
            aliases.put(connection, "digits", job_id, step)
    assert named(database, "digits") == (held.job.id, "latest")


def test_a_checkpoint_with_a_name_is_kept_until_it_has_none(database: Database) -> None:
    held = scenes.run(database, keep_checkpoints=1)
    checkpoint(database, held, 10)
    put(database, "digits", held.job, 10)
    checkpoint(database, held, 20, 30)
    assert kept(database, held.job) == [30, 10]
    put(database, "digits", held.job, 30)
    checkpoint(database, held, 40, 50)
    assert kept(database, held.job) == [50, 30]
    put(database, "digits", held.job, "latest")
    checkpoint(database, held, 60)
    assert kept(database, held.job) == [60]


def test_a_name_keeps_the_checkpoints_of_its_own_job_alone(database: Database) -> None:
    held, other = scenes.run(database, keep_checkpoints=1), scenes.run(database)
    checkpoint(database, other, 10)
    put(database, "others", other.job, 10)
    checkpoint(database, held, 10, 20)
    assert kept(database, held.job) == [20]


@pytest.mark.parametrize("step", ["latest", 10])
def test_a_job_with_a_name_is_not_deleted(database: Database, step: aliases.Step) -> None:
    held, other = scenes.run(database), scenes.submit(database)
    checkpoint(database, held, 10)
    put(database, "digits", held.job, step)
    with database.write() as connection:
        claims.succeed(connection, held)
    with pytest.raises(StillNamed, match=f"digits points at job {held.job.id}"), database.write() as connection:
        jobs.delete(connection, held.job.id)
    put(database, "digits", other)
    with database.write() as connection:
        jobs.delete(connection, held.job.id)
    assert named(database, "digits") == (other.id, "latest")


def test_names_come_in_order_page_by_page(database: Database) -> None:
    job = scenes.submit(database)
    for name in ("c", "a", "e", "b", "d"):
        put(database, name, job)
    seen: list[str] = []
    more = True
    while more:
        with database.read() as connection:
            found, more = aliases.page(connection, seen[-1] if seen else None, 2)
        seen += [alias.name for alias in found]
    assert seen == ["a", "b", "c", "d", "e"]


def test_of_those_who_give_a_new_name_at_once_one_is_the_first(database: Database) -> None:
    mine = [scenes.submit(database) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        new = list(threads.map(lambda job: put(database, "digits", job), mine))
    assert sorted(new) == [False] * 7 + [True]
    assert named(database, "digits")[0] in {job.id for job in mine}
