"""Clocks that are wrong: the worker's own, and the database's, by which all leases are told."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import Running, eventually
from tests.faults.conftest import a_server, a_stack, assert_whole

OFF_SECONDS = 120
SOURCE = Path(__file__).parent / "clock.c"


class Clock:
    """A clock that is as wrong as a file says, for whatever process runs in its environment."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("needs a C compiler, `cc`")
        library, self._file = folder / "clock.so", folder / "clock"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", SOURCE, "-o", library, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "WRONG_CLOCK": str(self._file)}
        self.put(0)

    def put(self, seconds: int) -> None:
        """Put the clock ahead, or back."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds}\n")
        fresh.chmod(0o644)
        fresh.replace(self._file)


@contextmanager
def on_sqlite(home: Path, clock: Clock) -> Iterator[Running]:
    with a_stack(home, **clock.environment) as running:
        yield running


@contextmanager
def on_postgresql(home: Path, clock: Clock) -> Iterator[Running]:
    with a_server(**clock.environment) as server:
        with a_stack(home, GANYMEDE_DATABASE_URL=server.url.format("postgres")) as running:
            yield running


@pytest.fixture
def clock() -> Iterator[Clock]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL reads it as another user
        yield Clock(Path(folder))


@pytest.mark.parametrize("stack", [on_sqlite, on_postgresql], ids=lambda stack: stack.__name__)
@pytest.mark.parametrize("seconds", [OFF_SECONDS, -OFF_SECONDS], ids=["ahead", "back"])
def test_a_job_goes_on_when_the_database_s_clock_is_put(
    tmp_path_factory: pytest.TempPathFactory, undisturbed: str, clock: Clock, stack: object, seconds: int
) -> None:
    with stack(tmp_path_factory.mktemp("home"), clock) as running:  # type: ignore[operator]
        job = running.submit()
        running.await_checkpoint(job)
        clock.put(seconds)
        assert_whole(running, job, undisturbed)
        created = datetime.fromisoformat(running.job(running.submit(total_steps=20))["created_at"])
        assert abs((created - datetime.now(UTC)).total_seconds() - seconds) < OFF_SECONDS / 2, "the clock was right"


@pytest.mark.parametrize("seconds", [OFF_SECONDS, -OFF_SECONDS], ids=["ahead", "behind"])
def test_a_worker_s_clock_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, undisturbed: str, clock: Clock, seconds: int
) -> None:
    clock.put(seconds)
    with a_server() as server:
        settings = {"GANYMEDE_DATABASE_URL": server.url.format("postgres")}
        with (
            a_stack(tmp_path_factory.mktemp("home"), workers=0, **settings) as running,
            running.another_worker(**clock.environment),
        ):
            eventually(lambda: running.items("/workers") or None, "the worker to be there")
            job = running.submit()
            assert_whole(running, job, undisturbed)
            assert [attempt["state"] for attempt in running.items(f"/jobs/{job}/logs")] == ["succeeded"]
