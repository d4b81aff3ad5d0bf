"""Turns: the writers of one SQLite file go in the order they came.

SQLite lets whoever finds it free go first, and has the others sleep for up to 100 ms before they look again: of many
writers some starve. A lock on a file beside it makes them a queue, which the kernel moves on even when a writer is
killed. It promises no more than order: SQLite's own lock keeps writers apart, whether or not they had a turn.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from fcntl import LOCK_EX, LOCK_NB, flock
from io import FileIO
from pathlib import Path


class Turns:
    """One queue for all threads and processes that name the same file."""

    def __init__(self, path: Path, patience_seconds: float) -> None:
        """Open nothing yet."""
        self._path = path
        self._patience_seconds = patience_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold the turn while the block lasts; who has waited for as long as patience allows goes on without one."""
        file = FileIO(self._path, "a")
        with file if self._has(file) else nullcontext():
            yield

    def _has(self, file: FileIO) -> bool:
        """Tell whether the turn came; if not, the file is closed once it does."""
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return self._awaits(file)
        return True

    def _awaits(self, file: FileIO) -> bool:
        decided = threading.Lock()  # by whoever takes it first: the turn came, or patience ended

        def wait() -> None:
            flock(file, LOCK_EX)
            if not decided.acquire(blocking=False):
                file.close()

        waiting = threading.Thread(target=wait, name="turn", daemon=True)  # nothing else ends such a wait in time
        waiting.start()
        waiting.join(self._patience_seconds)
        return not waiting.is_alive() or not decided.acquire(blocking=False)
