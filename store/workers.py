"""Workers: who is alive, on which device, doing what."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from store.clock import later, now
from store.lifecycle import HELD
from store.tables import jobs, workers


@dataclass(frozen=True)
class Memory:
    """Of a device, in bytes."""

    used: int
    total: int


@dataclass(frozen=True)
class Worker:
    """One supervisor process and the job it holds, if any."""

    id: str
    host: str
    pid: int
    device: str
    started_at: datetime
    seen_at: datetime
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    job_id: str | None


def announce(
    connection: Connection, worker_id: str, host: str, pid: int, device: str, memory: Memory | None = None
) -> None:
    """Write that this worker is alive, for the first time or again, and how full its device is where that is known."""
    used, total = (memory.used, memory.total) if memory else (None, None)
    seen = {"seen_at": now(), "device": device, "memory_used_bytes": used, "memory_total_bytes": total}
    if connection.execute(update(workers).where(workers.c.id == worker_id).values(seen)).rowcount == 0:
        row = {"id": worker_id, "host": host, "pid": pid, "started_at": now()}
        connection.execute(insert(workers).values(row | seen))


def leave(connection: Connection, worker_id: str) -> None:
    """Write that this worker has gone."""
    connection.execute(delete(workers).where(workers.c.id == worker_id))


def alive(connection: Connection, within: timedelta) -> list[Worker]:
    """Return the workers heard of within so long, the longest-serving first."""
    holding = select(jobs.c.worker_id, jobs.c.id).where(jobs.c.state.in_(HELD), jobs.c.lease_expires_at > now())
    held = dict(connection.execute(holding).all())
    query = select(workers).where(workers.c.seen_at > later(-within)).order_by(workers.c.started_at, workers.c.id)
    return [Worker(**row._mapping, job_id=held.get(row.id)) for row in connection.execute(query)]
