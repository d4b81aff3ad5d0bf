"""A training child as its supervisor sees it: a process to assign a job to, listen to and end."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from queue import Empty, SimpleQueue

import structlog
from pydantic import ValidationError

from worker.messages import REPORT, Assignment, Report

LAST_WORDS_BYTES = 4_000
LOG_BYTES = 64_000

log = structlog.get_logger()


class Child:
    """One `python -m worker.child`, importing PyTorch from the moment it is made and waiting for its assignment.

    It ends by itself when its supervisor dies, since its standard input ends then.
    """

    def __init__(self) -> None:
        """Start the process."""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the child
        # Its own session: a terminal's Ctrl-C is for the supervisor to pass on. Passive waiting: threads that spin
        # for each other take the CPU they wait for as soon as another process wants it too (measured: 6 times slower).
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
            start_new_session=True,
        )
        self._reports: SimpleQueue[Report | None] = SimpleQueue()
        threading.Thread(target=self._listen, name="child-reports", daemon=True).start()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def assign(self, assignment: Assignment) -> None:
        """Tell the child its job; a child that has died meanwhile is noticed when it is listened to."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(assignment.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            log.warning("child died before its assignment", pid=self.pid)

    def report(self, timeout: float) -> Report | None:
        """Return the next report; raise TimeoutError when none comes, return None when none ever will."""
        try:
            return self._reports.get(timeout=timeout)
        except Empty:
            raise TimeoutError from None

    def stop(self) -> None:
        """Ask the child to write a checkpoint and end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the child now, and wait until it has."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        """Wait for the end; say how the process ended and what it said last on its standard error."""
        code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        said = self.said(LAST_WORDS_BYTES)
        return f"the training process ended: {how}" + (f"; its last words: {said}" if said else "")

    def said(self, most_bytes: int = LOG_BYTES) -> str:
        """Return the end of what the child has said on its standard error so far."""
        file = self._stderr.fileno()
        size = os.fstat(file).st_size
        # Not by seeking: the child writes where this file stands.
        return os.pread(file, most_bytes, max(0, size - most_bytes)).decode(errors="replace").strip()

    def close(self) -> None:
        """End what is left of the child and let go of its pipes."""
        if self.alive:
            self.kill()
        for stream in (self._process.stdin, self._stderr):
            if stream is not None:
                stream.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            self._process.send_signal(number)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._reports.put(REPORT.validate_json(line))
            except ValidationError as error:  # half a line, when the child was killed while writing it
                log.warning("unreadable report", pid=self.pid, error=str(error))
        self._reports.put(None)
        self._process.stdout.close()
