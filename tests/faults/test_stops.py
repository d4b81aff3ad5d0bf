"""Being told to stop: the whole stack by SIGTERM, one job by a person, a child that no longer listens."""

import os
import signal
import time

import psutil
import pytest

from store import jobs
from store.database import Database
from store.jobs import Job
from tests.e2e.conftest import ENDLESS, Running, eventually
from tests.faults.conftest import FINISHED, Told, assert_whole

PROMPT_SECONDS = 2.0  # or one step, which takes some hundredths of a second here
HANGING_SECONDS = 10.0
SLACK_SECONDS = 2.0  # of a busy machine, and of looking
ROUNDS = 5


def test_a_stack_told_to_stop_gives_its_jobs_back_in_time_and_loses_nothing(
    running: Running, undisturbed: str, record_property: Told
) -> None:
    record_property("rounds", ROUNDS)
    for _ in range(ROUNDS):
        trained, waiting = running.submit(), running.submit(total_steps=20)
        running.await_checkpoint(trained)
        started, up = time.monotonic(), psutil.Process(running.up())
        os.kill(up.pid, signal.SIGTERM)
        left = eventually(lambda id=trained: let_go(running, id), "the job to be given back")  # type: ignore[misc]
        assert time.monotonic() - started < HANGING_SECONDS + SLACK_SECONDS
        psutil.wait_procs([up], timeout=60)
        assert left.failures == 0
        assert left.step > 0
        running.restart()
        assert_whole(running, trained, undisturbed)
        assert running.job(trained)["attempt"] == 1
        assert running.await_state(waiting, *FINISHED)["state"] == "succeeded"


def let_go(running: Running, id: str) -> Job | None:
    """Read a job behind the service's back, once it waits again."""
    database = Database(f"sqlite:///{running.stack.home / 'ganymede.db'}")
    with database.read() as connection:
        job = jobs.get(connection, id)
    database.close()
    return job if job.state == "queued" else None


@pytest.mark.parametrize(("ask", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_job_is_stopped_promptly_by(running: Running, record_property: Told, ask: str, state: str) -> None:
    record_property("rounds", ROUNDS)
    for _ in range(ROUNDS):
        job = running.submit(**ENDLESS)
        running.await_checkpoint(job)
        asked = time.monotonic()
        running.http.post(f"/jobs/{job}/{ask}")
        running.await_state(job, state, *FINISHED)
        assert time.monotonic() - asked < PROMPT_SECONDS + SLACK_SECONDS
        assert running.job(job)["state"] == state
        if state == "paused":
            running.http.post(f"/jobs/{job}/cancel")


@pytest.mark.parametrize(("ask", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_job_whose_child_hangs_is_stopped_in_time_by(running: Running, ask: str, state: str) -> None:
    job = running.submit(**ENDLESS)
    running.await_checkpoint(job)
    for process in running.processes("worker.child"):
        process.suspend()
    asked = time.monotonic()
    running.http.post(f"/jobs/{job}/{ask}")
    running.await_state(job, state, *FINISHED)
    assert time.monotonic() - asked < HANGING_SECONDS + SLACK_SECONDS
    assert running.job(job)["state"] == state
    if state == "paused":
        running.http.post(f"/jobs/{job}/cancel")
    assert running.await_state(running.submit(total_steps=20), *FINISHED)["state"] == "succeeded"
