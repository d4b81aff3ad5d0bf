"""The whole stack for real: `python -m app.operate up` in a folder of its own, driven over HTTP."""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from ganymede.stack import Stack, operate
from tests.conftest import KEPT
from tests.store import s3

Found = TypeVar("Found")

# Small enough for two busy cores, long enough to be interrupted: a checkpoint every 20 steps.
SPEC: dict[str, Any] = {
    "family": "dcgan",
    "conditional": True,
    "dataset": "digits",
    "width": 8,
    "batch_size": 16,
    "threads": 1,
    "total_steps": 400,
    "checkpoint_every": 20,
    "preview_every": 100,
    "log_every": 20,
    "evaluate_every": None,
}
ENDLESS = {**SPEC, "total_steps": 1_000_000}
# Faults are found and healed in a second or two instead of a minute.
SHORT_TIMES = {
    "GANYMEDE_POLL_SECONDS": "1",
    "GANYMEDE_RETRY_SECONDS": "0.5",
    "GANYMEDE_LEASE_SECONDS": "15",
    "GANYMEDE_HEARTBEAT_SECONDS": "1",
}
PATIENCE_SECONDS = 120


class Running:
    """A stack and the few things that every test asks of it."""

    def __init__(self, stack: Stack, key: str | None = None) -> None:
        self.stack = stack
        self.key = key
        told = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=stack.url, timeout=60, trust_env=False, headers=told)

    def submit(self, **changes: Any) -> str:
        answer = self.http.post("/jobs", json={**SPEC, **changes})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, id: str) -> dict[str, Any]:
        answer = self.http.get(f"/jobs/{id}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def items(self, path: str) -> list[dict[str, Any]]:
        """Read a whole list, page after page."""
        found: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while True:
            page = self.http.get(path, params=after).json()
            found += page["data"]
            if not page["has_more"]:
                return found
            after = {"after": page["last_id"]}

    def await_state(self, id: str, *states: str) -> dict[str, Any]:
        return eventually(lambda: job if (job := self.job(id))["state"] in states else None, f"{id} to be {states}")

    def await_checkpoint(self, id: str) -> dict[str, Any]:
        return eventually(
            lambda: job if (job := self.job(id))["latest_checkpoint"] else None, f"{id} to have a checkpoint"
        )

    def processes(self, words: str) -> list[psutil.Process]:
        """Find the stack's own processes by their command line, `up` itself left out."""
        up = psutil.Process(self.up())
        return [process for process in up.children(recursive=True) if words in command_line(process)]

    def log(self, service: str) -> str:
        """Return what the API, or the first worker, has logged."""
        name = {"worker": "worker-0"}.get(service, service)
        return (self.stack.home / "logs" / f"{name}.log").read_text()

    def up(self) -> int:
        """Return the process id of `up` itself."""
        return int(json.loads((self.stack.home / "up.json").read_text())["pid"])

    @contextmanager
    def another_worker(self, **environment: str) -> Iterator[psutil.Process]:
        """A worker beside those of the stack, started as a person would; it is drained in the end."""
        with (self.stack.home / "logs" / "another.log").open("ab") as log:
            command = [*operate("worker"), "--home", str(self.stack.home)]
            surroundings = {**os.environ, **environment}
            started = psutil.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=surroundings)
            try:
                yield started
            finally:
                started.terminate()
                started.wait(60)

    def restart(self) -> None:
        self.stack.stop()
        self.stack.start()


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def eventually(look: Callable[[], Found | None], what: str, seconds: float = PATIENCE_SECONDS) -> Found:
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return found


def kill_all(processes: list[psutil.Process]) -> None:
    assert processes
    for process in processes:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)


def final_digest(running: Running, job: str) -> str:
    """Read what a finished job has learned, as one number."""
    newest = running.items(f"/jobs/{job}/checkpoints")[0]
    assert newest["step"] == running.job(job)["progress"]["total_steps"]
    return str(newest["files"]["state.safetensors"]["sha256"])


@pytest.fixture(scope="session", autouse=True)
def _bucket(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the files of every stack in a bucket, where the command line says so."""
    if request.config.getoption("artifacts") == "folder":
        yield
        return
    with s3.running() as server, pytest.MonkeyPatch.context() as environment:
        server.told_to(environment)
        environment.setenv("GANYMEDE_ARTIFACTS", f"s3://{s3.BUCKET}")
        yield


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with a_stack(tmp_path_factory.mktemp("home")) as made:
        yield made


@contextmanager
def a_stack(home: Path, workers: int | None = None, **settings: str) -> Iterator[Running]:
    """Run a stack; `settings` are set in its environment. Where docker-compose.yml's runs already, it is that one."""
    from tests.e2e import composed  # which looks at this file

    if composed.is_asked_for():
        with composed.Composed() as made:
            yield made
        return
    if bucket := os.environ.get("GANYMEDE_ARTIFACTS"):
        settings = {"GANYMEDE_ARTIFACTS": f"{bucket}/{uuid.uuid4()}", **settings}  # a stack sweeps what is not its own
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("GANYMEDE_") and name not in KEPT]:
            environment.delenv(name)  # set for a stack that runs beside this one
        for name, value in {**SHORT_TIMES, **settings}.items():
            environment.setenv(name, value)
        root = str(Path(__file__).parents[2])
        environment.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
        made = Running(Stack(home, workers=workers))
        with made.stack, made.http:
            yield made
