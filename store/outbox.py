"""What webhooks are to be told of an event, written with the event itself: none is lost, and none invented."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from store.clock import now
from store.tables import deliveries, jobs

ASKED = select(jobs.c.id, jobs.c.name, jobs.c.spec["webhooks"], now()).where(jobs.c.number == bindparam("job"))


def write(connection: Connection, job_number: int, type_: str, data: Mapping[str, Any], seq: int) -> None:
    """Write a delivery for each webhook of the job that asks to be told of such an event."""
    job_id, name, webhooks, at = connection.execute(ASKED, {"job": job_number}).one()
    for webhook in webhooks:
        if type_ in webhook["events"]:
            said = {"job": job_id, "name": name, "event": seq, **data}
            body = json.dumps({"type": f"job.{type_}", "timestamp": at.isoformat(), "data": said})
            row = {"id": f"msg_{uuid.uuid4().hex}", "job_number": job_number, "url": webhook["url"], "body": body}
            connection.execute(insert(deliveries).values(**row, tries=0, next_at=now()))
