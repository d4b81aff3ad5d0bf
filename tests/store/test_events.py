import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from store import claims, events, jobs
from store.claims import Claim
from store.database import Database
from store.events import Event
from store.previews import Picture
from tests.store import scenes

WRITERS = 4
EACH = 12


def page(database: Database, number: int, after: int = 0, limit: int = 5) -> tuple[list[Event], bool]:
    with database.read() as connection:
        return events.page(connection, number, after, limit)


def test_an_event_says_what_happened_and_when(database: Database) -> None:
    held = scenes.run(database)
    with database.write() as connection:
        claims.note(connection, held, "health", {"verdict": "healthy", "reasons": ["D(real) 0.7"]})
    found, more = page(database, held.job.number)
    assert (found[-1].type, found[-1].data, more) == (
        "health",
        {"verdict": "healthy", "reasons": ["D(real) 0.7"]},
        False,
    )
    assert held.job.created_at <= found[0].at <= found[-1].at


def test_pages_go_on_where_the_last_one_ended_and_show_one_job_only(database: Database) -> None:
    held = scenes.run(database)
    other = scenes.run(database, "worker-2")
    for i in range(10):
        with database.write() as connection:
            claims.note(connection, held, "health", {"i": i})
            claims.note(connection, other, "health", {"i": -i})
    seen, more = page(database, held.job.number, limit=3)
    while more:
        found, more = page(database, held.job.number, after=seen[-1].seq, limit=3)
        seen += found
    assert [event.type for event in seen[:3]] == ["queued", "starting", "running"]
    assert [event.data["i"] for event in seen[3:]] == list(range(10))


def test_a_reader_misses_nothing_while_many_write(database: Database) -> None:
    held = scenes.run(database)

    def write(writer: int) -> None:
        chance = random.Random(writer)
        for i in range(EACH):
            with database.write() as connection:
                claims.note(connection, held, "health", {"writer": writer, "i": i})
                time.sleep(chance.random() * 4e-3)  # numbered, not yet committed

    seen: list[Event] = []
    with ThreadPoolExecutor(WRITERS) as threads:
        writing = [threads.submit(write, writer) for writer in range(WRITERS)]
        while True:
            done = all(future.done() for future in writing)
            found, _ = page(database, held.job.number, after=seen[-1].seq if seen else 0)
            seen += found
            if done and not found:
                break
        for future in writing:
            future.result()
    numbers = [event.seq for event in seen]
    assert numbers == sorted(set(numbers))
    assert len(seen) == 3 + WRITERS * EACH
    for writer in range(WRITERS):
        assert [event.data["i"] for event in seen[3:] if event.data["writer"] == writer] == list(range(EACH))


def test_every_way_of_writing_an_event_waits_for_the_one_before(database: Database) -> None:
    """Whoever writes an event of a job holds the job's row: numbers of one job are committed in their order."""
    held = scenes.run(database)

    def cancel() -> None:
        with database.write() as connection:
            jobs.cancel(connection, held.job.id)

    for write in _writes(database, held):
        with ThreadPoolExecutor(1) as thread:
            with database.write() as connection:
                claims.note(connection, held, "health", {})
                later = thread.submit(write)
                time.sleep(0.05)
                assert not later.done()
            later.result()
    with ThreadPoolExecutor(1) as thread:
        with database.write() as connection:
            claims.note(connection, held, "health", {})
            later = thread.submit(cancel)
            time.sleep(0.05)
            assert not later.done()
        later.result()
    found, _ = page(database, held.job.number, limit=100)
    assert [event.type for event in found][3:] == [
        "health", "health", "health", "checkpoint", "health", "checkpoint_damaged", "health", "preview",
        "health", "cancelling",
    ]  # fmt: skip


def _writes(database: Database, held: Claim) -> Iterator["_Write"]:
    for kind in ("note", "checkpoint", "damaged", "preview"):
        yield _Write(database, held, kind)


class _Write:
    def __init__(self, database: Database, held: Claim, kind: str) -> None:
        self.database, self.held, self.kind = database, held, kind

    def __call__(self) -> None:
        with self.database.write() as connection:
            if self.kind == "note":
                claims.note(connection, self.held, "health", {})
            elif self.kind == "checkpoint":
                claims.checkpoint(connection, self.held, 1, "folder", scenes.FILES, scenes.CARD)
            elif self.kind == "damaged":
                claims.damaged(connection, self.held, self.held.job.id, 1, "a digest differs")
            else:
                claims.preview(connection, self.held, 1, Picture("path", "0" * 64, 80, 80, None))


def test_a_number_is_never_used_twice(database: Database) -> None:
    job = scenes.submit(database)
    last = page(database, job.number)[0][-1].seq
    with database.write() as connection:
        connection.execute(jobs.jobs.delete())
    assert scenes.dump(database)["events"] == []
    again = scenes.submit(database)
    assert page(database, again.number)[0][0].seq > last
