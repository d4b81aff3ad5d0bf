"""One attempt: one claimed job in one child, from the assignment to the state it leaves the job in."""

import threading
import time
from datetime import timedelta

import structlog

from store import checkpoints, claims
from store.artifacts import Artifacts
from store.claims import Claim, Failure
from store.database import Database
from store.errors import FilesUnavailable, LeaseLost
from store.lifecycle import JobState
from store.previews import Picture
from store.settings import Settings
from worker.authority import Authority, wanted_to_stop
from worker.messages import (
    Assignment,
    Began,
    CheckpointWritten,
    Damaged,
    Ended,
    Failed,
    HealthChanged,
    Noted,
    PreviewWritten,
    Progress,
    Report,
    Resolved,
    RolledBack,
    Source,
    Stopped,
)
from worker.process import Child

TICK_SECONDS = 0.2

log = structlog.get_logger()


class Attempt:
    """Listens to a child, writes what it reports, and passes on what people ask of the job."""

    def __init__(self, settings: Settings, database: Database, held: Claim, child: Child) -> None:
        """Take over a claimed job and a child that waits for one."""
        self._settings = settings
        self._database = database
        self._held = held
        self._log = log.bind(worker=held.job.worker_id, job=held.job.id, token=held.token)
        self._child = child
        self._sources = self._find_sources()
        self._said = ""
        self._authority = Authority(
            database,
            held,
            heartbeat=timedelta(seconds=settings.heartbeat_seconds),
            watch=timedelta(seconds=settings.watch_seconds),
        )

    def run(self, draining: threading.Event) -> None:
        """Train until the child ends, the job is taken away or asked for, or the worker drains."""
        try:
            self._child.assign(self._assignment())
            self._log.info("attempt begun", attempt=self._held.job.attempt, pid=self._child.pid)
            outcome = self._listen(draining)
            state = self._conclude(outcome)
            self._log.info("attempt over", state=state)
        except LeaseLost:
            self._log.warning("lease lost")
        finally:
            self._authority.close()

    def _listen(self, draining: threading.Event) -> Report | None:
        """Write every report until one says how the attempt ended; None when the child said nothing of it."""
        stop_by = stalled_at = None
        log_at = time.monotonic() + self._settings.heartbeat_seconds
        while True:
            if self._authority.lost.is_set():
                raise LeaseLost(f"job {self._held.job.id}: authority is lost")
            now = time.monotonic()
            if stop_by is None and (draining.is_set() or wanted_to_stop(self._authority.state)):
                self._child.stop()
                stop_by = now + self._settings.drain_seconds
            if now > log_at:
                self._keep_log()
                log_at = now + self._settings.heartbeat_seconds
            stalled_at = stalled_at or now + self._settings.stall_seconds
            if now > stalled_at:
                return self._end_stalled()
            if stop_by is not None and now > stop_by:
                self._child.kill()  # what it has written so far still counts; the last report says the rest
                return Stopped(step=self._held.job.step)
            try:
                report = self._child.report(timeout=TICK_SECONDS)
            except TimeoutError:
                continue
            stalled_at = None
            if report is None or isinstance(report, Ended | Stopped | Failed):
                return report
            self._write(report)

    def _write(self, report: Report) -> None:
        write = self._authority.write
        match report:
            case Resolved(spec=spec, numerics=numerics):
                write(claims.resolve, spec, numerics)
            case Damaged(owner=owner, step=step, reason=reason):
                write(claims.damaged, owner, step, reason)
            case Began(step=step):
                write(claims.begin, step)
            case Progress(step=step, points=points, images_per_second=speed):
                write(claims.report, step, points, speed)
            case CheckpointWritten(step=step, folder=folder, files=files, card=card):
                for spent in write(claims.checkpoint, step, folder, files, card):
                    self._forget(spent)
            case PreviewWritten(step=step):
                write(claims.preview, step, Picture(**report.model_dump(exclude={"kind", "step"})))
            case HealthChanged():
                write(claims.health, report.model_dump(exclude={"kind"}))
            case RolledBack(step=step):
                write(claims.roll_back, step, report.model_dump(exclude={"kind"}))
            case Noted(type=type_, data=data):
                write(claims.note, type_, data)

    def _conclude(self, outcome: Report | None) -> JobState:
        """Move the job on according to the child's last report."""
        write = self._authority.write
        self._keep_log()
        match outcome:
            case Ended(reason=reason):
                return write(claims.succeed, reason)
            case Stopped():
                return write(claims.release, "stopped on request, at its last checkpoint")
            case Failed(code=code, message=message, step=step, retryable=retryable):
                failure = Failure(code, message, step, retryable)
            case _:
                failure = Failure("child_lost", self._child.last_words(), self._held.job.step, retryable=True)
        return write(claims.fail, failure, timedelta(seconds=self._settings.retry_seconds))

    def _forget(self, folder: str) -> None:
        """Remove the files of a checkpoint that nothing points at any more; what is left is swept later."""
        try:
            Artifacts(self._settings.artifacts).delete(folder)
        except FilesUnavailable as error:
            self._log.warning("files left behind", folder=folder, error=str(error))

    def _keep_log(self) -> None:
        """Write what the child has said since the last time: it may be the last that is heard of it."""
        if (said := self._child.said()) != self._said:
            self._authority.write(claims.say, said)
            self._said = said

    def _end_stalled(self) -> Failed:
        self._child.kill()
        message = f"no step in {self._settings.stall_seconds:g} s (stall_seconds); the child was ended"
        return Failed(code="stalled", message=message, step=self._held.job.step, retryable=True)

    def _find_sources(self) -> list[checkpoints.Checkpoint]:
        """Find what can be gone on from: the job's own checkpoints, then those of the job that it begins with."""
        job = self._held.job
        with self._database.read() as connection:
            inherited = checkpoints.up_to(connection, job.origin["job"], job.origin["step"]) if job.origin else []
            return [*checkpoints.whole(connection, job.number), *inherited]

    def _described(self, source: checkpoints.Checkpoint) -> Source:
        job = self._held.job
        origin = job.origin if source.job_number != job.number else None
        return Source(
            owner=origin["job"] if origin else job.id,
            use="weights" if origin and origin["how"] == "init_from" else "state",
            step=source.step,
            folder=source.folder,
            files=dict(source.files),
        )

    def _assignment(self) -> Assignment:
        job = self._held.job
        return Assignment(
            job_id=job.id,
            token=self._held.token,
            spec=job.spec,
            numerics=job.numerics,
            health=job.health["verdict"] if job.health else None,
            sources=[self._described(source) for source in self._sources],
            artifacts=self._settings.artifacts,
            data_dir=str(self._settings.data),
        )
