"""The caretaker: one thread that rings the doorbell when asked, takes jobs from silent workers and sweeps files."""

import threading
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from store import claims
from store.artifacts import Artifacts
from store.database import Database
from store.doorbell import Doorbell
from store.errors import FilesUnavailable
from store.settings import Settings
from store.sweeping import sweep

STOP_SECONDS = 1.0

log = structlog.get_logger()


class Caretaker:
    """Does off the request path what may block: a frozen Redis delays this thread and no answer."""

    def __init__(self, settings: Settings, database: Database, artifacts: Artifacts) -> None:
        """Do nothing until started."""
        self._settings = settings
        self._database = database
        self._artifacts = artifacts
        self._doorbell = Doorbell(settings)
        self._asked = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)
        self._heard: bool | None = None

    @property
    def doorbell_answers(self) -> bool | None:
        """Whether Redis answered when it was last tried; None before the first time."""
        return self._heard

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ring(self) -> None:
        """Ask for a ring, without waiting for it; several asked for at once become one."""
        self._asked.set()

    def stop(self) -> None:
        """End the thread; one stuck in a ring is left to its end."""
        self._stopped.set()
        self._asked.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        self._heard = self._doorbell.ping()
        next_round = next_sweep = time.monotonic()
        while True:
            asked = self._asked.wait(max(0.0, next_round - time.monotonic()))
            self._asked.clear()
            if self._stopped.is_set():
                return
            reaped = 0
            if time.monotonic() >= next_round:
                next_round = time.monotonic() + self._settings.poll_seconds
                reaped = self._reap()
                self._heard = self._doorbell.ping()
            if time.monotonic() >= next_sweep:
                next_sweep = time.monotonic() + self._settings.sweep_seconds
                self._sweep()
            if asked or reaped:
                self._heard = self._doorbell.ring()

    def _sweep(self) -> None:
        """Remove what killed attempts have left behind."""
        try:
            removed = sweep(self._database, self._artifacts)
        except (SQLAlchemyError, FilesUnavailable) as error:  # the next round tries again
            log.warning("sweep failed", error=str(error))
            return
        if removed:
            log.warning("files swept", count=len(removed), first=removed[0])

    def _reap(self) -> int:
        """Take jobs from silent workers; return how many."""
        try:
            with self._database.write() as connection:
                reaped = claims.reap(connection)
        except SQLAlchemyError as error:  # the next round tries again, and /readyz says what is wrong meanwhile
            log.warning("reaper failed", error=str(error))
            return 0
        for job_id in reaped:
            log.warning("lease over", job=job_id)
        return len(reaped)
