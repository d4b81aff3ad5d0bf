"""Both databases and both kinds of artifacts, each made once per session and empty at the start of every test."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from store.artifacts import Artifacts
from store.database import Database
from tests.store import postgres, s3

ON_SQLITE = pytest.param("sqlite", id="sqlite")
ON_POSTGRESQL = pytest.param("postgresql", id="postgresql", marks=pytest.mark.integration)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with every table and no row."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Return the URL of a PostgreSQL server, with a hole where the database's name goes."""
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("needs PostgreSQL: no `postgres` on PATH nor under /usr/lib/postgresql")
    with postgres.running(programs) as server:
        database = Database(server.url.format("postgres"))
        database.migrate()
        database.close()
        yield server.url


@pytest.fixture(params=[ON_SQLITE, ON_POSTGRESQL])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a migrated database without a row."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "ganymede.db")
        return f"sqlite:///{tmp_path / 'ganymede.db'}"
    url = request.getfixturevalue("server").format("postgres")
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("TRUNCATE jobs, workers, api_keys, audit, failed_attempts RESTART IDENTITY CASCADE"))
    database.close()
    return str(url)


@contextmanager
def created(server: str, name: str) -> Iterator[str]:
    """Give the URL of one more database of a PostgreSQL server, without a table."""
    engine = create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.format(name)
        connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


@pytest.fixture(params=[ON_SQLITE, ON_POSTGRESQL])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with created(request.getfixturevalue("server"), "empty") as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def empty_database(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def bucket() -> Iterator[s3.Server]:
    with s3.running() as server:
        yield server


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.integration)])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifacts:
    if request.param == "folder":
        return Artifacts(str(tmp_path / "artifacts"))
    request.getfixturevalue("bucket").told_to(monkeypatch)
    return Artifacts(f"s3://{s3.BUCKET}/{uuid.uuid4()}")
