"""A backup is a home: every row as it is stored, and every file that a row names, while others write."""

import hashlib
import itertools
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import JSON, Text, cast, delete, insert, select, text

from store import audit, backup, claims, jobs, tables
from store.artifacts import Artifacts
from store.backup import BackupRefused, File, Home
from store.claims import Claim
from store.database import Database
from store.previews import Picture
from store.settings import Settings
from store.sweeping import sweep
from tests.store import scenes

FAKED = {File("folder/state.safetensors", "0" * 64), File("path", "0" * 64)}  # what `scenes.fill` names
POINTS = 20_000
FEW_BYTES = 4 << 20


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def home(database: Database, tmp_path: Path) -> Home:
    return made(tmp_path / "home", database)


@pytest.fixture
def other(empty_database: Database, tmp_path: Path) -> Home:
    """A home of either kind that nobody has used."""
    return made(tmp_path / "other", empty_database)


def made(folder: Path, database: Database) -> Home:
    folder.mkdir()
    return Home(folder, database, Artifacts(str(folder / "artifacts")))


@contextmanager
def opened(folder: Path) -> Iterator[Home]:
    """Open a folder as `up --home` would."""
    with backup.opened(Settings(home=folder)) as found:
        yield found


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def checkpoint(home: Home, held: Claim, step: int, content: bytes = b"weights") -> None:
    """Write files, then their row, then remove what retention lets go of, as a worker does."""
    folder = f"jobs/{held.job.id}/attempt-{held.token}/checkpoints/{step}"
    files = {"state.safetensors": content, "card.json": digest_of(content).encode()}
    for name, found in files.items():
        home.artifacts.put(f"{folder}/{name}", found)
    listed = {name: {"sha256": digest_of(found), "size": len(found)} for name, found in files.items()}
    with home.database.write() as connection:
        removed = claims.checkpoint(connection, held, step, folder, listed, scenes.CARD)
    for unneeded in removed:
        home.artifacts.delete(unneeded)


def preview(home: Home, held: Claim, step: int) -> None:
    path = f"jobs/{held.job.id}/attempt-{held.token}/previews/{step}.png"
    home.artifacts.put(path, b"picture")
    with home.database.write() as connection:
        claims.preview(connection, held, step, Picture(path, digest_of(b"picture"), 8, 8, None))


def stored(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table; JSON as the text that it is, so that its null is not taken for SQL's."""
    with database.read() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(
                    select(*(cast(c, Text) if isinstance(c.type, JSON) else c for c in table.c)).order_by(
                        *table.primary_key
                    )
                )
            ]
            for table in tables.metadata.sorted_tables
        }


def files(home: Home) -> dict[str, bytes]:
    return {path: home.artifacts.get(path) for path in home.artifacts.files("jobs")}


def named(home: Home) -> set[File]:
    with home.database.read() as connection:
        return set(backup._files(connection))


def assert_whole(home: Home) -> None:
    assert named(home)
    assert {File(file.path, digest_of(home.artifacts.get(file.path))) for file in named(home)} == named(home)


# --- the laws


def test_every_row_and_file_is_the_same_in_the_backup_and_where_it_is_restored(
    home: Home, other: Home, tmp_path: Path
) -> None:
    scenes.fill(home.database)
    held = scenes.claim(home.database)
    assert held is not None
    for step in (10, 20):
        checkpoint(home, held, step)
        preview(home, held, step)
    home.secret.write_text("whsec_c2VjcmV0")
    rows = stored(home.database)
    assert all(rows.values())

    saved = backup.save(home, tmp_path / "today")
    assert (saved.jobs, saved.files, set(saved.damaged)) == (2, 6, FAKED)
    restored = backup.restore(tmp_path / "today", other)
    assert (restored.jobs, restored.files, set(restored.damaged)) == (2, 6, FAKED)

    with opened(tmp_path / "today") as kept:
        for copy in (kept, other):
            assert stored(copy.database) == rows
            assert files(copy) == files(home)
            assert copy.secret.read_text() == "whsec_c2VjcmV0"
            assert copy.secret.stat().st_mode & 0o777 == 0o600
            found, expected = copy.database.revisions()
            assert found == expected


def test_a_backup_takes_what_rows_name_and_nothing_else(home: Home, tmp_path: Path) -> None:
    held = scenes.run(home.database, keep_checkpoints=1)
    for step in (10, 20):
        checkpoint(home, held, step)
    home.artifacts.put(f"jobs/{held.job.id}/attempt-{held.token}/checkpoints/30/state.safetensors", b"no row yet")
    backup.save(home, tmp_path / "today")
    with opened(tmp_path / "today") as kept:
        assert set(files(kept)) == {file.path for file in named(home)}
        assert_whole(kept)


def test_every_table_that_names_files_is_asked_for_them() -> None:
    naming = {table.name for table in tables.metadata.sorted_tables if {"path", "folder", "sha256"} & {*table.c.keys()}}
    assert naming == {"checkpoints", "previews"}, "let `store/backup.py` and `store/sweeping.py` know"


def test_no_number_is_given_twice(home: Home, other: Home, tmp_path: Path) -> None:
    scenes.submit(home.database)
    gone = scenes.run(home.database) if scenes.claim(home.database) else None
    assert gone is not None
    with home.database.write() as connection:
        claims.succeed(connection, gone)
        audit.append(connection, audit.OPERATOR, "first", "nothing")
        audit.append(connection, audit.OPERATOR, "second", "nothing")
        last = connection.scalar(select(tables.events.c.seq).order_by(tables.events.c.seq.desc()))
        jobs.delete(connection, gone.job.id)
        connection.execute(delete(tables.audit))
    backup.save(home, tmp_path / "today")
    backup.restore(tmp_path / "today", other)
    scenes.submit(other.database)
    with other.database.write() as connection:
        audit.append(connection, audit.OPERATOR, "third", "nothing")
        assert last is not None
        assert connection.scalar(select(tables.events.c.seq).order_by(tables.events.c.seq.desc())) == last + 1
        assert connection.scalar(select(tables.audit.c.seq)) == 3


def test_a_job_that_ran_goes_on_from_its_checkpoint_where_it_is_restored(
    home: Home, other: Home, tmp_path: Path
) -> None:
    held = scenes.run(home.database)
    checkpoint(home, held, 10)
    backup.save(home, tmp_path / "today")
    backup.restore(tmp_path / "today", other)
    scenes.expire(other.database, held.job)
    with other.database.write() as connection:
        assert claims.reap(connection) == [held.job.id]
    assert sweep(other.database, other.artifacts) == []
    again = scenes.claim(other.database, "worker-2")
    assert again is not None
    assert (again.job.id, again.token) == (held.job.id, held.token + 1)
    checkpoint(other, again, 20)
    assert_whole(other)


def test_rows_are_never_all_held_at_once(home: Home, other: Home, tmp_path: Path) -> None:
    job = scenes.submit(home.database)
    points = [{"job_number": job.number, "name": "d_loss", "step": step, "value": 0.5} for step in range(POINTS)]
    with home.database.write() as connection:
        connection.execute(insert(tables.metrics), points)
    tracemalloc.start()
    backup.save(home, tmp_path / "today")
    backup.restore(tmp_path / "today", other)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < FEW_BYTES
    assert len(stored(other.database)["metrics"]) == POINTS


# --- others write meanwhile


class Raced(Artifacts):
    """Files that somebody changes once so many of them have been read."""

    def __init__(self, url: str, reads: int, change: Callable[[], None]) -> None:
        super().__init__(url)
        self._left = reads
        self._change = change

    def get(self, path: str) -> bytes:
        content = super().get(path)
        self._left -= 1
        if self._left == 0:
            self._change()
        return content


def raced(home: Home, reads: int, change: Callable[[], None]) -> Home:
    return Home(home.folder, home.database, Raced(home.artifacts.url, reads, change))


def test_what_retention_removes_meanwhile_is_not_named_in_the_end(home: Home, tmp_path: Path) -> None:
    held = scenes.run(home.database, keep_checkpoints=1)
    checkpoint(home, held, 10)
    saved = backup.save(raced(home, 1, lambda: checkpoint(home, held, 20)), tmp_path / "today")
    assert saved.damaged == []
    with opened(tmp_path / "today") as kept:
        assert_whole(kept)
        assert stored(kept.database) == stored(home.database)


def test_what_is_written_anew_meanwhile_is_copied_anew(home: Home, tmp_path: Path) -> None:
    held = scenes.run(home.database)
    checkpoint(home, held, 10, b"before the rollback")
    saved = backup.save(raced(home, 1, lambda: checkpoint(home, held, 10, b"after it")), tmp_path / "today")
    assert saved.damaged == []
    with opened(tmp_path / "today") as kept:
        assert_whole(kept)
        assert b"after it" in files(kept).values()


def test_rows_are_of_the_moment_at_which_they_named_the_files(home: Home, tmp_path: Path) -> None:
    held = scenes.run(home.database)
    checkpoint(home, held, 10)
    before = stored(home.database)
    backup.save(raced(home, 2, lambda: checkpoint(home, held, 20)), tmp_path / "today")
    assert stored(home.database) != before
    with opened(tmp_path / "today") as kept:
        assert stored(kept.database) == before
        assert_whole(kept)


def test_a_writer_that_never_rests_leaves_no_row_without_its_file(home: Home, tmp_path: Path) -> None:
    held = scenes.run(home.database, keep_checkpoints=2)
    checkpoint(home, held, 1)
    stopped = threading.Event()

    def write() -> None:
        for step in itertools.count(2):
            checkpoint(home, held, step)
            if stopped.wait(0.02):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            assert backup.save(home, tmp_path / str(number)).damaged == []
    finally:
        stopped.set()
        writer.join()
    for number in range(3):
        with opened(tmp_path / str(number)) as kept:
            assert_whole(kept)


def test_files_that_always_go_before_they_are_copied_are_given_up_on(home: Home, tmp_path: Path) -> None:
    held = scenes.run(home.database, keep_checkpoints=1)
    steps = itertools.count(10)

    class Fleeting(Artifacts):
        def get(self, path: str) -> bytes:
            checkpoint(home, held, next(steps))
            return super().get(path)

    checkpoint(home, held, next(steps))
    fleeting = Home(home.folder, home.database, Fleeting(home.artifacts.url))
    with pytest.raises(BackupRefused, match="keep_checkpoints"):
        backup.save(fleeting, tmp_path / "today")
    assert list(tmp_path.glob("today*")) == []


# --- damage


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_damaged_file_is_named_and_left_out(home: Home, other: Home, damage: str, tmp_path: Path) -> None:
    held = scenes.run(home.database)
    for step in (10, 20):
        checkpoint(home, held, step)
    broken = next(file for file in named(home) if file.path.endswith("20/state.safetensors"))
    if damage == "removed":
        home.artifacts.remove([broken.path])
    else:
        home.artifacts.put(broken.path, b"weighty")
    assert backup.save(home, tmp_path / "today").damaged == [broken]
    restored = backup.restore(tmp_path / "today", other)
    assert restored.damaged == [broken]
    assert set(files(other)) == {file.path for file in named(home) - {broken}}
    assert stored(other.database) == stored(home.database)


# --- what is refused


def test_a_folder_that_holds_something_is_not_written_into(home: Home, tmp_path: Path) -> None:
    scenes.fill(home.database)
    backup.save(home, tmp_path / "today")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BackupRefused, match="today is not empty"):
        backup.save(home, tmp_path / "today")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_becomes_the_backup(home: Home, tmp_path: Path) -> None:
    (tmp_path / "today").mkdir()
    backup.save(home, tmp_path / "today")
    assert (tmp_path / "today" / "ganymede.db").exists()


def test_a_file_is_no_folder_to_write_into(home: Home, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupRefused, match="Not a directory"):
        backup.save(home, tmp_path / "file")


def test_what_nobody_has_started_is_not_backed_up(other: Home, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="nothing to back up"):
        backup.save(other, tmp_path / "today")


def test_a_service_of_an_older_version_is_not_backed_up(other: Home, tmp_path: Path) -> None:
    other.database.migrate("0007")
    with pytest.raises(BackupRefused, match="at revision 0007, expected"):
        backup.save(other, tmp_path / "today")


def test_nothing_is_poured_into_a_database_that_is_in_use(home: Home, tmp_path: Path) -> None:
    scenes.fill(home.database)
    backup.save(home, tmp_path / "today")
    before = stored(home.database)
    with pytest.raises(BackupRefused, match=r"has rows of .*jobs"):
        backup.restore(tmp_path / "today", home)
    assert stored(home.database) == before


def test_files_of_strangers_are_not_mixed_with_those_of_a_backup(home: Home, other: Home, tmp_path: Path) -> None:
    held = scenes.run(home.database)
    checkpoint(home, held, 10)
    backup.save(home, tmp_path / "today")
    other.artifacts.put("jobs/somebody/attempt-1/previews/1.png", b"x")
    with pytest.raises(BackupRefused, match="files of 1 jobs"):
        backup.restore(tmp_path / "today", other)
    other.artifacts.delete("jobs/somebody")
    other.artifacts.put(next(iter(named(home))).path, b"half restored")
    assert backup.restore(tmp_path / "today", other).damaged == []
    assert_whole(other)


def test_what_is_no_backup_is_not_restored(other: Home, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="is no backup"):
        backup.restore(tmp_path / "nowhere", other)


def test_a_home_in_use_is_not_restored_as_it_is(home: Home, other: Home, tmp_path: Path) -> None:
    backup.save(home, tmp_path / "today")
    with opened(tmp_path / "today") as used:
        scenes.submit(used.database)
        with pytest.raises(BackupRefused, match="is in use"):
            backup.restore(tmp_path / "today", other)


# --- other versions


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_older_backup_is_brought_to_this_version_and_stays_as_it_is(home: Home, other: Home, tmp_path: Path) -> None:
    scenes.fill(home.database)
    with home.database.write() as connection:
        connection.execute(delete(tables.workers))
        connection.execute(delete(tables.failed_attempts))  # which revision 0007 does not know
    backup.save(home, tmp_path / "old")
    with opened(tmp_path / "old") as old:
        with old.database.engine.connect().execution_options(immediate=True) as connection:
            command.downgrade(old.database._alembic(connection), "0007")
            connection.commit()
        old.database.seal()
    before = contents(tmp_path / "old")
    backup.restore(tmp_path / "old", other)
    assert contents(tmp_path / "old") == before
    assert stored(other.database) == stored(home.database)


def test_a_newer_backup_is_refused(home: Home, other: Home, tmp_path: Path) -> None:
    backup.save(home, tmp_path / "new")
    with opened(tmp_path / "new") as new:
        with new.database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        new.database.seal()
    with pytest.raises(BackupRefused, match=r"newer version.*9999"):
        backup.restore(tmp_path / "new", other)
