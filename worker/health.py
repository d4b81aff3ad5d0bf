"""Whether the worker of this container lives: `python -m worker.health` ends with 0 where it does.

A worker has no port to ask at. Instead its supervisor dates a file, in this machine's own memory, each heartbeat: it
counts as alive until then.
"""

import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

ALIVE = Path(tempfile.gettempdir()) / "ganymede-worker"


def say_alive(longest_silence: timedelta) -> None:
    """Leave word that this worker lives, and counts as dead after so long a silence."""
    ALIVE.touch()
    dead = time.time() + longest_silence.total_seconds()
    os.utime(ALIVE, (dead, dead))


def is_alive() -> bool:
    """Tell whether a worker has left word, and not too long ago."""
    try:
        return time.time() < ALIVE.stat().st_mtime
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive() else 1)
