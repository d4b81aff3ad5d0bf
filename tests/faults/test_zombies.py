"""A supervisor that is frozen and wakes up, and supervisors that want the same job."""

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from threading import Barrier

from sqlalchemy import select

from store import claims, jobs, tables
from store.database import Database
from tests.e2e.conftest import Running
from tests.faults.conftest import SHORT, Told, assert_whole
from tests.store import scenes

LEASE = float(SHORT["GANYMEDE_LEASE_SECONDS"])
RACES = 200
JOBS, CLAIMERS = 2_000, 8


def test_a_supervisor_frozen_for_two_leases_leaves_its_successor_s_job_alone(
    running: Running, undisturbed: str
) -> None:
    job = running.submit()
    running.await_checkpoint(job)
    (frozen,) = running.processes("celery")
    family = [frozen, *frozen.children(recursive=True)]
    for process in family:
        process.suspend()
    with running.another_worker() as successor:
        time.sleep(2 * LEASE)
        workers = {attempt["worker"] for attempt in running.items(f"/jobs/{job}/logs")}
        assert len(workers) == 2, "nobody has taken the job over"
        for process in family:
            process.resume()
        assert_whole(running, job, undisturbed)
        assert successor.is_running()
    attempts = running.items(f"/jobs/{job}/logs")
    assert [attempt["state"] for attempt in attempts] == ["queued", "succeeded"]


def test_of_two_that_want_the_same_job_one_has_it(database: Database, record_property: Told) -> None:
    record_property("rounds", RACES)
    for _ in range(RACES):
        job = scenes.submit(database)
        start = Barrier(2)

        def race(worker: str, start: Barrier = start) -> claims.Claim | None:
            start.wait()
            return scenes.claim(database, worker)

        with ThreadPoolExecutor(2) as pool:
            won = [held for held in pool.map(race, ("one", "other")) if held is not None]
        assert [held.job.id for held in won] == [job.id]


def claim_all(url: str) -> list[str]:
    """Claim until nothing waits; return what was claimed."""
    own, claimed = Database(url), []
    while True:
        with own.write() as connection:
            held = claims.claim(connection, f"worker-{os.getpid()}", timedelta(minutes=5))
        if held is None:
            own.close()
            return claimed
        claimed.append(held.job.id)


def test_each_of_2000_jobs_is_claimed_once_by_8_processes(database: Database, record_property: Told) -> None:
    record_property("rounds", JOBS)
    with database.write() as connection:
        for _ in range(JOBS):
            jobs.submit(connection, scenes.spec())

    with get_context("spawn").Pool(CLAIMERS) as pool:
        claimed = pool.map(claim_all, [database.url.render_as_string(hide_password=False)] * CLAIMERS, chunksize=1)
    found = Counter(id for some in claimed for id in some)
    assert (len(found), set(found.values())) == (JOBS, {1})
    with database.read() as connection:
        assert set(connection.scalars(select(tables.jobs.c.token))) == {1}
