"""Jobs that begin where others ended: retried, extended, begun with another's weights; and jobs that are deleted."""

from typing import Any

import pytest

from store import checkpoints, claims, jobs
from store.claims import Claim, Failure
from store.database import Database
from store.errors import JobNotFound, NoFurther, NotInState, OriginNotFound, StillNeeded
from store.jobs import Job
from store.lifecycle import TERMINAL, JobState
from tests.store import scenes


def checkpoint(database: Database, held: Claim, *steps: int, **metrics: float) -> None:
    with database.write() as connection:
        for step in steps:
            card = {**scenes.CARD, "metrics": metrics}
            claims.checkpoint(connection, held, step, f"jobs/{held.job.id}/{step}", scenes.FILES, card)
            claims.report(connection, held, step, [])


def ended(database: Database, state: JobState, *steps: int, **knobs: Any) -> Job:
    """Run a job to one of its ends, with checkpoints at these steps."""
    held = scenes.run(database, **knobs)
    checkpoint(database, held, *steps)
    with database.write() as connection:
        if state is JobState.SUCCEEDED:
            claims.succeed(connection, held)
        elif state is JobState.FAILED:
            claims.fail(connection, held, Failure("diverged", "nan", 7, retryable=False), scenes.LEASE)
        else:
            jobs.cancel(connection, held.job.id)
            claims.release(connection, held, "cancelled")
    return scenes.read(database, held.job)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
@pytest.mark.parametrize(("steps", "begins"), [((), None), ((20, 40), 40)])
def test_a_retried_job_is_a_new_one_from_the_newest_checkpoint(
    database: Database, state: JobState, steps: tuple[int, ...], begins: int | None
) -> None:
    old = ended(database, state, *steps, name="digits", tags={"course": "week 3"}, priority=3)
    with database.write() as connection:
        new = jobs.retry(connection, old.id)
    assert new.id != old.id
    assert (new.state, new.step, new.spec, new.name, new.tags, new.priority) == (
        *(JobState.QUEUED, 0, old.spec, old.name, old.tags, old.priority),
    )
    assert new.origin == (None if begins is None else {"job": old.id, "step": begins, "how": "retry"})
    assert scenes.read(database, old) == old


def test_a_damaged_checkpoint_is_not_gone_on_from(database: Database) -> None:
    old = ended(database, JobState.FAILED, 20, 40)
    with database.write() as connection:
        checkpoints.mark_damaged(connection, old.number, 40)
        assert (jobs.retry(connection, old.id).origin or {})["step"] == 20


def test_an_extended_job_is_a_new_one_with_more_steps(database: Database) -> None:
    old = ended(database, JobState.SUCCEEDED, 50, 100)
    with database.write() as connection:
        new = jobs.extend(connection, old.id, 250)
    assert (new.total_steps, new.spec) == (250, {**old.spec, "total_steps": 250})
    assert new.origin == {"job": old.id, "step": 100, "how": "extend"}
    for too_few in (1, 100):
        with database.write() as connection, pytest.raises(NoFurther, match="at step 100"):
            jobs.extend(connection, old.id, too_few)


@pytest.mark.parametrize("state", list(JobState))
def test_only_what_has_ended_that_way_is_retried_extended_or_deleted(database: Database, state: JobState) -> None:
    job = scenes.submit(database)
    scenes.put(database, job, state=state)
    can = {
        "retried": (lambda connection: jobs.retry(connection, job.id), {JobState.FAILED, JobState.CANCELLED}),
        "extended": (lambda connection: jobs.extend(connection, job.id, 200), {JobState.SUCCEEDED}),
        "deleted": (lambda connection: jobs.delete(connection, job.id), TERMINAL),
    }
    for what, (ask, allowed) in can.items():
        if state in allowed:
            continue
        before = scenes.dump(database)
        with pytest.raises(NotInState, match=f"the job is {state}; .* can be {what}") as refusal:
            with database.write() as connection:
                ask(connection)
        assert (refusal.value.state, refusal.value.allowed) == (state, sorted(allowed))
        assert scenes.dump(database) == before


def test_a_deleted_job_leaves_no_row(database: Database) -> None:
    kept = scenes.submit(database)
    scenes.put(database, kept, state=JobState.PAUSED)
    before = scenes.dump(database)
    for state in TERMINAL:
        gone = ended(database, state, 20)
        with database.write() as connection:
            jobs.delete(connection, gone.id)
            with pytest.raises(JobNotFound):
                jobs.get(connection, gone.id)
    after = scenes.dump(database)
    counted = after.pop("failed_attempts")  # a figure that never falls
    assert before.pop("failed_attempts") != counted
    assert after == before


def test_a_job_is_not_deleted_while_another_has_yet_to_begin_with_it(database: Database) -> None:
    old = ended(database, JobState.SUCCEEDED, 100)
    with database.write() as connection:
        jobs.extend(connection, old.id, 200)
    with pytest.raises(StillNeeded), database.write() as connection:
        jobs.delete(connection, old.id)
    heir = scenes.claim(database)
    assert heir is not None
    with database.write() as connection:
        claims.begin(connection, heir, 100)
    with pytest.raises(StillNeeded), database.write() as connection:
        jobs.delete(connection, old.id)
    checkpoint(database, heir, 100)
    with database.write() as connection:
        jobs.delete(connection, old.id)
    assert scenes.read(database, heir.job).origin == {"job": old.id, "step": 100, "how": "extend"}
    with database.read() as connection:
        assert checkpoints.up_to(connection, old.id, 100) == []


@pytest.mark.parametrize(("step", "found"), [("latest", 40), ("best", 20), (20, 20)])
def test_a_job_may_begin_with_the_weights_of_another(database: Database, step: str | int, found: int) -> None:
    held = scenes.run(database)
    checkpoint(database, held, 20, fd_classifier=1.0)
    checkpoint(database, held, 40, fd_classifier=2.0)
    new = scenes.submit(database, init_from={"job": held.job.id, "step": step})
    assert new.origin == {"job": held.job.id, "step": found, "how": "init_from"}


def test_a_job_that_begins_with_what_is_not_there_is_refused(database: Database) -> None:
    other, bare = ended(database, JobState.SUCCEEDED, 100, family="gan"), scenes.submit(database)
    no_one = "00000000-0000-4000-8000-000000000000"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"job": no_one}, f"no job {no_one}"),
        ({"job": bare.id}, "no checkpoint yet"),
        ({"job": bare.id, "step": "best"}, "none is known to be the best"),
        ({"job": bare.id, "step": 7}, "no whole checkpoint at step 7"),
        ({"job": other.id}, "trained gan"),
    ]
    before = scenes.dump(database)
    for start, said in wrong:
        with pytest.raises(OriginNotFound, match=said):
            scenes.submit(database, init_from=start)
    assert scenes.dump(database) == before


def test_a_retried_job_that_never_began_begins_as_it_was_to(database: Database) -> None:
    held = scenes.run(database)
    checkpoint(database, held, 20)
    start = {"job": held.job.id, "step": 20}
    old = ended(database, JobState.FAILED, init_from=start)
    with database.write() as connection:
        assert jobs.retry(connection, old.id).origin == old.origin == {**start, "how": "init_from"}
