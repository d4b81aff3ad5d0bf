"""Deliveries: taking what is due to be told to a webhook, and writing how that went."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from store import events
from store.clock import later, now
from store.tables import deliveries, jobs


@dataclass(frozen=True)
class Delivery:
    """One message to one receiver; `tries` counts the one under way."""

    id: str
    job_number: int
    url: str
    body: str
    tries: int


COLUMNS = [deliveries.c[name] for name in Delivery.__dataclass_fields__]


def take(connection: Connection, most: int, lease: timedelta) -> list[Delivery]:
    """Take what is due, for so long: whoever takes a delivery and dies leaves it to be taken again."""
    due = (
        select(deliveries.c.id)
        .where(deliveries.c.next_at.is_not(None), deliveries.c.next_at <= now())
        .order_by(deliveries.c.next_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    query = (
        update(deliveries)
        .where(deliveries.c.id.in_(due))
        .values(tries=deliveries.c.tries + 1, next_at=later(lease))
        .returning(*COLUMNS)
    )
    return [Delivery(**row._mapping) for row in connection.execute(query)]


def settle(
    connection: Connection, delivery: Delivery, type_: str, data: Mapping[str, Any], again: timedelta | None
) -> None:
    """Write how a try went, as an event of the job, and when the next one is due; None: it is over."""
    locked = update(jobs).where(jobs.c.number == delivery.job_number).values(token=jobs.c.token)
    if connection.execute(locked).rowcount == 0:
        return  # the job was deleted meanwhile, and the delivery with it
    next_at = None if again is None else later(again)
    connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(next_at=next_at))
    events.append(connection, delivery.job_number, type_, {"url": delivery.url, "try": delivery.tries, **data})
