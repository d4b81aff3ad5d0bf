"""A database that is restarted, crashes or is locked while a job trains."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Running
from tests.faults.conftest import Told, a_server, a_stack, assert_whole
from tests.store.postgres import Server

ROUNDS = 3
AWAY_SECONDS = 2.0
LOCKED_SECONDS = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with a_server() as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Running]:
    with a_stack(tmp_path_factory.mktemp("home"), GANYMEDE_DATABASE_URL=server.url.format("postgres")) as made:
        yield made


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_job_goes_on_when_postgresql_is(
    running: Running, server: Server, undisturbed: str, how: signal.Signals, record_property: Told
) -> None:
    record_property("rounds", ROUNDS)
    finished: dict[str, Any] = {"job": running.submit(), "seed": 1}
    assert_whole(running, finished["job"], undisturbed)
    drawn = running.http.get("/sample", params=finished).content
    for _ in range(ROUNDS):
        job = running.submit()
        running.await_checkpoint(job)
        assert running.http.get("/sample", params=finished).status_code == 200
        server.stop(how)
        away_until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < away_until:
            answer = running.http.get(f"/jobs/{job}")
            assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
            assert running.http.get("/sample", params=finished).content == drawn
        server.start()
        assert_whole(running, job, undisturbed)


def test_a_job_goes_on_when_sqlite_is_locked(tmp_path_factory: pytest.TempPathFactory, undisturbed: str) -> None:
    with a_stack(tmp_path_factory.mktemp("home")) as running:
        job = running.submit()
        running.await_checkpoint(job)
        other = sqlite3.connect(running.stack.home / "ganymede.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        locked_until = time.monotonic() + LOCKED_SECONDS
        while time.monotonic() < locked_until:
            running.job(job)
            assert running.http.get("/sample", params={"job": job}).status_code == 200
        other.execute("ROLLBACK")
        other.close()
        assert_whole(running, job, undisturbed)
