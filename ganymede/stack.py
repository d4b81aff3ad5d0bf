"""A stack of one's own: `ganymede up` as a process, started for a while and stopped in order."""

import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from ganymede.client import Client
from ganymede.errors import GanymedeError

START_SECONDS = 90
STOP_SECONDS = 90
POLL_SECONDS = 0.2
LAST_LINES = 5


class ServiceNotInstalled(GanymedeError):
    """Only the SDK is installed on this machine."""


class StackFailed(GanymedeError):
    """The stack did not come up; the message carries its last words."""


def operate(command: str) -> list[str]:
    """Return the command line of an operator's command; raise ServiceNotInstalled where there is only the SDK."""
    if find_spec("app") is None or find_spec("fastapi") is None:
        raise ServiceNotInstalled(
            "Only the SDK is installed here. The service comes with: pip install 'ganymede[api,worker,embedded]'"
        )
    return [sys.executable, "-m", "app.operate", command]


class Stack:
    """The whole service in one folder on one port, alive inside a `with` block."""

    def __init__(self, home: Path, port: int | None = None, workers: int | None = None) -> None:
        """Choose a free port unless one is named; nothing starts yet."""
        self.home = home.absolute()
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = self.home / "logs" / "up.log"
        self._command = [*operate("up"), "--home", str(self.home), "--port", str(self.port)]
        self._command += ["--workers", str(workers)] if workers is not None else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it can answer; raise StackFailed when it cannot."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C is for whoever holds this stack to turn into an orderly stop.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self._await_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ask it to stop, as Ctrl-C would, and wait until everything is written down."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def leave(self) -> int:
        """Let it run on after the block; return its process id."""
        assert self._process is not None
        process, self._process = self._process, None
        process.returncode = 0  # it is no longer ours to wait for
        return process.pid

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        with Client(self.url) as client:
            while not client.ready():
                if process.poll() is not None:
                    raise StackFailed(f"The service did not start:\n{self._last_words()}")
                if time.monotonic() > deadline:
                    raise StackFailed(
                        f"The service was not ready after {START_SECONDS} s; its logs are in {self.log.parent}."
                    )
                time.sleep(POLL_SECONDS)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it, unless it was left."""
        self.stop()


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
