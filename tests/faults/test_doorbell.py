"""A doorbell that hangs or is gone: whatever it does, jobs are taken, run and told of, a little later at most."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import redis_command
from ganymede import Client, Event
from tests.e2e.conftest import Running
from tests.faults.conftest import FINISHED, a_stack, assert_whole

SUBMIT_SECONDS, START_SECONDS = 5.0, 20.0
POLL_SECONDS = 10.0  # how late a job may be claimed that nobody rang for
HEARD_SECONDS = 4.0  # and how soon it is when the doorbell works
RETURN_SECONDS = 35.0  # Celery looks for a doorbell that is gone every 2, 4, … and at last every 30 s


class Redis:
    """A Redis that is not the stack's own, so that nobody but the test starts it again."""

    def __init__(self, socket: Path) -> None:
        self.url = f"redis+socket://{socket}"
        self._command = redis_command(socket)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Accept connections and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    made = Redis(tmp_path_factory.mktemp("redis") / "s")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> Iterator[Running]:
    settings = {"GANYMEDE_REDIS_URL": redis.url, "GANYMEDE_POLL_SECONDS": str(POLL_SECONDS)}
    with a_stack(tmp_path_factory.mktemp("home"), **settings) as made:
        yield made


FAULTS = pytest.mark.parametrize(("fault", "end"), [("stop", "start"), ("freeze", "thaw")], ids=["gone", "frozen"])


def survivors(running: Running) -> set[int]:
    return {process.pid for words in ("uvicorn", "celery") for process in running.processes(words)}


def start_seconds(running: Running, job: str, asked: float) -> float:
    running.await_state(job, "starting", "running", *FINISHED)
    return time.monotonic() - asked


def assert_heard_again(running: Running, digest: str) -> None:
    """Three jobs, posted at odd moments, are each claimed much sooner than anybody looks unrung."""
    for moment in (RETURN_SECONDS, 3.1, 5.7):
        time.sleep(moment)
        asked = time.monotonic()
        job = running.submit()
        assert start_seconds(running, job, asked) < HEARD_SECONDS
        assert_whole(running, job, digest)


@FAULTS
def test_a_job_is_taken_and_starts_while_the_doorbell_is(
    running: Running, redis: Redis, undisturbed: str, fault: str, end: str
) -> None:
    before = survivors(running)
    getattr(redis, fault)()
    asked = time.monotonic()
    job = running.submit()
    assert time.monotonic() - asked < SUBMIT_SECONDS
    assert start_seconds(running, job, asked) < START_SECONDS
    assert_whole(running, job, undisturbed)
    getattr(redis, end)()
    assert_heard_again(running, undisturbed)
    assert survivors(running) == before, "something had to be started anew"


@FAULTS
@pytest.mark.parametrize("fraction", [0.1, 0.9], ids=["in mid-run", "at the end"])
def test_a_job_ends_as_it_would_and_its_events_flow_when_the_doorbell_is(
    running: Running, redis: Redis, undisturbed: str, fault: str, end: str, fraction: float
) -> None:
    before = survivors(running)
    job = running.submit()
    heard: list[Event] = []
    listener = threading.Thread(target=lambda: heard.extend(Client(running.stack.url).follow(job)))
    listener.start()
    while running.job(job)["progress"]["fraction"] < fraction:
        time.sleep(0.05)
    getattr(redis, fault)()
    assert_whole(running, job, undisturbed)
    listener.join(30)
    assert [event.id for event in heard] == [event["id"] for event in running.items(f"/jobs/{job}/events")]
    getattr(redis, end)()
    assert survivors(running) == before, "something had to be started anew"
