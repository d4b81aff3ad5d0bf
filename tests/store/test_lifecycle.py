from itertools import product

import pytest

from store import jobs
from store.database import Database
from store.errors import TransitionRefused
from store.lifecycle import HELD, TERMINAL, TRANSITIONS, JobState, sources
from tests.store import scenes

PAIRS = list(product(JobState, JobState))
ALLOWED = [(here, there) for here, there in PAIRS if there in TRANSITIONS[here]]
REFUSED = [(here, there) for here, there in PAIRS if there not in TRANSITIONS[here]]
# The contract, written out once more: a changed table is a changed contract.
CONTRACT = {
    "queued": "starting paused cancelled",
    "starting": "running queued pausing cancelling failed",
    "running": "succeeded failed queued pausing cancelling",
    "pausing": "paused succeeded failed cancelling",
    "paused": "queued cancelled",
    "cancelling": "cancelled",
    "succeeded": "",
    "failed": "",
    "cancelled": "",
}


def test_the_table_is_the_contract() -> None:
    assert {str(here): set(map(str, there)) for here, there in TRANSITIONS.items()} == {
        here: set(there.split()) for here, there in CONTRACT.items()
    }


def test_a_state_is_terminal_exactly_when_nothing_follows() -> None:
    assert {state for state in JobState if not TRANSITIONS[state]} == TERMINAL


def test_a_held_job_can_always_come_to_an_end_and_a_waiting_one_is_never_held() -> None:
    for state in HELD:
        assert TERMINAL & TRANSITIONS[state] or JobState.CANCELLING in TRANSITIONS[state]
    assert not HELD & {JobState.QUEUED, JobState.PAUSED, *TERMINAL}


def test_sources_read_the_table_backwards() -> None:
    assert {(here, there) for there in JobState for here in sources(there)} == set(ALLOWED)


@pytest.mark.parametrize(("here", "there"), ALLOWED)
def test_an_allowed_move_is_made_and_told(database: Database, here: JobState, there: JobState) -> None:
    job = scenes.submit(database)
    scenes.put(database, job, state=here)
    with database.write() as connection:
        jobs.move(connection, job.number, there, state_reason="because")
    moved = scenes.read(database, job)
    assert (moved.state, moved.state_reason) == (there, "because")
    assert (moved.finished_at is not None) == (there in TERMINAL)
    done = [("done", {"state": there})] if there in TERMINAL else []
    assert scenes.told(database, job)[1:] == [(there, {"reason": "because"}), *done]


@pytest.mark.parametrize(("here", "there"), REFUSED)
def test_a_refused_move_changes_nothing(database: Database, here: JobState, there: JobState) -> None:
    job = scenes.submit(database)
    scenes.put(database, job, state=here)
    before = scenes.dump(database)
    with database.write() as connection:
        with pytest.raises(TransitionRefused) as refusal:
            jobs.move(connection, job.number, there, state_reason="because")
    assert scenes.dump(database) == before
    assert refusal.value.state == here
    assert refusal.value.allowed == sorted(TRANSITIONS[here])
    assert str(refusal.value).startswith(f"the job is {here} and cannot become {there}")


def test_a_move_whose_guard_does_not_hold_changes_nothing(database: Database) -> None:
    job = scenes.submit(database)
    before = scenes.dump(database)
    with database.write() as connection:
        with pytest.raises(TransitionRefused):
            jobs.move(connection, job.number, JobState.STARTING, jobs.jobs.c.token == 1)
    assert scenes.dump(database) == before
