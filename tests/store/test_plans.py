"""How the databases find what they are asked for: by an index, however many rows there are."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, event, text

from benchmarks import filling
from store import census, checkpoints, claims, deliveries, events, jobs, metrics, tables, workers
from store.database import Database
from store.jobs import Filters
from store.lifecycle import JobState
from tests.store.conftest import ON_POSTGRESQL, ON_SQLITE, created

JOBS, POINTS = 3_000, 100_000
LEASE = timedelta(minutes=1)
SCAN = re.compile(r"(SCAN|Seq Scan on) (jobs|metrics|events|deliveries)\b(?! USING)|AUTOMATIC")
ROUTE = "ix_jobs_(state|family|dataset|name)"


@pytest.fixture(scope="module", params=[ON_SQLITE, ON_POSTGRESQL])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a database with some thousands of jobs and many points, whose statistics are fresh."""
    with _place(request, tmp_path_factory.mktemp("filled")) as url:
        database = Database(url)
        database.migrate()
        filling.fill(database, JOBS, POINTS)
        yield database
        database.close()


@contextmanager
def _place(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'filled.db'}"
        return
    with created(request.getfixturevalue("server"), "filled") as url:
        yield url


def plans(database: Database, ask: Callable[[Connection], object]) -> list[list[str]]:
    """Return the plan of each statement that a question makes, line by line."""
    asked = []

    def note(_: Connection, cursor: object, statement: str, parameters: object, *others: object) -> None:
        asked.append((statement, parameters))

    explain = "EXPLAIN" if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with database.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", note)
        ask(connection)
        event.remove(connection, "before_cursor_execute", note)
        found = [
            [row[-1] for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)]
            for statement, parameters in asked
            if not statement.startswith("INSERT")
        ]
        connection.rollback()
    return found


def sorts_before_it_cuts(plan: list[str]) -> bool:
    """Tell whether rows are sorted of which only some are wanted: a page's own rows may be."""
    if any("TEMP B-TREE" in line for line in plan):
        return True
    depth = [len(line) - len(line.lstrip(" ->")) for line in plan]
    cuts = [i for i, line in enumerate(plan) if line.strip(" ->").startswith("Limit")]
    return any("Sort " in line and depth[i] > depth[cut] for cut in cuts for i, line in enumerate(plan) if i > cut)


def page(after: int | None = None, **filters: str) -> Callable[[Connection], object]:
    def ask(connection: Connection) -> object:
        newest_first, _ = jobs.page(connection, Filters(), None, 100)
        return jobs.page(connection, Filters(**filters), newest_first[after].id if after else None, 20)  # type: ignore[arg-type]

    return ask


PAGES = {
    "state": (page(state="queued"), "ix_jobs_state"),
    "family": (page(family="dcgan"), "ix_jobs_family"),
    "dataset": (page(dataset="digits"), "ix_jobs_dataset"),
    "name": (page(name="sweep"), "ix_jobs_name"),
    "a cursor": (page(after=50, state="succeeded"), "ix_jobs_state"),
    "two filters": (page(state="failed", family="gan"), ROUTE),
    "all filters": (page(after=90, state="running", family="gan", dataset="digits", name="sweep"), ROUTE),
    "the next claim": (lambda c: c.execute(claims.next_waiting()), "ix_jobs_queue"),
    "a job's events": (lambda c: events.page(c, 7, 0, 2), "ix_events_job_number_seq"),
    "a series": (lambda c: metrics.series(c, 1, "metric_0001"), "PRIMARY KEY|pk_metrics"),
}


@pytest.mark.parametrize(("ask", "index"), PAGES.values(), ids=PAGES)
def test_a_page_is_cut_from_an_index_that_has_its_order(
    filled: Database, ask: Callable[[Connection], object], index: str
) -> None:
    *_, plan = plans(filled, ask)
    assert re.search(index, "\n".join(plan)), plan
    assert not sorts_before_it_cuts(plan), plan
    assert not any(SCAN.search(line) for line in plan), plan


def positions(connection: Connection) -> object:
    return jobs.queue_positions(connection, jobs.page(connection, Filters(state=JobState.QUEUED), None, 100)[0])


def heartbeat(connection: Connection) -> object:
    held = claims.claim(connection, "worker-1", LEASE)
    assert held is not None
    return claims.heartbeat(connection, held), claims.report(connection, held, 1, [(1, {"d_loss": 0.5})])


OFTEN = {
    "a claim": (lambda c: claims.claim(c, "worker-1", LEASE), "ix_jobs_queue"),
    "a heartbeat": (heartbeat, "ix_jobs_queue"),
    "the reaper": (claims.reap, "ix_jobs_(queue|state)"),
    "whether others wait": (claims.others_wait, "ix_jobs_(queue|state)"),
    "how long to wait": (claims.due_in, "ix_jobs_queue"),
    "queue positions": (positions, "ix_jobs_queue"),
    "the census": (census.take, "ix_jobs_queue"),
    "the workers": (lambda c: workers.alive(c, LEASE), "ix_jobs_(queue|state)"),
    "a job's heirs": (lambda c: c.execute(checkpoints.heirs("of nobody")), "ix_jobs_origin_job_id"),
    "a job's best checkpoint": (lambda c: checkpoints.milestones(c, [1, 2, 3]), "checkpoints"),
    "who can answer": (lambda c: jobs.newest_able(c, "images"), "checkpoints"),
    "a job's metrics": (lambda c: metrics.names(c, 1, "", 50), "PRIMARY KEY|pk_metrics"),
    "new events": (lambda c: events.since(c, {1: 1, 2: 2, 3: 3}, 500), "ix_events_job_number_seq"),
    "a job's newest event": (lambda c: events.newest(c, 7), "ix_events_job_number_seq"),
    "webhooks to be told": (lambda c: deliveries.take(c, 20, LEASE), "ix_deliveries_next_at"),
    "a deletion": (lambda c: jobs.delete(c, jobs.get(c, _old(c)).id), "ix_jobs_origin_job_id"),
}


def _old(connection: Connection) -> str:
    return str(connection.scalar(text("SELECT id FROM jobs WHERE number = 1")))


@pytest.mark.parametrize(("ask", "index"), OFTEN.values(), ids=OFTEN)
def test_what_is_asked_often_reads_no_whole_table(
    filled: Database, ask: Callable[[Connection], object], index: str
) -> None:
    found = [line for plan in plans(filled, ask) for line in plan]
    assert re.search(index, "\n".join(found)), found
    assert not any(SCAN.search(line) for line in found), found


@pytest.mark.parametrize("table", [table for table in tables.metadata.sorted_tables if table.foreign_keys], ids=str)
def test_what_belongs_to_a_job_is_found_by_it(table: Table) -> None:
    """Deleting a job looks for it in each such table, and no plan says how."""
    led_by = {next(iter(index.columns)).name for index in (table.primary_key, *table.indexes)}
    assert {key.parent.name for key in table.foreign_keys} <= led_by
