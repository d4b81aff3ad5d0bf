"""The catalog: which checkpoint answers, remembered for as long as the database has not changed."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from starlette.concurrency import run_in_threadpool

from app.serving import choices
from app.serving.choices import Label, Source
from store.checkpoints import Checkpoint
from store.database import Database
from store.jobs import Job

GOOD_SECONDS = 0.05  # for which an answer is believed where the database cannot say at once that it has changed
MOST_KEPT = 1_000
MOST_OTHERS = 10  # checkpoints that are tried after a damaged one

Key = tuple[Source, str]


@dataclass(frozen=True)
class Found:
    """The job that answers, from one of its checkpoints, as the database had them when it was looked into."""

    job: Job
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Entry:
    """What was found, and when that was: the database's own count of its changes, and seconds of this machine."""

    found: Found
    newest: bool  # whether the newest checkpoint was asked for, not one in particular
    changes: int | None
    at: float


class Catalog:
    """Answers most requests without a look into the database. All but the looking belongs to the event loop.

    One look follows the other, so that nobody is answered from an older checkpoint than somebody before.
    """

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._entries: dict[Key, Entry] = {}
        self._newest: dict[str, int] = {}  # job → the newest step that any answer came from
        self._looking = asyncio.Lock()

    async def find(self, source: Source, what: str, labels: Collection[Label] = ()) -> Found:
        """Return who answers with `what`. Raises as `choices.choose` and `choices.candidates` do."""
        if found := self._known((source, what)):
            return found
        async with self._looking:
            if found := self._known((source, what)):
                return found
            entry = await run_in_threadpool(self._look, source, what, labels)
            self._keep((source, what), entry)
            return entry.found

    async def others(self, source: Source, what: str, labels: Collection[Label], damaged: Found) -> list[Found]:
        """Look again and return who may answer in the place of a checkpoint whose files are damaged.

        Raises as `find`: what was pruned since then says so.
        """
        async with self._looking:
            self._entries.pop((source, what), None)
            return await run_in_threadpool(self._look_further, source, what, labels, damaged)

    def _known(self, key: Key) -> Found | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        changes = self._database.changes()
        good = time.monotonic() - entry.at < GOOD_SECONDS if changes is None else entry.changes == changes
        outdone = entry.newest and self._newest.get(entry.found.job.id, 0) > entry.found.checkpoint.step
        return entry.found if good and not outdone else None

    def _keep(self, key: Key, entry: Entry) -> None:
        if len(self._entries) >= MOST_KEPT:
            self._entries.clear()
            self._newest.clear()
        self._entries[key] = entry
        if entry.newest:
            self._newest[entry.found.job.id] = entry.found.checkpoint.step

    def _look(self, source: Source, what: str, labels: Collection[Label]) -> Entry:
        changes, at = self._database.changes(), time.monotonic()
        with self._database.read() as connection:
            chosen = choices.choose(connection, source, what, labels)
            checkpoint = next(choices.candidates(connection, chosen, what, labels))
        return Entry(Found(chosen.job, checkpoint), chosen.step == "latest", changes, at)

    def _look_further(self, source: Source, what: str, labels: Collection[Label], damaged: Found) -> list[Found]:
        with self._database.read() as connection:
            chosen = choices.choose(connection, source, what, labels)
            found = islice(choices.candidates(connection, chosen, what, labels), MOST_OTHERS)
            return [Found(chosen.job, each) for each in found if each.folder != damaged.checkpoint.folder]
