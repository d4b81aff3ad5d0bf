"""What the database said, remembered for a while, so that most requests cost no look into it."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from store.database import Database

MOST_KEPT = 1_000
AGAIN_SECONDS = 1.0  # until a database that was away is asked again: each try may take seconds

Key = TypeVar("Key")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Entry(Generic[Found]):
    """What was found, and when that was: the database's own count of its changes, and seconds of this machine."""

    found: Found
    changes: int | None
    at: float  # when the database was last asked
    said: float  # when it last answered


class Memory(Generic[Key, Found]):
    """Believes an answer while the database has not changed, and for so long where it cannot say that at once.

    While the database is away, what it said last stands in. All but the looking belongs to the event loop. One look
    follows the other; what is not found is not kept.
    """

    def __init__(
        self,
        database: Database,
        good_seconds: float,
        unchanged_seconds: float = math.inf,
        away_seconds: float = math.inf,
    ) -> None:
        """Know nothing yet.

        `unchanged_seconds` bound the belief where the database says it has not changed, `away_seconds` where it says
        nothing.
        """
        self._database = database
        self._good_seconds = good_seconds
        self._unchanged_seconds = unchanged_seconds
        self._away_seconds = away_seconds
        self._entries: dict[Key, Entry[Found]] = {}
        self.looking = asyncio.Lock()

    async def find(
        self, key: Key, look: Callable[[], Found | None], believed: Callable[[Found], bool] = lambda _: True
    ) -> Found | None:
        """Return what is remembered and `believed`, else what a look finds, taken in a thread. Raises as that does."""
        if (found := self._recall(key, believed)) is not None:
            return found
        async with self.looking:
            if (found := self._recall(key, believed)) is not None:
                return found
            return await self._look(key, look, believed)

    def __contains__(self, key: Key) -> bool:
        """Tell whether there was something when it was last looked for."""
        return key in self._entries

    def forget(self, key: Key) -> None:
        """Have the next who asks look."""
        self._entries.pop(key, None)

    def _recall(self, key: Key, believed: Callable[[Found], bool]) -> Found | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        changes = self._database.changes()
        seconds = self._good_seconds if changes is None else self._unchanged_seconds
        good = entry.changes == changes and time.monotonic() - entry.at < seconds
        return entry.found if good and believed(entry.found) else None

    async def _look(
        self, key: Key, look: Callable[[], Found | None], believed: Callable[[Found], bool]
    ) -> Found | None:
        changes, at = self._database.changes(), time.monotonic()  # before the look: it sees no less
        try:
            found = await run_in_threadpool(look)
        except OperationalError:
            known = self._entries.get(key)
            if known is None or at - known.said > self._away_seconds or not believed(known.found):
                raise
            self._entries[key] = replace(known, changes=changes, at=time.monotonic() + AGAIN_SECONDS)
            return known.found
        except Exception:
            self.forget(key)
            raise
        if found is None:
            self.forget(key)
        else:
            self._keep(key, Entry(found, changes, at, said=at))
        return found

    def _keep(self, key: Key, entry: Entry[Found]) -> None:
        if key not in self._entries and len(self._entries) >= MOST_KEPT:
            self._entries.clear()
        self._entries[key] = entry
