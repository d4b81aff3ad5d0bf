"""Processes that `up` keeps alive: started apart from the terminal, logged to files, restarted when they die."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

POLL_SECONDS = 0.2
SETTLED = timedelta(seconds=5)  # a process that lived this long did start; its next death is a new story
DEATHS_ALLOWED = 3  # in a row, of a process that has never settled
LONGEST_WAIT_SECONDS = 30
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class KeepsDying(Exception):
    """A process died as often as is allowed and has never settled."""


@dataclass
class Process:
    """One command with its own environment, log and, once started, process id."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    patience: timedelta  # how long it may take to stop when asked
    deaths: int = 0  # in a row, each before it settled
    proven: bool = False  # whether it has ever settled
    restart_at: float | None = None
    _started_at: float = 0.0
    _running: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id, or None when it does not run."""
        return self._running.pid if self._running is not None and self._running.poll() is None else None

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C in the terminal reaches `up` alone, which then stops in order."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        self._started_at = time.monotonic()
        self.restart_at = None

    def died(self) -> int | None:
        """Return its exit status if it ran and runs no more."""
        return None if self._running is None else self._running.poll()

    def settled(self) -> bool:
        """Tell whether it ran long enough to say that it did start."""
        return time.monotonic() - self._started_at > SETTLED.total_seconds()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it runs."""
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()

    def stop(self, in_a_hurry: Callable[[], bool]) -> None:
        """Ask it to stop and wait; end it and all it started once patience is over or someone is in a hurry."""
        self.ask_to_stop()
        deadline = time.monotonic() + self.patience.total_seconds()
        while self.pid is not None and time.monotonic() < deadline and not in_a_hurry():
            time.sleep(POLL_SECONDS)
        if self.pid is not None:
            os.killpg(self.pid, signal.SIGKILL)
        if self._running is not None:
            self._running.wait()
            self._running = None


def revive(processes: Sequence[Process], say: Callable[[str], None]) -> None:
    """Restart what died, each death of a row after twice the wait; raise KeepsDying for what cannot be started.

    A process that did run once is started again for as long as it takes: whatever ends it may pass by morning.
    """
    for process in processes:
        if process.restart_at is None and (status := process.died()) is not None:
            _bury(process, status, say)
        elif process.restart_at is not None and time.monotonic() >= process.restart_at:
            process.start()


def _bury(process: Process, status: int, say: Callable[[str], None]) -> None:
    settled = process.settled()
    process.proven = process.proven or settled
    process.deaths = 1 if settled else process.deaths + 1
    fate = f"The {process.name} {_ending(status)}; its log is {process.log}."
    if process.deaths >= DEATHS_ALLOWED and not process.proven:
        raise KeepsDying(f"{fate} That was {process.deaths} times in a row.")
    wait_seconds = min(2 ** (process.deaths - 1), LONGEST_WAIT_SECONDS)
    say(f"{fate} Starting it again in {wait_seconds} s.")
    process.restart_at = time.monotonic() + wait_seconds


def _ending(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _end_with_parent() -> None:
    """Have Linux send SIGTERM when `up` itself is killed, so that nothing is left behind on its port and files."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
