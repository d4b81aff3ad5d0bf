"""The database: one engine, and the only two places where a transaction begins and ends."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import OperationalError

from store.turns import Turns

MIGRATIONS = Path(__file__).parent / "migrations"
SQLITE_BUSY_SECONDS = 10
LOG_PAGES = 300  # after so many a commit moves the log into the file, while those who write next wait
LOOK_AGAIN_SECONDS = 0.001  # where SQLite itself does not
# A server that has gone without a word (its host is cut off) is noticed in seconds, not in the quarter of an hour that
# TCP takes by itself; what the URL says goes before.
SERVER_PATIENCE = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
# And the other way round: of a process that is cut off, or frozen, within a transaction the server frees what it has
# locked; until then a reaper passes over its job. Reads lock nothing, and may wait for a bucket as long as they like.
PROMPT = text("SET LOCAL idle_in_transaction_session_timeout = '10s'")
MIGRATION_LOCK = 0x67616E  # any number that nothing else in the database locks


class Database:
    """SQLite in WAL mode (one machine) or PostgreSQL (many), chosen by the URL."""

    def __init__(self, url: str) -> None:
        """Open lazily: nothing is connected until the first transaction."""
        self.url = make_url(url)
        self._embedded = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(url) if self._embedded else _server_engine(url)
        self._turns = Turns(Path(f"{self.url.database}-turn"), SQLITE_BUSY_SECONDS) if self._embedded else None
        self._watch: sqlite3.Connection | None = None
        self._watching = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one read-only transaction: what it sees does not change while it lasts."""
        with self.engine.connect() as connection:
            if not self._embedded:  # SQLite's transactions are like this anyway
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open one transaction that commits when the block ends and leaves no trace when it raises.

        PostgreSQL ends one that stands idle for ten seconds, which raises OperationalError.
        """
        turn = self._turns.take() if self._turns else nullcontext()
        with self.engine.connect().execution_options(immediate=True) as connection, turn:
            try:
                if not self._embedded:
                    connection.execute(PROMPT)
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def changes(self) -> int | None:
        """Return a number that changes with every commit of anybody, or None where there is none as quickly.

        SQLite keeps one in memory, which takes some microseconds to read; PostgreSQL would have to be asked.
        """
        if not self._embedded:
            return None
        with self._watching:
            if self._watch is None:
                place = Path(str(self.url.database)).absolute().as_uri()
                self._watch = sqlite3.connect(f"{place}?mode=rw", uri=True, check_same_thread=False)
            found: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
        return found

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables to `revision`, creating them in an empty database."""
        if self._embedded and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self.write() as connection:
            if not self._embedded:  # where writing locks nothing yet; processes that start together must take turns
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            command.upgrade(self._alembic(connection), revision)

    def revisions(self) -> tuple[str | None, str | None]:
        """Return the revision found in the database and the one this code expects."""
        with self.read() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        return found, _migrations().get_current_head()

    def knows(self, revision: str) -> bool:
        """Tell whether this code has the migration; it lacks those of later versions."""
        return revision in {script.revision for script in _migrations().walk_revisions()}

    def ping(self) -> None:
        """Raise unless the database answers."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def seal(self) -> None:
        """Close, and leave a SQLite file that is whole without a log beside it; nobody else may have it open."""
        self.close()
        with closing(sqlite3.connect(str(self.url.database))) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        assert mode == "delete", mode

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        with self._watching:
            if self._watch is not None:
                self._watch.close()
                self._watch = None

    def _alembic(self, connection: Connection) -> Config:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        return config


@cache
def _migrations() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _server_engine(url: str) -> Engine:
    patient = make_url(url)
    patient = patient.set(query={**SERVER_PATIENCE, **patient.query})
    engine = create_engine(patient, pool_pre_ping=True, pool_size=20, max_overflow=30, hide_parameters=True)
    # Many rows become one statement. The driver would make a pipeline of them, and may end it with a Flush after the
    # Sync, which stops the clock of PROMPT.
    engine.dialect.use_insertmanyvalues_wo_returning = True

    @event.listens_for(engine, "handle_error")
    def call_it_away(context: ExceptionContext) -> None:
        """Raise what SQLAlchemy does where a server is away, also where that has ended a session of its own accord."""
        if context.is_disconnect and not isinstance(context.sqlalchemy_exception, OperationalError):
            raise OperationalError(context.statement, None, context.original_exception, hide_parameters=True)

    return engine


def _keep_a_log(driver: DBAPIConnection) -> None:
    """Put the file in WAL mode; of several that do so at once SQLite refuses some without the patience it was given."""
    deadline = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            driver.cursor().execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(LOOK_AGAIN_SECONDS)


def _sqlite_engine(url: str) -> Engine:
    """Let SQLAlchemy, not the driver, say when a transaction begins: writers take the lock at once."""
    patience = {"timeout": SQLITE_BUSY_SECONDS}
    engine = create_engine(url, connect_args=patience, pool_size=20, max_overflow=30, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(driver: DBAPIConnection, _: Any) -> None:  # Any: the pool's record, unused
        driver.isolation_level = None  # sqlite3's own attribute: no implicit BEGIN
        _keep_a_log(driver)
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON", f"wal_autocheckpoint = {LOG_PAGES}"):
            driver.cursor().execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
