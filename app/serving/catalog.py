"""The catalog: which checkpoint answers, remembered for as long as the database has not changed."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from starlette.concurrency import run_in_threadpool

from app.memory import MOST_KEPT, Memory
from app.serving import choices
from app.serving.choices import Label, Source
from store.checkpoints import Checkpoint
from store.database import Database
from store.jobs import Job

GOOD_SECONDS = 0.05  # for which an answer is believed where the database cannot say at once that it has changed
MOST_OTHERS = 10  # checkpoints that are tried after a damaged one


@dataclass(frozen=True)
class Found:
    """The job that answers, from one of its checkpoints, as the database had them when it was looked into."""

    job: Job
    checkpoint: Checkpoint
    newest: bool  # whether the newest checkpoint was asked for, not one in particular


class Catalog:
    """Answers most requests without a look into the database; nobody from an older checkpoint than somebody before."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._memory: Memory[tuple[Source, str], Found] = Memory(database, GOOD_SECONDS)
        self._newest: dict[str, int] = {}  # job → the newest step that any answer came from

    async def find(self, source: Source, what: str, labels: Collection[Label] = ()) -> Found:
        """Return who answers with `what`. Raises as `choices.choose` and `choices.candidates` do."""
        found = await self._memory.find(
            (source, what), lambda: self._look(source, what, labels)[0], lambda known: not self._is_outdone(known)
        )
        assert found is not None  # a look finds or raises
        if found.newest:
            if len(self._newest) >= MOST_KEPT:
                self._newest.clear()
            self._newest[found.job.id] = found.checkpoint.step
        return found

    async def others(self, source: Source, what: str, labels: Collection[Label], damaged: Found) -> list[Found]:
        """Look again and return who may answer in the place of a checkpoint whose files are damaged.

        Raises as `find`: what was pruned since then says so.
        """
        async with self._memory.looking:
            self._memory.forget((source, what))
            found = await run_in_threadpool(self._look, source, what, labels, MOST_OTHERS)
        return [each for each in found if each.checkpoint.folder != damaged.checkpoint.folder]

    def _is_outdone(self, found: Found) -> bool:
        """Tell whether somebody has been answered from a newer checkpoint meanwhile."""
        return found.newest and self._newest.get(found.job.id, 0) > found.checkpoint.step

    def _look(self, source: Source, what: str, labels: Collection[Label], most: int = 1) -> list[Found]:
        """Return who may answer, the first choice first."""
        with self._database.read() as connection:
            chosen = choices.choose(connection, source, what, labels)
            found = islice(choices.candidates(connection, chosen, what, labels), most)
            return [Found(chosen.job, each, chosen.step == "latest") for each in found]
