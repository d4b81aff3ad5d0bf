import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Barrier

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from store import aliases, audit, checkpoints, claims, jobs, keys, tables, workers
from store.clock import later, now
from store.database import MIGRATIONS, Database
from store.previews import Picture
from tests.store import scenes


def test_a_transaction_that_raises_leaves_no_trace(database: Database) -> None:
    held = scenes.run(database)
    before = scenes.dump(database)
    with suppress(KeyboardInterrupt), database.write() as connection:
        jobs.submit(connection, scenes.spec(), "key")
        claims.checkpoint(connection, held, 5, "folder", scenes.FILES, scenes.CARD)
        claims.report(connection, held, 5, [(5, {"d_loss": 0.5})])
        aliases.put(connection, "default", held.job.id, 5)
        workers.announce(connection, "worker-1", "host", 7, "cpu")
        key = keys.add(connection, keys.draw(), "mine", [keys.Scope.ADMIN])
        audit.append(connection, audit.OPERATOR, "create key", key.id)
        claims.succeed(connection, held)
        raise KeyboardInterrupt
    assert scenes.dump(database) == before


def test_a_transaction_that_ends_is_seen_by_all(database: Database, database_url: str) -> None:
    job = scenes.submit(database)
    other = Database(database_url)
    assert scenes.read(other, job) == job
    other.close()


def test_what_a_reader_sees_does_not_change_under_its_eyes(database: Database) -> None:
    job = scenes.submit(database)
    with database.read() as connection:
        before = jobs.get(connection, job.id)
        scenes.claim(database)
        assert jobs.get(connection, job.id) == before
    assert scenes.read(database, job) != before


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    job = scenes.submit(database)
    with database.write() as connection:
        claims.claim(connection, "worker-1", scenes.LEASE)
        assert scenes.read(database, job) == job


def test_a_second_writer_of_one_job_waits_for_the_first(database: Database) -> None:
    held = scenes.run(database)

    def count() -> None:
        for _ in range(20):
            with database.write() as connection:
                step = connection.scalar(select(tables.jobs.c.step).with_for_update())
                claims.report(connection, held, step + 1, [])

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(count) for _ in range(4)]:
            future.result()
    assert scenes.read(database, held.job).step == 80


def test_deleting_a_job_deletes_all_that_belongs_to_it(database: Database) -> None:
    held, kept = scenes.run(database, webhooks=scenes.HOOKED), scenes.submit(database)
    with database.write() as connection:
        jobs.submit(connection, scenes.spec(), "key")
        claims.report(connection, held, 5, [(5, {"d_loss": 0.5})])
        claims.checkpoint(connection, held, 5, "folder", scenes.FILES, scenes.CARD)
        claims.preview(connection, held, 5, Picture("path", "0" * 64, 80, 80, None))
        connection.execute(tables.jobs.delete().where(tables.jobs.c.number != kept.number))
    left = {name: len(rows) for name, rows in scenes.dump(database).items() if rows}
    assert left == {"jobs": 1, "events": 1}


def test_the_database_s_clock_is_the_world_s_and_adds(database: Database) -> None:
    with database.read() as connection:
        here, ahead = connection.execute(select(now(), later(scenes.LEASE))).one()
    assert abs((ahead - here - scenes.LEASE).total_seconds()) < 5
    assert abs((scenes.submit(database).created_at - here).total_seconds()) < 60
    assert here.tzinfo is not None


def test_a_database_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(Exception, match="unable to open"):
        database.ping()
    database.close()


def test_what_fails_does_not_tell_what_it_was_given(database: Database) -> None:
    with pytest.raises(DBAPIError) as failure, database.read() as connection:
        connection.execute(text("SELECT no_such_function(CAST(:given AS TEXT))"), {"given": "hush"})
    assert "no_such_function" in str(failure.value)
    assert "hush" not in str(failure.value)


def test_a_database_that_is_there_answers(database: Database) -> None:
    database.ping()


# --- migrations


@contextmanager
def alembic(database: Database) -> Iterator[Config]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.connect().execution_options(immediate=True) as connection:
        config.attributes["connection"] = connection
        yield config
        connection.commit()


def test_migrations_go_up_and_down_and_up_again_with_rows_in_the_tables(empty_database: Database) -> None:
    empty_database.migrate()
    scenes.fill(empty_database)
    with alembic(empty_database) as config:
        command.downgrade(config, "base")
    assert set(inspect(empty_database.engine).get_table_names()) == {"alembic_version"}
    assert empty_database.revisions()[0] is None
    empty_database.migrate()
    scenes.fill(empty_database)


def test_the_jobs_that_begin_with_another_s_checkpoint_are_found_after_a_migration(empty_database: Database) -> None:
    empty_database.migrate()
    held = scenes.run(empty_database)
    with empty_database.write() as connection:
        claims.checkpoint(connection, held, 5, "folder", scenes.FILES, scenes.CARD)
        init_from = {"job": held.job.id, "step": 5}
        heir = jobs.submit(connection, scenes.spec(init_from=init_from)).job
    with alembic(empty_database) as config:
        command.downgrade(config, "0004")
    empty_database.migrate()
    with empty_database.read() as connection:
        assert [found.id for found in connection.execute(checkpoints.heirs(held.job.id))] == [heir.id]


def test_migrating_what_is_migrated_changes_nothing(empty_database: Database) -> None:
    empty_database.migrate()
    scenes.fill(empty_database)
    before = scenes.dump(empty_database)
    empty_database.migrate()
    assert scenes.dump(empty_database) == before
    found, expected = empty_database.revisions()
    assert found == expected is not None


def migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.close()


@pytest.mark.integration
def test_processes_that_start_together_migrate_once(empty_url: str, empty_database: Database) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        processes.map(migrate, [empty_url] * 3, chunksize=1)
    found, expected = empty_database.revisions()
    assert found == expected
    scenes.fill(empty_database)


def test_threads_that_open_a_new_file_together_all_get_in(tmp_path: Path) -> None:
    together = Barrier(4)

    def open_new(number: int) -> None:
        database = Database(f"sqlite:///{tmp_path / str(number)}.db")
        together.wait()
        database.ping()
        database.close()

    with ThreadPoolExecutor(4) as threads:
        for number in range(40):
            list(threads.map(open_new, [number] * 4))


def test_the_migrations_make_the_tables_that_the_code_declares(empty_database: Database) -> None:
    empty_database.migrate()
    with empty_database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_a_row_s_number_is_given_by_the_database(database: Database) -> None:
    first, second = scenes.submit(database), scenes.submit(database)
    assert second.number == first.number + 1
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.jobs)) == 2
