"""Backups: folders that hold all of a service, each a home that `ganymede up` runs as it is."""

import hashlib
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from alembic.util import CommandError
from sqlalchemy import Connection, func, select

from store.artifacts import JOBS, Artifacts, job_folder
from store.checkpoints import WHOLE
from store.database import Database
from store.errors import ArtifactNotFound
from store.pouring import AT_ONCE, filled, pour
from store.settings import Settings
from store.tables import checkpoints, jobs, previews

ROUNDS = 20
PAUSE_SECONDS = 1.0  # longer than a file that is written anew waits for its row


class BackupRefused(Exception):
    """A backup cannot be made or restored like this; the message says what was found and what to do."""


class File(NamedTuple):
    """A file that a row points at, and the SHA-256 that it must have."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Home:
    """All that a service keeps: a database, files, and a folder for its secret."""

    folder: Path
    database: Database
    artifacts: Artifacts

    @property
    def secret(self) -> Path:
        """Return the file of what webhooks are signed with, unless the environment says that."""
        return self.folder / "webhook-secret"


@dataclass(frozen=True)
class Copied:
    """How much was copied, and which files were not: they are missing, or not what their rows say."""

    jobs: int
    files: int
    damaged: Collection[File]


@contextmanager
def opened(settings: Settings) -> Iterator[Home]:
    """Open the home that the settings name."""
    database = Database(settings.database)
    try:
        yield Home(settings.home.absolute(), database, Artifacts(settings.artifacts))
    finally:
        database.close()


def save(home: Home, folder: Path) -> Copied:
    """Write all of a home, in use or not, into a folder that is not there yet; a killed attempt leaves none.

    Raises BackupRefused.
    """
    found, expected = home.database.revisions()
    if found is None:
        raise BackupRefused(f"{home.database.url} has nothing to back up. Name the service's home with --home.")
    if found != expected:
        raise BackupRefused(
            f"{home.database.url} is at revision {found}, expected {expected}. Start this version's service on it "
            "first, or let that version make the backup."
        )
    folder = folder.resolve()
    with _half(folder) as half:
        whole, rows = half / "home", half / "rows.db"  # apart until both are whole: neither is a home before
        whole.mkdir(mode=0o700)
        with opened(_home_in(whole, rows)) as backup:
            backup.database.migrate()
            copied = _save(home, backup)
            backup.database.seal()
        rows.rename(whole / "ganymede.db")
        os.sync()
        whole.rename(folder)
    return copied


def restore(folder: Path, home: Home) -> Copied:
    """Pour a backup, which stays as it is, into a home that has neither rows nor other files of jobs.

    Files come first, then all rows at once: who is killed on the way may begin again. Raises BackupRefused.
    """
    with _migrated_copy(folder.resolve(), home) as backup, backup.database.read() as rows:
        _migrate(home.database)
        _refuse_unless_empty(home, rows)
        named = set(_files(rows))
        damaged = _copy(named, backup, home)
        with home.database.write() as target:
            pour(rows, target)
        return _count(rows, named, damaged)


def _save(home: Home, backup: Home) -> Copied:
    """Copy every file that the rows name, then the rows; both are read as they were at one moment.

    A file that retention removed meanwhile, or a trainer wrote anew, has other rows at the next moment. One that is
    still named then, and still is not what its row says, is damaged.
    """
    done, missed = set[File](), set[File]()
    for _ in range(ROUNDS):
        with home.database.read() as rows:
            named = set(_files(rows))
            failed = _copy(named - done, home, backup)
            if failed <= missed:
                with backup.database.write() as target:
                    pour(rows, target)
                return _count(rows, named, failed)
        done |= named - failed
        missed |= failed
        time.sleep(PAUSE_SECONDS)
    raise BackupRefused(
        f"Checkpoints were removed faster than they could be copied, {ROUNDS} times over. Let running jobs write fewer "
        "or keep more of them (`checkpoint_every`, `keep_checkpoints`), or pause them, and try again."
    )


def _files(connection: Connection) -> Iterator[File]:
    """Yield every file that a row points at, but those of checkpoints that are known to be damaged or pruned."""
    kept = select(checkpoints.c.folder, checkpoints.c.files).where(*WHOLE)
    for folder, files in connection.execute(kept, execution_options={"yield_per": AT_ONCE}):
        yield from (File(f"{folder}/{name}", file["sha256"]) for name, file in files.items())
    drawn = select(previews.c.path, previews.c.sha256)
    yield from (File(*row) for row in connection.execute(drawn, execution_options={"yield_per": AT_ONCE}))


def _copy(files: Collection[File], source: Home, target: Home) -> set[File]:
    """Copy the secret and the files; return the files that are not what their rows say."""
    if source.secret.exists():
        target.secret.touch(mode=0o600)
        shutil.copyfile(source.secret, target.secret)
    return {file for file in files if not _is_copied(file, source.artifacts, target.artifacts)}


def _is_copied(file: File, source: Artifacts, target: Artifacts) -> bool:
    """Copy a file in one piece, as whoever trains or serves holds it; tell whether it was what its row says."""
    try:
        content = source.get(file.path)
    except ArtifactNotFound:
        return False
    if hashlib.sha256(content).hexdigest() != file.sha256:
        return False
    target.put(file.path, content)
    return True


def _count(rows: Connection, named: set[File], damaged: set[File]) -> Copied:
    count = rows.execute(select(func.count()).select_from(jobs)).scalar_one()
    return Copied(count, len(named - damaged), sorted(damaged))


@contextmanager
def _half(folder: Path) -> Iterator[Path]:
    """Give a folder of our own beside the one to be made, for what is not whole yet."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise BackupRefused(f"{folder} is not empty. Name a folder that is not there yet.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        half = TemporaryDirectory(prefix=f"{folder.name}.", suffix=".half", dir=folder.parent)
    except OSError as error:
        raise BackupRefused(f"{folder} cannot be written: {error.strerror}.") from error
    with half:
        yield Path(half.name)


def _home_in(folder: Path, rows: Path) -> Settings:
    """Describe a home without a look at the environment."""
    return Settings.model_construct(home=folder, database_url=f"sqlite:///{rows}")


@contextmanager
def _migrated_copy(folder: Path, home: Home) -> Iterator[Home]:
    """Open a backup, its rows copied and brought to this version; raise BackupRefused where there is none."""
    kept = folder / "ganymede.db"
    if not kept.is_file():
        raise BackupRefused(f"{folder} is no backup: there is no ganymede.db in it.")
    if Path(f"{kept}-wal").exists():
        raise BackupRefused(f"{folder} is in use, or was when it was killed. Make a backup of it, and restore that.")
    home.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="restore-", dir=home.folder) as place:
        rows = Path(place) / kept.name
        shutil.copyfile(kept, rows)
        with opened(_home_in(folder, rows)) as backup:
            _migrate(backup.database)
            yield backup


def _migrate(database: Database) -> None:
    try:
        database.migrate()
    except CommandError as unknown:
        raise BackupRefused(f"{database.url} is of a newer version: {unknown}. Restore with that version.") from unknown


def _refuse_unless_empty(home: Home, rows: Connection) -> None:
    """Raise BackupRefused where anything is that a backup's rows would mix with, or its sweeper would remove."""
    with home.database.read() as connection:
        if tables := filled(connection):
            raise BackupRefused(
                f"{home.database.url} is in use: it has rows of {', '.join(tables)}. Name an empty database, with "
                "--home or GANYMEDE_DATABASE_URL."
            )
    own = {job_folder(job_id) for job_id in rows.scalars(select(jobs.c.id))}
    if strangers := set(home.artifacts.folders(JOBS)) - own:
        raise BackupRefused(
            f"{home.artifacts.url} has files of {len(strangers)} jobs that the backup does not know. Name an empty "
            "folder or bucket, with --home or GANYMEDE_ARTIFACTS."
        )
