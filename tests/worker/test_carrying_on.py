"""Jobs that begin where others ended, trained by real children."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from store import attempts, jobs
from store.jobs import Job
from store.lifecycle import JobState
from tests.worker.conftest import Bench

pytestmark = pytest.mark.integration

# Rates that stay as they are: a longer run then begins as a shorter one does.
STEADY = {"cooldown": 0.0, "total_steps": 600}


def steer(bench: Bench, change: Callable[..., Job], *arguments: Any) -> Job:
    with bench.database.write() as connection:
        return change(connection, *arguments)


def tensors_of(bench: Bench, job: Job, step: int) -> dict[str, Any]:
    (found,) = [one for one in bench.checkpoints(job) if one.step == step]
    return load_file(Path(bench.settings.artifacts) / found.path("state.safetensors"))


def logs_of(bench: Bench, job: Job) -> list[attempts.Attempt]:
    with bench.database.read() as connection:
        return attempts.page(connection, job.number, 0, 100)[0]


@pytest.fixture
def whole(bench: Bench) -> Job:
    job = bench.submit(**STEADY)
    with bench.worker():
        assert bench.finish(job).state is JobState.SUCCEEDED
    return job


def test_an_extended_job_ends_as_one_run_of_that_length_does(bench: Bench, whole: Job) -> None:
    short = bench.submit(**{**STEADY, "total_steps": 250})
    with bench.worker():
        bench.finish(short)
        longer = steer(bench, jobs.extend, short.id, 600)
        assert bench.finish(longer).state is JobState.SUCCEEDED
    assert bench.digest(longer) == bench.digest(whole)
    assert [one.step for one in bench.checkpoints(longer)] == [600, 500, 400, 300, 250]
    assert bench.steps(longer) == list(range(260, 601, 10))


def test_a_retried_job_goes_on_from_the_newest_checkpoint_that_is_whole(bench: Bench, whole: Job) -> None:
    job = bench.submit(**STEADY)
    with bench.worker():
        bench.wait(job, lambda found: len(bench.checkpoints(found)) >= 2)
        bench.cancel(job)
        bench.finish(job)
    newest, before = bench.checkpoints(job)[:2]
    (Path(bench.settings.artifacts) / newest.path("state.safetensors")).write_bytes(b"damage")
    again = steer(bench, jobs.retry, job.id)
    with bench.worker():
        assert bench.finish(again).state is JobState.SUCCEEDED
    assert bench.digest(again) == bench.digest(whole)
    assert bench.checkpoints(again)[-1].step == before.step
    assert "checkpoint_damaged" in bench.events(again)
    assert newest.step not in [one.step for one in bench.checkpoints(job)]


def test_a_job_may_begin_with_the_networks_of_another_and_learn_something_else(bench: Bench, whole: Job) -> None:
    start = {"job": whole.id, "step": 600}
    tuned = bench.submit(total_steps=1, seed=7, init_from=start, generator_learning_rate=1e-9)
    with bench.worker():
        assert bench.finish(tuned).state is JobState.SUCCEEDED
    before, after = tensors_of(bench, whole, 600), tensors_of(bench, tuned, 1)
    for name in before:
        if name.startswith("generator."):
            assert (before[name] - after[name]).abs().max() < 1e-6, name
    assert after["generator_optimizer.layers.0.weight.step"] == 1
    assert bench.read(tuned).step == 1


def test_networks_that_are_not_the_other_s_are_refused_by_name(bench: Bench, whole: Job) -> None:
    other = bench.submit(hidden=[17], init_from={"job": whole.id})
    with bench.worker():
        ended = bench.finish(other)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "bad_spec"
    assert "init_from: the other job's networks are not this one's" in ended.error["message"]
    (one,) = logs_of(bench, other)
    assert one.state is JobState.FAILED
    assert "Traceback" in one.log
    assert "init_from" in one.log


def test_a_job_stands_by_itself_once_it_has_begun(bench: Bench) -> None:
    short = bench.submit(**{**STEADY, "total_steps": 100})
    with bench.worker():
        bench.finish(short)
        longer = steer(bench, jobs.extend, short.id, 1_000_000)
        bench.wait_for_checkpoint(longer)
        bench.cancel(longer)
        bench.finish(longer)

    with bench.database.write() as connection:
        jobs.delete(connection, short.id)
    again = steer(bench, jobs.retry, longer.id)
    with bench.worker():
        bench.wait(again, lambda found: found.step > bench.read(longer).step)
        bench.cancel(again)
        bench.finish(again)


def test_a_run_ends_in_time_as_succeeded_with_its_checkpoint_and_the_reason(bench: Bench) -> None:
    job = bench.submit(total_steps=1_000_000, checkpoint_every=1_000_000, max_minutes=0.02)
    with bench.worker():
        ended = bench.finish(job)
    assert ended.state is JobState.SUCCEEDED
    assert "max_minutes" in (ended.state_reason or "")
    assert 0 < ended.step < 1_000_000
    assert bench.checkpoints(job)[0].step == ended.step


def test_time_is_counted_over_all_attempts(bench: Bench) -> None:
    """Paused each time after a part of its minutes, a run comes to its end nevertheless."""
    job = bench.submit(total_steps=1_000_000, checkpoint_every=1_000_000, max_minutes=0.05)
    for _ in range(100):
        step = bench.read(job).step
        with bench.worker():
            bench.wait(job, lambda found, step=step: found.terminal or found.step > step)  # type: ignore[misc]
        if bench.read(job).terminal:
            break
    assert bench.read(job).state is JobState.SUCCEEDED
    assert len(logs_of(bench, job)) > 1
