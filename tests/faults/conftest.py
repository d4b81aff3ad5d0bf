"""Faults on purpose: what is broken how often, and a table at the end of what came of it."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import conftest as e2e
from tests.e2e.conftest import Running, final_digest
from tests.store.conftest import database, database_url, migrated_file, server
from tests.store.postgres import Server, binaries
from tests.store.postgres import running as postgresql

__all__ = ["database", "database_url", "final_digest", "migrated_file", "server"]

FINISHED = ("succeeded", "failed", "cancelled")
SHORT = {
    "GANYMEDE_LEASE_SECONDS": "3",
    "GANYMEDE_HEARTBEAT_SECONDS": "0.5",
    "GANYMEDE_POLL_SECONDS": "1",
    "GANYMEDE_WATCH_SECONDS": "0.3",
    "GANYMEDE_RETRY_SECONDS": "0.2",
    "GANYMEDE_DRAIN_SECONDS": "8",
}
LOGGED = list(range(20, 401, 20))

Told = Callable[[str, object], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and give it time."""
    for item in items:
        if "faults" in Path(item.fspath).parts:
            item.add_marker("faults")
            item.add_marker(pytest.mark.timeout(1800))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was broken, how often, and what came of it."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    rows = [report for report in reports if report.when == "call" and report.nodeid.startswith("tests/faults/")]
    if not rows:
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'fault':68} {'rounds':>6} {'seconds':>8}  result")
    for report in rows:
        rounds = dict(report.user_properties).get("rounds", 1)
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        terminalreporter.write_line(f"{name:68.68} {rounds:>6} {report.duration:8.1f}  {report.outcome}")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random moments, the same in every run of the same test."""
    return random.Random(request.node.name)


def a_stack(home: Path, workers: int = 1, **settings: str) -> AbstractContextManager[Running]:
    """Run a stack that finds and heals faults within seconds; `settings` are set in its environment."""
    return e2e.a_stack(home, workers, **{**SHORT, **settings})


@contextmanager
def a_server(**settings: str) -> Iterator[Server]:
    """Run a PostgreSQL server of one's own."""
    programs = binaries()
    if programs is None:
        pytest.skip("needs PostgreSQL: no `postgres` on PATH nor under /usr/lib/postgresql")
    with postgresql(programs, settings) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with a_stack(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(running: Running) -> str:
    """The digest that the job has in the end when nobody disturbs it."""
    job = running.submit()
    assert running.await_state(job, *FINISHED)["state"] == "succeeded"
    return final_digest(running, job)


def assert_whole(running: Running, job: str, digest: str) -> None:
    """Succeeded, once; the same to the bit; no step of a metric missing or doubled; no checkpoint without its files."""
    done = running.await_state(job, *FINISHED)
    assert (done["state"], done["error"]) == ("succeeded", None)
    told = [event["type"] for event in running.items(f"/jobs/{job}/events")]
    assert (told.count("succeeded"), told.count("done"), told[-1]) == (1, 1, "done")
    assert final_digest(running, job) == digest
    (curve,) = running.http.get(f"/jobs/{job}/metrics", params={"name": "d_loss"}).json()["data"]
    assert [point["step"] for point in curve["points"]] == LOGGED
    for checkpoint in running.items(f"/jobs/{job}/checkpoints"):
        for name, file in checkpoint["files"].items():
            answer = running.http.get(f"{checkpoint['url']}/files/{name}")
            assert (answer.status_code, len(answer.content)) == (200, file["size"]), (checkpoint["step"], name)
