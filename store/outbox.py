"""What webhooks are to be told of an event, written with the event itself: none is lost, and none invented."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from store.clock import now
from store.tables import deliveries, jobs

TOLD = select(jobs.c.id, jobs.c.name, now()).where(jobs.c.number == bindparam("job"))


def write(
    connection: Connection,
    job_number: int,
    webhooks: Sequence[Mapping[str, Any]],  # Any: JSON
    type_: str,
    data: Mapping[str, Any],  # Any: JSON
    seq: int,
) -> None:
    """Write a delivery for each of the job's webhooks that asks to be told of such an event."""
    asking = [webhook for webhook in webhooks if type_ in webhook["events"]]
    if not asking:
        return
    job_id, name, at = connection.execute(TOLD, {"job": job_number}).one()
    said = {"job": job_id, "name": name, "event": seq, **data}
    body = json.dumps({"type": f"job.{type_}", "timestamp": at.isoformat(), "data": said})
    for webhook in asking:
        row = {"id": f"msg_{uuid.uuid4().hex}", "job_number": job_number, "url": webhook["url"], "body": body}
        connection.execute(insert(deliveries).values(**row, tries=0, next_at=now()))
