"""The stack of docker-compose.yml for tests, where it runs already: `make compose-check` brings it up and asks for it.

Processes in containers are looked for, and killed, from this machine: it takes an engine on Linux, and root.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

import psutil

from tests.e2e.conftest import Running, command_line, eventually

ROOT = Path(__file__).parents[2]
INITS = {"docker-init", "tini"}


def is_asked_for() -> bool:
    """Tell whether the tests are to run against docker-compose.yml's stack."""
    return os.environ.get("GANYMEDE_TEST_COMPOSE") == "1"


def compose(*words: str) -> str:
    """Run `docker compose` and return what it printed."""
    done = _compose(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(service: str, *command: str, told: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in a service's container, `told` as its input; it may fail."""
    return _compose("exec", "-T", service, *command, told=told)


def _compose(*words: str, told: str = "") -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", *words]
    return subprocess.run(command, cwd=ROOT, input=told, capture_output=True, text=True, check=False)


def secret(name: str) -> str:
    """Return what `make env` drew."""
    lines = (ROOT / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)[name]


def containers(*services: str) -> list[dict[str, Any]]:
    """Return what the engine knows of the services' containers, of all where none is named."""
    ids = compose("ps", "--all", "--quiet", *services).split()
    told = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(told.stdout)
    return found


def is_well(container: dict[str, Any]) -> bool:
    """Tell whether a container runs and calls itself healthy, or has done its only work."""
    state = container["State"]
    if state["Status"] == "exited":
        return bool(state["ExitCode"] == 0 and container["HostConfig"]["RestartPolicy"]["Name"] != "unless-stopped")
    return bool(state["Status"] == "running" and state.get("Health", {}).get("Status", "healthy") == "healthy")


def await_well() -> None:
    """Wait until every container is well."""
    eventually(lambda: all(map(is_well, containers())) or None, "all containers to be healthy")


class Services:
    """All of docker-compose.yml, stopped and started as one."""

    def __init__(self) -> None:
        self.url = f"http://{compose('port', 'api', '8000').strip()}"

    def stop(self) -> None:
        compose("stop")

    def start(self) -> None:
        compose("start")
        await_well()


class Composed(Running):
    """The stack of docker-compose.yml; it was there before the tests and stays after them."""

    def __init__(self) -> None:
        super().__init__(Services(), secret("GANYMEDE_FIRST_KEY"))

    def processes(self, words: str) -> list[psutil.Process]:
        """Find processes of all containers by their command line, the inits left out."""
        roots = [psutil.Process(each["State"]["Pid"]) for each in containers() if each["State"]["Running"]]
        found = [process for root in roots for process in (root, *root.children(recursive=True))]
        lines = [(each, command_line(each)) for each in found]  # of those that have ended since, none
        return [each for each, line in lines if words in line and Path(line.split()[0]).name not in INITS]

    def log(self, service: str) -> str:
        (container,) = containers(service)
        told = subprocess.run(["docker", "logs", container["Id"]], capture_output=True, text=True, check=True)
        return told.stdout + told.stderr

    def __enter__(self) -> Self:
        await_well()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
