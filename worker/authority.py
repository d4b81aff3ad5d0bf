"""Authority over a job: the claim's writes, retried while the lease may hold, and the heartbeat that renews it."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from store import claims
from store.claims import Claim
from store.database import Database
from store.errors import LeaseLost
from store.lifecycle import JobState

RETRY_SECONDS = 0.5

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()


class Authority:
    """Every write about one claimed job goes through here, and stops for good once the lease is lost."""

    def __init__(self, database: Database, held: Claim, heartbeat: timedelta, watch: timedelta) -> None:
        """Start to renew the lease and to watch the job's row, in a thread of its own."""
        self._database = database
        self.held = held
        self._log = log.bind(worker=held.job.worker_id, job=held.job.id, token=held.token)
        self._heartbeat = heartbeat.total_seconds()
        self._watch = watch.total_seconds()
        self._renewed_at = time.monotonic()
        self._over = threading.Event()
        self.lost = threading.Event()
        self.state = held.job.state
        self._thread = threading.Thread(target=self._keep, name="heartbeat", daemon=True)
        self._thread.start()

    def write(self, change: Callable[Concatenate[Connection, Claim, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one change in one transaction, again while the database is away.

        Raises LeaseLost when the claim is another's, or no database answered for a lease's length.
        """
        while not self.lost.is_set():
            try:
                with self._database.write() as connection:
                    return change(connection, self.held, *args, **kwargs)
            except LeaseLost:
                self.lost.set()
            except OperationalError as error:
                self._log.warning("database away", error=str(error.orig))
                self._give_up_when_late()
                time.sleep(RETRY_SECONDS)
        raise LeaseLost(f"job {self.held.job.id}: authority is lost")

    def close(self) -> None:
        """Stop renewing; the job has been moved on, or is another's."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        due = time.monotonic() + self._heartbeat
        while not self._over.wait(self._watch) and not self.lost.is_set():
            renew = time.monotonic() >= due
            due = time.monotonic() + self._heartbeat if renew else due
            self._look(renew)

    def _look(self, renew: bool) -> None:
        asked_at = time.monotonic()
        try:
            if renew:
                with self._database.write() as connection:
                    self.state = claims.heartbeat(connection, self.held)
                self._renewed_at = asked_at
            else:
                with self._database.read() as connection:
                    self.state = claims.state(connection, self.held)
        except LeaseLost:
            if not self._over.is_set():
                self.lost.set()
        except OperationalError as error:
            self._log.warning("heartbeat failed", error=str(error.orig))
            self._give_up_when_late()

    def _give_up_when_late(self) -> None:
        if time.monotonic() - self._renewed_at > self.held.lease.total_seconds():
            self.lost.set()


def wanted_to_stop(state: JobState) -> bool:
    """Whether someone has asked this job's worker to let go of it."""
    return state in (JobState.CANCELLING, JobState.PAUSING)
