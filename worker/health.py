"""Whether the worker of this container lives: `python -m worker.health` ends with 0 where it does.

A worker has no port to ask at. Its supervisor touches a file each heartbeat instead, in this machine's own memory.
"""

import sys
import tempfile
import time
from pathlib import Path

ALIVE = Path(tempfile.gettempdir()) / "ganymede-worker"
LONGEST_SILENCE_SECONDS = 60.0


def say_alive() -> None:
    """Leave word that this worker lives."""
    ALIVE.touch()


def is_alive() -> bool:
    """Tell whether a worker has left word lately."""
    try:
        return time.time() - ALIVE.stat().st_mtime < LONGEST_SILENCE_SECONDS
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive() else 1)
