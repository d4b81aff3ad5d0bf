"""Turns: the writers of one SQLite file go in the order they came.

SQLite lets whoever finds it free go first, and has the others sleep for up to 100 ms before they look again: of many
writers some starve. A lock on a file beside it is no queue either: whoever has just had it asks again before those who
wait have woken up. So each writer draws a number, and waits until the socket of whoever drew the one before it is
closed, which the kernel does even when that writer is killed. It promises no more than order: SQLite's own lock keeps
writers apart, whether or not they had a turn. Sockets without a file are Linux's; elsewhere there is no order.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from io import FileIO
from pathlib import Path

LOOK_AGAIN_SECONDS = 0.0005  # at the file's lock, which is held for some microseconds
NUMBER_BYTES = 8


class Turns:
    """One queue for all threads and processes that name the same file."""

    def __init__(self, path: Path, patience_seconds: float) -> None:
        """Open nothing yet."""
        self._path = path
        self._patience_seconds = patience_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold the turn while the block lasts; who has waited for as long as patience allows goes on without one."""
        deadline = time.monotonic() + self._patience_seconds
        with socket.socket(socket.AF_UNIX) as own:
            with suppress(OSError):  # of the sockets: no turn
                _await(self._line_up(own, deadline), deadline)
            yield

    def _line_up(self, own: socket.socket, deadline: float) -> str:
        """Give the socket the next number; return the address of whoever has the one before it."""
        with FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            while not _locks(file):
                if time.monotonic() > deadline:
                    raise TimeoutError
                time.sleep(LOOK_AGAIN_SECONDS)
            number = int.from_bytes(file.read(NUMBER_BYTES))
            file.seek(0)
            file.write((number + 1).to_bytes(NUMBER_BYTES))
            place = os.fstat(file.fileno())
            address = f"\0ganymede-turn-{place.st_dev}-{place.st_ino}-{{}}"
            own.bind(address.format(number + 1))
            own.listen()
        return address.format(number)


def _locks(file: FileIO) -> bool:
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await(address: str, deadline: float) -> None:
    """Wait until this socket is closed, or is found to be; nobody accepts or says anything."""
    with socket.socket(socket.AF_UNIX) as previous:
        previous.settimeout(max(deadline - time.monotonic(), LOOK_AGAIN_SECONDS))
        previous.connect(address)
        previous.recv(1)
