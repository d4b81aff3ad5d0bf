"""The keyring: whose key it is, remembered for a second, so that a request costs no look into the database."""

import asyncio
import time
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from store import keys
from store.database import Database
from store.keys import Key

GOOD_SECONDS = 1.0  # for which a key is believed to be good; less where the database says at once that it has changed
MOST_KEPT = 1_000


@dataclass(frozen=True)
class Entry:
    """A good key, and when that was: the database's own count of its changes, and seconds of this machine."""

    key: Key
    changes: int | None
    at: float


class Keyring:
    """Knows keys by their digests. All but the looking belongs to the event loop; what is not found is not kept."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._entries: dict[str, Entry] = {}
        self._looking = asyncio.Lock()

    async def holder(self, digest: str) -> Key | None:
        """Return the key whose secret has this digest; None where there is none that is good."""
        if key := self._known(digest):
            return key
        async with self._looking:  # strangers, however many, hold one thread
            if key := self._known(digest):
                return key
            self._entries.pop(digest, None)
            entry = await run_in_threadpool(self._look, digest)
            if entry is None:
                return None
            if len(self._entries) >= MOST_KEPT:
                self._entries.clear()
            self._entries[digest] = entry
            return entry.key

    def _known(self, digest: str) -> Key | None:
        entry = self._entries.get(digest)
        if entry is None or time.monotonic() - entry.at >= GOOD_SECONDS:
            return None
        return entry.key if self._database.changes() == entry.changes else None

    def _look(self, digest: str) -> Entry | None:
        changes, at = self._database.changes(), time.monotonic()
        with self._database.read() as connection:
            key = keys.holder(connection, digest)
        return None if key is None else Entry(key, changes, at)
