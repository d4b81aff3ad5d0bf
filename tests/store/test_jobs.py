import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from store import checkpoints, claims, jobs
from store.database import Database
from store.errors import CursorNotFound, IdempotencyConflict, JobNotFound, TransitionRefused
from store.jobs import Filters, Job, Submission
from store.lifecycle import JobState
from tests.store import scenes
from tests.store.scenes import CARD, FILES

ANY = Filters()


def submit(database: Database, key: str | None, **knobs: Any) -> Submission:
    with database.write() as connection:
        return jobs.submit(connection, scenes.spec(**knobs), key)


def test_a_submitted_job_waits_with_everything_that_was_asked(database: Database) -> None:
    asked = scenes.spec(name="seven", tags={"for": "Ada"}, priority=3, seed=7, max_attempts=5)
    with database.write() as connection:
        job = jobs.submit(connection, asked).job
    assert job == scenes.read(database, job)
    assert str(uuid.UUID(job.id)) == job.id
    assert (job.state, job.name, job.tags, job.priority) == (JobState.QUEUED, "seven", {"for": "Ada"}, 3)
    assert (job.family, job.dataset, job.total_steps, job.max_attempts) == ("cgan", "digits", 100, 5)
    assert (job.step, job.attempt, job.failures, job.metrics, job.error) == (0, 0, 0, {}, None)
    assert job.spec == asked.model_dump(mode="json")
    assert job.created_at.tzinfo is not None
    assert (job.started_at, job.finished_at) == (None, None)
    assert abs(job.queued_at - job.created_at) < timedelta(seconds=1)
    assert scenes.told(database, job) == [("queued", {})]


def test_the_same_key_and_body_give_the_same_job(database: Database) -> None:
    first, again = submit(database, "key", seed=1), submit(database, "key", seed=1)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.job == first.job
    assert len(scenes.dump(database)["jobs"]) == 1


def test_a_replay_shows_the_job_as_it_is_now(database: Database) -> None:
    first = submit(database, "key")
    scenes.claim(database)
    assert submit(database, "key").job == scenes.read(database, first.job)


def test_the_same_key_and_another_body_conflict(database: Database) -> None:
    submit(database, "key", seed=1)
    before = scenes.dump(database)
    with pytest.raises(IdempotencyConflict, match="'key'"):
        submit(database, "key", seed=2)
    assert scenes.dump(database) == before


def test_without_a_key_every_submission_is_a_job(database: Database) -> None:
    assert submit(database, None).job.id != submit(database, None).job.id
    assert scenes.dump(database)["idempotency_keys"] == []


def test_a_submission_that_is_not_committed_leaves_neither_job_nor_key_nor_event(database: Database) -> None:
    with suppress(KeyboardInterrupt), database.write() as connection:
        jobs.submit(connection, scenes.spec(), "key")
        raise KeyboardInterrupt
    assert not any(scenes.dump(database).values())
    assert not submit(database, "key").replayed


def meet(database: Database, commits: bool, **second: Any) -> tuple[Submission, "Future[Submission]"]:
    """Submit under a key that another, unfinished transaction is about to commit, or to roll back."""
    with ThreadPoolExecutor(1) as thread:
        with database.engine.connect().execution_options(immediate=True) as connection:
            first = jobs.submit(connection, scenes.spec(seed=1), "key")
            later = thread.submit(submit, database, "key", **second)
            with pytest.raises(TimeoutError):
                later.result(timeout=0.2)
            if commits:
                connection.commit()
            else:
                connection.rollback()
    return first, later


def test_a_submission_that_meets_its_twin_is_a_replay(database: Database) -> None:
    first, later = meet(database, commits=True, seed=1)
    assert later.result() == Submission(first.job, replayed=True)
    assert len(scenes.dump(database)["jobs"]) == len(scenes.dump(database)["events"]) == 1


def test_a_submission_that_meets_its_key_with_another_body_conflicts(database: Database) -> None:
    _, later = meet(database, commits=True, seed=2)
    assert isinstance(later.exception(), IdempotencyConflict)
    assert len(scenes.dump(database)["jobs"]) == len(scenes.dump(database)["events"]) == 1


def test_a_submission_whose_twin_comes_to_nothing_goes_through(database: Database) -> None:
    first, later = meet(database, commits=False, seed=1)
    assert not later.result().replayed
    assert later.result().job.id != first.job.id
    assert len(scenes.dump(database)["jobs"]) == len(scenes.dump(database)["events"]) == 1


def test_a_crowd_with_one_key_makes_one_job(database: Database) -> None:
    barrier = Barrier(8)

    def rush(_: int) -> Submission:
        barrier.wait()
        return submit(database, "key", seed=1)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(rush, range(8)))
    assert sum(not submission.replayed for submission in found) == 1
    assert len({submission.job.id for submission in found}) == 1
    assert len(scenes.dump(database)["jobs"]) == 1


def test_a_job_nobody_submitted_is_not_found(database: Database) -> None:
    with database.read() as connection, pytest.raises(JobNotFound):
        jobs.get(connection, str(uuid.uuid4()))


CANCELLED_BY = {
    JobState.QUEUED: JobState.CANCELLED,
    JobState.PAUSED: JobState.CANCELLED,
    JobState.STARTING: JobState.CANCELLING,
    JobState.RUNNING: JobState.CANCELLING,
    JobState.PAUSING: JobState.CANCELLING,
}


@pytest.mark.parametrize(("state", "becomes"), CANCELLED_BY.items())
def test_cancelling_ends_a_waiting_job_and_asks_the_worker_of_a_held_one(
    database: Database, state: JobState, becomes: JobState
) -> None:
    job = scenes.submit(database)
    scenes.put(database, job, state=state)
    with database.write() as connection:
        cancelled = jobs.cancel(connection, job.id)
    assert cancelled == scenes.read(database, job)
    assert (cancelled.state, cancelled.terminal) == (becomes, becomes is JobState.CANCELLED)
    assert becomes in scenes.happened(database, job)


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.CANCELLING])
def test_cancelling_twice_is_cancelling_once(database: Database, state: JobState) -> None:
    job = scenes.submit(database)
    scenes.put(database, job, state=state)
    before = scenes.dump(database)
    with database.write() as connection:
        assert jobs.cancel(connection, job.id).state is state
    assert scenes.dump(database) == before


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
def test_a_job_that_has_ended_cannot_be_cancelled(database: Database, state: JobState) -> None:
    job = scenes.submit(database)
    scenes.put(database, job, state=state)
    before = scenes.dump(database)
    with database.write() as connection, pytest.raises(TransitionRefused) as refusal:
        jobs.cancel(connection, job.id)
    assert refusal.value.allowed == []
    assert scenes.dump(database) == before


def test_cancelling_a_job_that_is_just_being_claimed_asks_its_worker(database: Database) -> None:
    job = scenes.submit(database)

    def cancel() -> Job:
        with database.write() as connection:
            return jobs.cancel(connection, job.id)

    with ThreadPoolExecutor(1) as thread:
        with database.write() as connection:
            claims.claim(connection, "worker-1", scenes.LEASE)
            cancelled = thread.submit(cancel)
            with pytest.raises(TimeoutError):
                cancelled.result(timeout=0.2)
        assert cancelled.result().state is JobState.CANCELLING


def page(
    database: Database, after: str | None = None, limit: int = 3, filters: Filters = ANY
) -> tuple[list[Job], bool]:
    with database.read() as connection:
        return jobs.page(connection, filters, after, limit)


def test_pages_show_every_job_once_newest_first_though_new_ones_arrive(database: Database) -> None:
    old = [scenes.submit(database).id for _ in range(8)]
    seen: list[str] = []
    more = True
    while more:
        found, more = page(database, after=seen[-1] if seen else None)
        seen += [job.id for job in found]
        scenes.submit(database)
    assert seen == old[::-1]


def test_a_page_says_whether_more_follow(database: Database) -> None:
    for _ in range(3):
        scenes.submit(database)
    assert [(len(found), more) for found, more in (page(database, limit=n) for n in (2, 3, 4))] == [
        (2, True),
        (3, False),
        (3, False),
    ]


def test_a_list_cannot_go_on_after_a_job_that_is_not_there(database: Database) -> None:
    with pytest.raises(CursorNotFound):
        page(database, after=str(uuid.uuid4()))


@pytest.mark.parametrize(
    "filters",
    [
        Filters(state=JobState.STARTING),
        Filters(family="dcgan"),
        Filters(dataset="mnist"),
        Filters(name="seven"),
        Filters(family="dcgan", dataset="mnist", name="seven", state=JobState.STARTING),
    ],
)
def test_a_filter_leaves_what_it_names(database: Database, filters: Filters) -> None:
    for _ in range(2):
        scenes.submit(database)
    wanted = scenes.submit(database, family="dcgan", dataset="mnist", name="seven", priority=9)
    scenes.claim(database)
    scenes.submit(database)
    found, more = page(database, filters=filters)
    assert ([job.id for job in found], more) == ([wanted.id], False)


def test_the_queue_position_counts_whom_a_claim_takes_first(database: Database) -> None:
    waiting = [scenes.submit(database, priority=priority) for priority in (0, 5, 0, -5, 5)]
    with database.read() as connection:
        positions = jobs.queue_positions(connection, waiting)
    claimed = [scenes.claim(database) for _ in waiting]
    assert sorted(positions, key=positions.__getitem__) == [held.job.number for held in claimed if held]
    assert sorted(positions.values()) == [1, 2, 3, 4, 5]


def test_a_job_s_queue_position_does_not_depend_on_the_page_it_is_on(database: Database) -> None:
    waiting = [scenes.submit(database, priority=i % 3) for i in range(12)]
    scenes.start(database, priority=9)
    with database.read() as connection:
        together = jobs.queue_positions(connection, waiting)
        for page in (waiting[3:7], waiting[::-2], *([job] for job in waiting)):
            assert jobs.queue_positions(connection, page) == {job.number: together[job.number] for job in page}


def test_a_job_that_does_not_wait_has_no_position(database: Database) -> None:
    held = scenes.start(database)
    scenes.submit(database)
    with database.read() as connection:
        assert jobs.queue_positions(connection, [held.job]) == {}


def serve(database: Database, *steps: int, serves: Sequence[str]) -> Job:
    held = scenes.run(database)
    with database.write() as connection:
        for step in steps:
            claims.checkpoint(connection, held, step, f"folder-{step}", FILES, {**CARD, "serves": serves})
    return held.job


def test_points_answer_only_for_what_is_drawn(database: Database) -> None:
    able = serve(database, 5, serves=["images", "labels", "scores", "classes"])
    for labels_from in ("classes", "generator"):
        held = scenes.run(database)
        card = {
            **CARD,
            "serves": ["images", "labels", "scores", "classes"],
            "kind": "points",
            "labels_from": labels_from,
        }
        with database.write() as connection:
            claims.checkpoint(connection, held, 5, "folder-5", FILES, card)
        assert newest(database, "images") == held.job.id
        assert newest(database, "scores") == newest(database, "classes") == able.id
        assert newest(database, "labels") == (held.job.id if labels_from == "generator" else able.id)


def newest(database: Database, what: str) -> str | None:
    with database.read() as connection:
        job = jobs.newest_able(connection, what)
    return job.id if job else None


def test_the_newest_job_that_can_answer_is_found(database: Database) -> None:
    assert newest(database, "images") is None
    labeled = serve(database, 5, serves=["images", "labels", "scores"])
    unlabeled = serve(database, 5, 10, serves=["images"])
    classifier = serve(database, 5, serves=["classes"])
    scenes.run(database)
    found = {what: newest(database, what) for what in ("images", "labels", "classes", "scores")}
    expected = {"images": unlabeled, "labels": labeled, "classes": classifier, "scores": labeled}
    assert found == {what: job.id for what, job in expected.items()}


def test_a_job_whose_checkpoints_are_all_damaged_cannot_answer(database: Database) -> None:
    old, new = (serve(database, 5, serves=["images", "labels"]) for _ in range(2))
    with database.write() as connection:
        checkpoints.mark_damaged(connection, new.number, 5)
    assert newest(database, "images") == newest(database, "labels") == old.id


def test_a_job_can_do_what_its_newest_whole_checkpoint_says(database: Database) -> None:
    job = serve(database, 5, serves=["images"])
    held = scenes.run(database)
    with database.write() as connection:
        for step, serves in ((5, ["images"]), (10, ["images", "classes"])):
            claims.checkpoint(connection, held, step, f"folder-{step}", FILES, {**CARD, "serves": serves})
    assert newest(database, "classes") == held.job.id != job.id
    with database.write() as connection:
        checkpoints.mark_damaged(connection, held.job.number, 10)
    assert newest(database, "classes") is None
