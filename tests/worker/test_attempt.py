"""What becomes of a job when its child, its worker or its files do not: all on real children."""

import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import update

from store import jobs
from store.lifecycle import JobState
from store.tables import jobs as job_rows
from tests.worker.conftest import Bench, kill, training_children
from worker import supervisor
from worker.attempt import Attempt

pytestmark = pytest.mark.integration

STAYS_SECONDS = 1.0


@pytest.fixture(scope="module")
def undisturbed_digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    from store.settings import Settings

    bench = Bench(Settings(home=tmp_path_factory.mktemp("undisturbed"), redis_url="redis://127.0.0.1:1/0"))
    job = bench.submit()
    with bench.worker():
        assert bench.finish(job).state is JobState.SUCCEEDED
    assert bench.events(job)[:3] == ["queued", "starting", "running"]
    assert bench.events(job)[-2:] == ["succeeded", "done"]
    assert bench.steps(job) == list(range(10, 601, 10))
    assert [checkpoint.step for checkpoint in bench.checkpoints(job)] == [600, 500, 400, 300, 200, 100]
    bench.database.close()
    return bench.digest(job)


def test_a_killed_child_costs_an_attempt_and_not_a_bit(bench: Bench, undisturbed_digest: str) -> None:
    job = bench.submit()
    with bench.worker():
        bench.wait_for_checkpoint(job)
        for child in training_children():
            kill(child)
        ended = bench.finish(job)
    assert ended.state is JobState.SUCCEEDED
    assert bench.events(job).count("starting") == 2
    assert bench.digest(job) == undisturbed_digest
    assert bench.steps(job) == list(range(10, 601, 10))


def test_a_drained_job_goes_on_elsewhere_with_its_attempt_not_counted(bench: Bench, undisturbed_digest: str) -> None:
    job = bench.submit()
    with bench.worker():
        bench.wait_for_checkpoint(job)
    drained = bench.read(job)
    assert drained.state is JobState.QUEUED
    assert drained.failures == 0
    assert bench.checkpoints(job)[0].step == drained.step
    with bench.worker():
        bench.finish(job)
    assert bench.digest(job) == undisturbed_digest


def test_a_cancelled_job_stops_and_keeps_what_it_has(bench: Bench) -> None:
    job = bench.submit(total_steps=1_000_000, checkpoint_every=1_000_000)
    with bench.worker():
        bench.wait(job, lambda found: found.step > 0)
        bench.cancel(job)
        ended = bench.finish(job)
    assert ended.state is JobState.CANCELLED
    assert 0 < bench.checkpoints(job)[0].step < 1_000_000


def test_a_damaged_checkpoint_falls_back_to_the_one_before(bench: Bench, undisturbed_digest: str) -> None:
    job = bench.submit()
    with bench.worker():
        bench.wait(job, lambda found: len(bench.checkpoints(found)) >= 2)
    newest = bench.checkpoints(job)[0]
    state = Path(bench.settings.artifacts) / newest.path("state.safetensors")
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    with bench.worker():
        bench.finish(job)
    assert "checkpoint_damaged" in bench.events(job)
    assert bench.digest(job) == undisturbed_digest


def test_a_worker_whose_token_is_stale_writes_nothing_more(bench: Bench) -> None:
    job = bench.submit(total_steps=1_000_000)
    with bench.worker() as worker:
        bench.wait(job, lambda found: found.step > 0)
        with bench.database.write() as connection:  # what a successor's claim does
            connection.execute(update(job_rows).values(token=job_rows.c.token + 1, worker_id="successor"))
        bench.wait(job, lambda _: not training_children() or worker._spare is not None)
        before = bench.read(job), bench.steps(job), bench.events(job)
        worker.drain()
        worker.join()
    assert (bench.read(job), bench.steps(job), bench.events(job)) == before
    assert bench.read(job).state is JobState.RUNNING


def test_an_attempt_that_breaks_costs_its_lease_and_not_the_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = []

    def break_once(*arguments: Any) -> Attempt:
        if not broken:
            broken.append(arguments)
            raise RuntimeError("broken")
        return Attempt(*arguments)

    monkeypatch.setattr(supervisor, "Attempt", break_once)
    job = bench.submit(total_steps=1)
    with bench.worker(lease_seconds=1):
        ended = bench.finish(job)
    assert ended.state is JobState.SUCCEEDED
    assert ended.attempt == 2


def test_a_child_that_makes_no_step_is_ended_and_said_so(bench: Bench) -> None:
    job = bench.submit(max_attempts=1)
    with bench.worker(stall_seconds=0.01):
        ended = bench.finish(job)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "stalled"


def test_data_that_changed_under_a_job_is_refused_by_name(bench: Bench) -> None:
    job = bench.submit()
    with bench.worker():
        bench.wait_for_checkpoint(job)
    with bench.database.write() as connection:
        numerics = {**(bench.read(job).numerics or {}), "numerics_version": 0}
        connection.execute(update(job_rows).values(numerics=numerics))
    with bench.worker():
        ended = bench.finish(job)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "numerics_changed"
    assert "numerics_version 0" in ended.error["message"]


def test_a_spec_that_changed_under_a_job_is_refused_by_name_and_a_retry_goes_on(bench: Bench) -> None:
    job = bench.submit()
    with bench.worker():
        bench.wait_for_checkpoint(job)
    kept = bench.read(job).spec
    with bench.database.write() as connection:
        connection.execute(update(job_rows).values(spec={**kept, "batch_size": kept["batch_size"] + 1}))
    with bench.worker():
        ended = bench.finish(job)
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == (JobState.FAILED, "numerics_changed")
    assert f"batch_size {kept['batch_size']}, the job's spec has {kept['batch_size'] + 1}" in ended.error["message"]
    with bench.database.write() as connection:
        again = jobs.retry(connection, job.id)
    with bench.worker():
        ended = bench.finish(again)
    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)


def test_a_data_set_that_cannot_be_had_fails_at_once_saying_where_it_was_looked_for(bench: Bench) -> None:
    job = bench.submit(dataset="mnist")
    with bench.worker():
        ended = bench.finish(job)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "dataset_unavailable"
    assert str(bench.settings.data) in ended.error["message"]
    assert ended.attempt == 1


def test_a_warm_child_takes_the_next_job_and_numbers_do_not_care(bench: Bench, undisturbed_digest: str) -> None:
    with bench.worker():
        bench.wait(bench.submit(total_steps=1), lambda found: found.terminal)
        [warm] = _wait_for_spare()
        job = bench.submit()
        bench.wait(job, lambda found: found.state is JobState.RUNNING)
        assert warm.is_running()
        bench.finish(job)
    assert bench.digest(job) == undisturbed_digest
    assert training_children() == []


def _wait_for_spare() -> list[psutil.Process]:
    """Return the one child that stays: that of the job before ends by itself."""
    deadline, since, alone = time.monotonic() + 30, time.monotonic(), training_children()
    while time.monotonic() < deadline and (len(alone) != 1 or time.monotonic() - since < STAYS_SECONDS):
        time.sleep(0.05)
        if training_children() != alone:
            since, alone = time.monotonic(), training_children()
    return alone
