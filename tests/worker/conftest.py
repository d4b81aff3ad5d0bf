import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ganmodels.specs import SPEC
from store import checkpoints, events, jobs, metrics
from store.database import Database
from store.jobs import Job
from store.settings import Settings
from worker.supervisor import Supervisor

# Small enough for seconds, long enough to be disturbed in the middle.
SPEC_ASKED = {
    "family": "cgan",
    "dataset": "digits",
    "hidden": [16],
    "threads": 1,
    "device": "cpu",
    "total_steps": 600,
    "checkpoint_every": 100,
    "preview_every": 300,
    "log_every": 10,
    "evaluate_every": None,
}
PATIENCE_SECONDS = 90


class Bench:
    """A database, a folder of artifacts, and supervisors at work on them in this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.database.migrate()

    def submit(self, **knobs: Any) -> Job:
        with self.database.write() as connection:
            return jobs.submit(connection, SPEC.validate_python(SPEC_ASKED | knobs)).job

    def read(self, job: Job) -> Job:
        with self.database.read() as connection:
            return jobs.get(connection, job.id)

    def cancel(self, job: Job) -> None:
        with self.database.write() as connection:
            jobs.cancel(connection, job.id)

    def checkpoints(self, job: Job) -> list[checkpoints.Checkpoint]:
        with self.database.read() as connection:
            return checkpoints.whole(connection, job.number)

    def digest(self, job: Job) -> str:
        newest = self.checkpoints(job)[0]
        assert newest.step == job.total_steps
        return str(newest.files["state.safetensors"]["sha256"])

    def events(self, job: Job) -> list[str]:
        with self.database.read() as connection:
            return [event.type for event in events.page(connection, job.number, 0, 1000)[0]]

    def steps(self, job: Job, name: str = "d_loss") -> list[int]:
        with self.database.read() as connection:
            return [point.step for point in metrics.series(connection, job.number, name)]

    @contextmanager
    def worker(self, **changes: Any) -> Iterator[Supervisor]:
        """A supervisor that is drained when the block ends."""
        supervisor = Supervisor(self.settings.model_copy(update=changes))
        supervisor.start()
        try:
            yield supervisor
        finally:
            supervisor.drain()
            supervisor.join()

    def wait(self, job: Job, until: Callable[[Job], bool]) -> Job:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = self.read(job)
            if until(found):
                return found
            time.sleep(0.02)
        pytest.fail(f"waited {PATIENCE_SECONDS} s in vain: {self.read(job)}")

    def finish(self, job: Job) -> Job:
        return self.wait(job, lambda found: found.terminal)

    def wait_for_checkpoint(self, job: Job) -> None:
        self.wait(job, lambda found: bool(self.checkpoints(found)))


def training_children(of: int | None = None) -> list[psutil.Process]:
    """The `worker.child` processes below a process, this one when not told otherwise."""
    below = psutil.Process(of or os.getpid()).children(recursive=True)
    return [process for process in below if _trains(process)]


def _trains(process: psutil.Process) -> bool:
    try:
        return "worker.child" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Quick to look and quick to give up; no Redis, so that jobs start without the doorbell."""
    made = Bench(
        Settings(
            home=tmp_path,
            data_dir=tmp_path / "data",
            poll_seconds=0.2,
            watch_seconds=0.1,
            heartbeat_seconds=0.3,
            retry_seconds=0.1,
            redis_timeout_seconds=0.1,
            redis_url="redis://127.0.0.1:1/0",
        )
    )
    yield made
    made.database.close()
