"""The census: how many jobs stand where, how long they wait, how fast they train, and what attempts failed of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, func, select

from store.clock import now
from store.lifecycle import JobState
from store.tables import failed_attempts, jobs


@dataclass(frozen=True)
class Census:
    """The whole service in a few numbers."""

    jobs: Mapping[JobState, int]
    longest_wait: timedelta  # of a job in the queue now; 0 where none waits
    images_per_second: float  # of all jobs that run
    failed_attempts: Mapping[str, int]  # by code, since the database was made; those of deleted jobs too


def take(connection: Connection) -> Census:
    """Count; the jobs are counted in an index, without a look at their rows."""
    counted = select(jobs.c.state, func.count(), func.min(jobs.c.queued_at), now()).group_by(jobs.c.state)
    found = {JobState(row[0]): row[1:] for row in connection.execute(counted)}
    wait = timedelta(0)
    if JobState.QUEUED in found:
        _, since, present = found[JobState.QUEUED]
        wait = max(wait, present - since)
    speed = select(func.sum(jobs.c.images_per_second)).where(jobs.c.state == JobState.RUNNING)
    failures = connection.execute(select(failed_attempts.c.code, failed_attempts.c.count)).all()
    return Census(
        jobs={state: found[state][0] if state in found else 0 for state in JobState},
        longest_wait=wait,
        images_per_second=connection.scalar(speed) or 0.0,
        failed_attempts=dict(failures),
    )
