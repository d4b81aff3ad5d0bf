"""The start of a worker: `python -m worker` runs one Celery process, which trains one job at a time when rung."""

import os
import sys

from store import artifacts, hosts, logs
from store.errors import FilesUnavailable
from store.settings import Settings


def command() -> list[str]:
    """Return Celery's command line.

    One thread, since a worker trains one job at a time and must hear the doorbell meanwhile. The others are off
    because nobody reads them: leases in the database say who is alive.
    """
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    place = ["--pool", "threads", "--concurrency", "1", "--hostname", f"trainer-{os.getpid()}@%h"]
    return [sys.executable, "-m", "celery", "-A", "worker.main:celery", "worker", *place, *quiet]


def main() -> None:
    """Become Celery: the process id stays, so signals sent to this worker reach it."""
    logs.configure()
    settings = Settings()
    try:
        hosts.refuse_other(settings.database)
        artifacts.check_access(settings.artifacts)
    except (hosts.OtherHost, FilesUnavailable) as refusal:
        sys.exit(str(refusal))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Celery's banner and farewell; the log is standard error
    os.execv(sys.executable, command())


if __name__ == "__main__":
    main()
