"""Two hosts with a worker each, on one bucket and one database; the one that trains is cut off."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from app.embedded import redis_command
from store.artifacts import Artifacts
from store.database import Database
from tests.e2e.conftest import Running, a_stack, command_line, eventually, final_digest
from tests.store import postgres, s3

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FINISHED = ("succeeded", "failed", "cancelled")
SUBNET = f"198.18.{os.getpid() % 256}"  # set aside for tests of networks
SERVICES = f"{SUBNET}.1"
BRIDGE = f"gm{os.getpid()}"
TIMES = {
    "GANYMEDE_LEASE_SECONDS": "3",
    "GANYMEDE_HEARTBEAT_SECONDS": "0.5",
    "GANYMEDE_POLL_SECONDS": "1",
    "GANYMEDE_WATCH_SECONDS": "0.3",
    "GANYMEDE_SWEEP_SECONDS": "2",
}


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    """A network namespace with one link, to the bridge that the services listen on."""

    def __init__(self, number: int) -> None:
        self._name, self._port = f"{BRIDGE}-{number}", f"{BRIDGE}p{number}"
        ip("netns", "add", self._name)
        ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        ip("link", "set", self._port, "master", BRIDGE, "up")
        ip("-n", self._name, "address", "add", f"{SUBNET}.{number + 1}/24", "dev", "eth0")
        ip("-n", self._name, "link", "set", "eth0", "up")

    def cut_off(self) -> None:
        ip("link", "set", self._port, "down")

    def join_again(self) -> None:
        ip("link", "set", self._port, "up")

    @contextmanager
    def worker(self, home: Path, settings: dict[str, str]) -> Iterator[psutil.Popen]:
        home.mkdir()
        command = ["ip", "netns", "exec", self._name, sys.executable, "-m", "worker"]
        environment = {**os.environ, **settings, "GANYMEDE_HOME": str(home)}
        with (home / "log").open("wb") as log:
            started = psutil.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            yield started
        finally:
            started.terminate()
            for stuck in psutil.wait_procs([started], timeout=30)[1]:
                stuck.kill()


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and iproute2, to make hosts of network namespaces")
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("address", "add", f"{SERVICES}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        made = [Host(1), Host(2)]
    except subprocess.CalledProcessError as refused:
        tear_down()
        pytest.skip(f"may not make network namespaces: {refused.stderr.strip()}")
    yield made
    tear_down()


def tear_down() -> None:
    """Remove the hosts, their links and the bridge; none need be there."""
    for number in (1, 2):
        for words in (("netns", "delete", f"{BRIDGE}-{number}"), ("link", "delete", f"{BRIDGE}p{number}")):
            subprocess.run(["ip", *words], check=False, capture_output=True)
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)


@contextmanager
def a_redis(folder: Path) -> Iterator[None]:
    command = [*redis_command(folder / "s"), "--port", "6379", "--bind", SERVICES, "--protected-mode", "no"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:
        yield
        server.terminate()


@pytest.fixture(scope="module")
def settings(hosts: list[Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the services are, as both hosts reach them."""
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("needs PostgreSQL: no `postgres` on PATH nor under /usr/lib/postgresql")
    with postgres.running(programs, address=SERVICES) as database, s3.running(SERVICES) as bucket:
        with a_redis(tmp_path_factory.mktemp("redis")), pytest.MonkeyPatch.context() as environment:
            bucket.told_to(environment)
            yield {
                **TIMES,
                **bucket.settings,
                "GANYMEDE_ARTIFACTS": f"s3://{s3.BUCKET}/{uuid.uuid4()}",
                "GANYMEDE_DATABASE_URL": database.url.format("postgres"),
                "GANYMEDE_REDIS_URL": f"redis://{SERVICES}:6379/0",
            }


def test_a_job_of_a_host_that_is_cut_off_goes_on_at_another(
    hosts: list[Host], settings: dict[str, str], tmp_path: Path
) -> None:
    artifacts = Artifacts(settings["GANYMEDE_ARTIFACTS"])
    with a_stack(tmp_path / "api", workers=0, **settings) as running, ExitStack() as started:
        at = {started.enter_context(host.worker(tmp_path / str(n), settings)): host for n, host in enumerate(hosts)}
        await_workers(running, 2)
        undisturbed = running.submit()
        assert running.await_state(undisturbed, *FINISHED)["state"] == "succeeded"

        job = running.submit()
        running.await_checkpoint(job)
        (busy,) = (worker["pid"] for worker in running.items("/workers") if worker["job_id"] == job)
        (cut_off,) = (process for process in at if process.pid == busy)
        (child,) = (process for process in cut_off.children() if "worker.child" in command_line(process))
        with caught_in_a_write(settings["GANYMEDE_DATABASE_URL"]):
            at[cut_off].cut_off()
        assert running.job(job)["state"] not in FINISHED, "the job was over before its host was cut off"
        attempt = f"jobs/{job}/attempt-1"
        written = artifacts.files(attempt)
        assert written
        done = running.await_state(job, *FINISHED)
        assert (done["state"], done["error"]) == ("succeeded", None)
        assert final_digest(running, job) == final_digest(running, undisturbed)
        eventually(lambda: not child.is_running() or None, "the cut-off worker to end its child")
        record = [running.items(f"/jobs/{job}/{part}") for part in ("checkpoints", "previews", "events", "logs")]

        at[cut_off].join_again()
        await_workers(running, 2)
        assert cut_off.is_running()
        assert running.job(job) == done
        assert record == [
            running.items(f"/jobs/{job}/{part}") for part in ("checkpoints", "previews", "events", "logs")
        ]
        # A file that was on its way when the link went down arrives when it is up again: without a row, so it is swept.
        eventually(lambda: set(artifacts.files(attempt)) <= set(written) or None, "what no row points at to be swept")
        first, second = running.items(f"/jobs/{job}/logs")
        assert (first["state"], second["state"]) == ("queued", "succeeded")
        assert first["worker"] != second["worker"]


@contextmanager
def caught_in_a_write(url: str) -> Iterator[None]:
    """Wait until the one job that trains is written within a transaction that has its row, and hold that one there."""
    with closing(Database(url)) as database, database.write() as connection:
        connection.execute(text("LOCK TABLE metrics IN SHARE MODE"))
        waiting = text("SELECT true FROM pg_locks WHERE relation = 'metrics'::regclass AND NOT granted")
        eventually(lambda: connection.scalar(waiting), "a write that is held up")
        yield


def await_workers(running: Running, count: int) -> None:
    eventually(lambda: len(running.items("/workers")) == count or None, f"{count} workers")
