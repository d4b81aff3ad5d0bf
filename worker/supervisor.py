"""The supervisor: one thread that claims jobs, one after the other, and runs each in a child."""

import os
import socket
import threading
import uuid
from datetime import timedelta

import structlog
from sqlalchemy.exc import OperationalError

from store import claims, workers
from store.claims import Claim
from store.database import Database
from store.doorbell import Doorbell
from store.settings import Settings
from worker import devices, health
from worker.attempt import Attempt
from worker.process import Child

log = structlog.get_logger()


class Supervisor:
    """Claims on a wake-up, and every `poll_seconds` anyway. Never imports PyTorch: that is its children's.

    While idle it keeps one child warm, so that a job does not wait for PyTorch to be imported.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing runs before `start`."""
        self._settings = settings
        self._database = Database(settings.database)
        self._doorbell = Doorbell(settings)
        self.id = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._log = log.bind(worker=self.id)
        self._device = devices.find_device()
        self._rung = threading.Event()
        self._draining = threading.Event()
        self._spare: Child | None = None
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._thread.start()

    def wake(self) -> None:
        """Look for a job now."""
        self._rung.set()

    def drain(self) -> None:
        """Claim no more; have a running job write its checkpoint and go back to the queue."""
        self._draining.set()
        self._rung.set()

    def join(self) -> None:
        """Wait until the last job has been given back."""
        self._thread.join()

    def _work(self) -> None:
        self._log.info("worker ready", device=self._device)
        threading.Thread(target=self._announce, name="announce", daemon=True).start()
        while not self._draining.is_set():
            self._rung.clear()
            if held := self._try_to_claim():
                self._run(held)
            else:
                self._keep_spare()
                self._rung.wait(self._pause())
        self._leave()

    def _run(self, held: Claim) -> None:
        """Run one attempt; whatever breaks ends the attempt alone, whose lease then returns the job to the queue."""
        child = self._take_child()
        try:
            Attempt(self._settings, self._database, held, child).run(self._draining)
        except Exception:  # noqa: BLE001  # a worker that dies of one job claims no other
            self._log.exception("attempt broke", job=held.job.id, token=held.token)
        finally:
            child.close()

    def _try_to_claim(self) -> Claim | None:
        lease = timedelta(seconds=self._settings.lease_seconds)
        try:
            with self._database.write() as connection:
                claims.reap(connection)
                held = claims.claim(connection, self.id, lease)
                others_wait = held is not None and claims.others_wait(connection)
        except OperationalError as error:
            self._log.warning("database away", error=str(error.orig))
            return None
        if others_wait:
            self._doorbell.ring()
        return held

    def _pause(self) -> float:
        """Return how long to wait for a ring: less than usual when a job's backoff ends sooner."""
        try:
            with self._database.read() as connection:
                due = claims.due_in(connection)
        except OperationalError:
            return self._settings.poll_seconds
        return min(self._settings.poll_seconds, due if due is not None else self._settings.poll_seconds)

    def _take_child(self) -> Child:
        spare, self._spare = self._spare, None
        if spare is not None and spare.alive:
            return spare
        return Child()

    def _keep_spare(self) -> None:
        if self._spare is not None and not self._spare.alive:
            self._log.warning("spare child died", reason=self._spare.last_words())
            self._spare.close()
            self._spare = None
        if self._spare is None:
            self._spare = Child()

    def _announce(self) -> None:
        """Say every heartbeat that this worker is alive, busy or not."""
        while not self._draining.is_set():
            if self._thread.is_alive():
                health.say_alive(self._settings.longest_silence)
            memory = devices.memory(self._device)
            try:
                with self._database.write() as connection:
                    workers.announce(connection, self.id, socket.gethostname(), os.getpid(), self._device, memory)
            except OperationalError as error:
                self._log.warning("database away", error=str(error.orig))
            self._draining.wait(self._settings.heartbeat_seconds)

    def _leave(self) -> None:
        if self._spare is not None:
            self._spare.close()
        try:
            with self._database.write() as connection:
                workers.leave(connection, self.id)
        except OperationalError as error:
            self._log.warning("database away", error=str(error.orig))
        self._log.info("worker drained")
