"""API keys: who may do what, and how much of it. A secret is shown once; what is kept is its digest."""

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, or_, select, update

from store.clock import later, now
from store.errors import CursorNotFound, KeyNotFound, TooManyJobs
from store.lifecycle import TERMINAL
from store.tables import api_keys, jobs

PREFIX = "gm_"
SECRET = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")  # 256 random bits
SHOWN_CHARACTERS = 8  # of a secret, in lists; the other 38 hold 228 bits


class Scope(StrEnum):
    """What a key is good for."""

    READ = "read"
    SAMPLE = "sample"
    TRAIN = "train"
    ADMIN = "admin"


IMPLIED = {Scope.TRAIN: {Scope.TRAIN, Scope.READ}, Scope.ADMIN: set(Scope)}


@dataclass(frozen=True)
class Allowance:
    """How much a key may use."""

    requests_per_minute: int = 6_000
    images_per_day: int = 1_000_000
    unfinished_jobs: int = 100


@dataclass(frozen=True)
class Key:
    """An API key. Whoever knows its digest does not know its secret."""

    number: int
    id: str
    name: str
    prefix: str
    digest: str = field(repr=False)
    scopes: tuple[Scope, ...]
    requests_per_minute: int
    images_per_day: int
    unfinished_jobs: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def allows(self, scope: Scope) -> bool:
        """Tell whether one of the key's scopes is, or includes, this one."""
        return any(scope in IMPLIED.get(own, {own}) for own in self.scopes)


COLUMNS = [api_keys.c[name] for name in Key.__dataclass_fields__]
USABLE = (api_keys.c.revoked_at.is_(None), or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now()))


def draw() -> str:
    """Return a new secret."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return what is kept of a secret: as random as it is, it needs neither salt nor a slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(
    connection: Connection,
    secret: str,
    name: str,
    scopes: Collection[Scope],
    allowance: Allowance | None = None,
    good_for: timedelta | None = None,
) -> Key:
    """Write a key whose secret the caller alone has from here on."""
    values = {
        "id": str(uuid.uuid4()),
        "name": name,
        "prefix": secret[:SHOWN_CHARACTERS],
        "digest": digest(secret),
        "scopes": sorted(set(scopes)),
        **vars(allowance or Allowance()),
        "created_at": now(),
        "expires_at": None if good_for is None else later(good_for),
    }
    return _of_row(connection.execute(insert(api_keys).values(values).returning(*COLUMNS)).one())


def holder(connection: Connection, digest: str) -> Key | None:
    """Return the key whose secret has this digest; None where there is none, or it was revoked, or has expired."""
    row = connection.execute(select(*COLUMNS).where(api_keys.c.digest == digest, *USABLE)).one_or_none()
    return _of_row(row) if row is not None and hmac.compare_digest(row.digest, digest) else None


def any_usable(connection: Connection) -> bool:
    """Tell whether anybody can get in."""
    return bool(connection.scalar(select(exists().where(*USABLE))))


def any_ever(connection: Connection) -> bool:
    """Tell whether there was ever a key."""
    return bool(connection.scalar(select(exists().select_from(api_keys))))


def page(connection: Connection, after: str | None, limit: int) -> tuple[list[Key], bool]:
    """Return up to `limit` keys, newest first, that come after the key `after`, and whether more follow."""
    query = select(*COLUMNS).order_by(api_keys.c.number.desc()).limit(limit + 1)
    if after is not None:
        cursor = connection.scalar(select(api_keys.c.number).where(api_keys.c.id == after))
        if cursor is None:
            raise CursorNotFound(f"no key {after} to list after")
        query = query.where(api_keys.c.number < cursor)
    found = [_of_row(row) for row in connection.execute(query)]
    return found[:limit], len(found) > limit


def revoke(connection: Connection, key_id: str) -> bool:
    """Let a key open nothing from here on; return whether it did before. Raises KeyNotFound."""
    mine = api_keys.c.id == key_id
    revoked = update(api_keys).where(mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=now())
    if connection.execute(revoked).rowcount == 1:
        return True
    if connection.scalar(select(api_keys.c.number).where(mine)) is None:
        raise KeyNotFound(f"no key {key_id}")
    return False


def check_room(connection: Connection, key_id: str) -> None:
    """Raise TooManyJobs where a key has as many unfinished jobs as it may; the next to look waits for this one."""
    quota = select(api_keys.c.unfinished_jobs).where(api_keys.c.id == key_id).with_for_update()
    most = connection.execute(quota).scalar_one()
    unfinished = (jobs.c.key_id == key_id, jobs.c.state.not_in(TERMINAL))
    found = connection.execute(select(func.count()).select_from(jobs).where(*unfinished)).scalar_one()
    if found >= most:
        raise TooManyJobs(f"{found} jobs of this key are unfinished, and it may have {most}: let one end or cancel it")


def _of_row(row: Row[Any]) -> Key:  # Any: a row of COLUMNS
    found = dict(row._mapping)
    return Key(**{**found, "scopes": tuple(map(Scope, found["scopes"]))})
