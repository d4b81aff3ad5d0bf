from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import OperationalError

from store import claims, jobs, tables
from store.claims import Claim, Failure
from store.database import Database
from store.errors import LeaseLost
from store.lifecycle import HELD, JobState
from store.previews import Picture
from tests.store import scenes
from tests.store.conftest import ON_POSTGRESQL
from tests.store.scenes import CARD, FILES

Write = Callable[[Connection, Claim], object]
FAILURE = Failure("device", "the device fell off", 3, retryable=True)


def damage(connection: Connection, held: Claim) -> None:
    claims.damaged(connection, held, held.job.id, 5, "a digest differs")


WRITES: dict[str, Write] = {
    "heartbeat": claims.heartbeat,
    "state": claims.state,
    "resolve": lambda connection, held: claims.resolve(connection, held, {"seed": 9}, {"numerics_version": 1}),
    "begin": lambda connection, held: claims.begin(connection, held, 0),
    "report": lambda connection, held: claims.report(connection, held, 7, [(7, {"d_loss": 0.5, "g_loss": 0.9})], 10.0),
    "report without points": lambda connection, held: claims.report(connection, held, 7, []),
    "checkpoint": lambda connection, held: claims.checkpoint(connection, held, 7, "folder", FILES, CARD),
    "damaged": damage,
    "preview": lambda connection, held: claims.preview(connection, held, 7, Picture("path", "0" * 64, 80, 80, None)),
    "say": lambda connection, held: claims.say(connection, held, "last words"),
    "note": lambda connection, held: claims.note(connection, held, "health", {"verdict": "healthy"}),
    "health": lambda connection, held: claims.health(connection, held, {"verdict": "healthy", "reasons": []}),
    "roll back": lambda connection, held: claims.roll_back(connection, held, 5, {"from": 7, "to": 5}),
    "succeed": claims.succeed,
    "release": lambda connection, held: claims.release(connection, held, "drained"),
    "fail": lambda connection, held: claims.fail(connection, held, FAILURE, timedelta(0)),
}
LOCKING = {name: write for name, write in WRITES.items() if name != "state"}
every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


def test_every_function_that_takes_a_claim_is_listed_here() -> None:
    takes_claim = {
        name
        for name, function in vars(claims).items()
        if callable(function) and not name.startswith("_") and "held" in getattr(function, "__annotations__", {})
    }
    assert takes_claim == {name.replace(" back", "_back").split()[0] for name in WRITES}


def half_trained(database: Database) -> Claim:
    held = scenes.run(database)
    with database.write() as connection:
        claims.report(connection, held, 5, [(5, {"d_loss": 0.7})])
        claims.checkpoint(connection, held, 5, "folder-5", FILES, CARD)
    return held


def lose(database: Database, write: Write, held: Claim) -> None:
    before = scenes.dump(database)
    with database.write() as connection:  # which commits: the refusal itself must have written nothing
        with pytest.raises(LeaseLost):
            write(connection, held)
    assert scenes.dump(database) == before


@every_write
def test_who_holds_the_job_may_write(database: Database, write: Write) -> None:
    held = half_trained(database)
    before = scenes.dump(database)
    with database.write() as connection:
        write(connection, held)
    if write is not WRITES["state"]:
        assert scenes.dump(database) != before


@every_write
def test_a_stale_token_writes_nothing(database: Database, write: Write) -> None:
    stale = half_trained(database)
    scenes.expire(database, stale.job)
    with database.write() as connection:
        assert claims.reap(connection) == [stale.job.id]
    fresh = scenes.claim(database, "worker-2")
    assert fresh is not None
    with database.write() as connection:
        claims.begin(connection, fresh, 5)
    lose(database, write, stale)


@every_write
def test_a_lease_that_is_over_writes_nothing_though_nobody_has_reaped_it(database: Database, write: Write) -> None:
    late = half_trained(database)
    scenes.expire(database, late.job)
    lose(database, write, late)


@every_write
def test_a_job_given_back_is_no_longer_ours_to_write(database: Database, write: Write) -> None:
    held = half_trained(database)
    with database.write() as connection:
        claims.release(connection, held, "drained")
    lose(database, write, held)


@every_write
def test_a_job_that_has_ended_is_no_longer_ours_to_write(database: Database, write: Write) -> None:
    held = half_trained(database)
    with database.write() as connection:
        claims.succeed(connection, held)
    lose(database, write, held)


@pytest.mark.parametrize("write", LOCKING.values(), ids=LOCKING.keys())
@pytest.mark.parametrize("database_url", [ON_POSTGRESQL], indirect=True)
def test_who_stands_still_within_a_write_loses_it_and_what_it_has_locked(
    database: Database, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = half_trained(database)
    before = scenes.dump(database)
    monkeypatch.setattr("store.database.PROMPT", text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))

    def stand_still() -> None:
        with database.write() as connection:
            write(connection, held)
            with database.engine.connect() as waiting:
                waiting.execute(text("SET LOCAL lock_timeout = '20s'"))
                waiting.execute(select(tables.jobs.c.number).with_for_update())

    with pytest.raises(OperationalError, match=r"idle-in-transaction|closed the connection"):
        stand_still()
    assert scenes.dump(database) == before


@pytest.mark.parametrize("state", sorted(set(JobState) - HELD))
def test_a_job_that_nobody_holds_is_not_written_though_token_and_lease_still_stand(
    database: Database, state: JobState
) -> None:
    held = half_trained(database)
    scenes.put(database, held.job, state=state)
    for write in WRITES.values():
        lose(database, write, held)


@pytest.mark.parametrize("state", sorted(HELD))
def test_a_worker_is_told_the_state_its_job_is_in(database: Database, state: JobState) -> None:
    held = scenes.hold(database, state)
    with database.write() as connection:
        assert claims.state(connection, held) is state
        assert claims.heartbeat(connection, held) is state


def test_beginning_again_forgets_the_points_to_be_written_anew(database: Database) -> None:
    held = half_trained(database)
    with database.write() as connection:
        claims.report(connection, held, 9, [(6, {"d_loss": 0.6}), (9, {"d_loss": float("nan")})], 12.5)
    assert scenes.read(database, held.job).metrics == {"d_loss": None}
    started = scenes.read(database, held.job).started_at
    with database.write() as connection:
        claims.release(connection, held, "drained")
    again = scenes.claim(database)
    assert again is not None
    with database.write() as connection:
        claims.begin(connection, again, 5)
        claims.report(connection, again, 6, [(6, {"d_loss": 0.6})])
    job = scenes.read(database, held.job)
    assert (job.step, job.state, job.started_at) == (6, JobState.RUNNING, started)
    assert [row[1:] for row in scenes.dump(database)["metrics"]] == [("d_loss", 5, 0.7), ("d_loss", 6, 0.6)]


def test_a_job_cancelled_while_starting_begins_nothing(database: Database) -> None:
    held = scenes.start(database)
    with database.write() as connection:
        jobs.cancel(connection, held.job.id)
    with database.write() as connection:
        assert claims.begin(connection, held, 0) is JobState.CANCELLING
    assert scenes.read(database, held.job).state is JobState.CANCELLING
