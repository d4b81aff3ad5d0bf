"""The audit: who changed what, written in the transaction that changes it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from store import tables
from store.clock import now


@dataclass(frozen=True)
class Author:
    """Who asks for a change: a key, None where none was needed, and the request that asked."""

    key_id: str | None = None
    request_id: str | None = None


OPERATOR = Author()  # at the command line, straight on the database


@dataclass(frozen=True)
class Entry:
    """One change."""

    seq: int
    at: datetime
    key_id: str | None
    action: str
    target: str
    request_id: str | None


COLUMNS = [tables.audit.c[name] for name in Entry.__dataclass_fields__]


def append(connection: Connection, author: Author, action: str, target: str) -> None:
    """Write that `target`, a job's or key's id or a model's name, was changed."""
    connection.execute(insert(tables.audit).values(at=now(), action=action, target=target, **vars(author)))


def page(connection: Connection, after: int | None, limit: int) -> tuple[list[Entry], bool]:
    """Return up to `limit` entries, newest first, numbered below `after`, and whether more follow."""
    query = select(*COLUMNS).order_by(tables.audit.c.seq.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(tables.audit.c.seq < after)
    found = [Entry(*row) for row in connection.execute(query)]
    return found[:limit], len(found) > limit
