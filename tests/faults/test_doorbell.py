"""A doorbell that hangs or is gone: whatever it does, jobs are taken, run and told of, a little later at most."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.e2e.conftest import Running
from tests.faults.conftest import FINISHED, assert_whole

SUBMIT_SECONDS, START_SECONDS = 5.0, 20.0


@contextmanager
def frozen(running: Running) -> Iterator[None]:
    """Redis accepts connections and says nothing."""
    (redis,) = running.processes("redis-server")
    redis.suspend()
    try:
        yield
    finally:
        redis.resume()


@contextmanager
def killed_again_and_again(running: Running) -> Iterator[None]:
    """Redis is gone whenever one looks; the stack starts it anew each time."""
    for redis in running.processes("redis-server"):
        redis.kill()
    yield


FAULTS = pytest.mark.parametrize("fault", [frozen, killed_again_and_again], ids=lambda fault: fault.__name__)
Fault = Callable[[Running], "contextmanager[None]"]


def survivors(running: Running) -> set[int]:
    return {process.pid for words in ("uvicorn", "celery") for process in running.processes(words)}


@FAULTS
def test_a_job_is_taken_and_starts_while_the_doorbell_is(running: Running, undisturbed: str, fault: Fault) -> None:
    before = survivors(running)
    with fault(running):  # type: ignore[attr-defined]
        asked = time.monotonic()
        job = running.submit()
        assert time.monotonic() - asked < SUBMIT_SECONDS
        running.await_state(job, "running", *FINISHED)
        assert time.monotonic() - asked < START_SECONDS
        assert_whole(running, job, undisturbed)
    assert survivors(running) == before, "nothing else had to be started anew"
    assert_whole(running, running.submit(), undisturbed)


@FAULTS
def test_a_job_ends_as_it_would_when_in_the_midst_of_it_the_doorbell_is(
    running: Running, undisturbed: str, fault: Fault
) -> None:
    job = running.submit()
    running.await_checkpoint(job)
    seen = len(running.items(f"/jobs/{job}/events"))
    with fault(running):  # type: ignore[attr-defined]
        assert_whole(running, job, undisturbed)
        assert len(running.items(f"/jobs/{job}/events")) > seen
    assert all(psutil.pid_exists(pid) for pid in survivors(running))
