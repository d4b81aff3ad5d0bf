"""The walk with files in a bucket: trained, sampled, killed, paused, deleted; and the bucket away for a while."""

import uuid
from collections.abc import Iterator

import pytest

from store.artifacts import Artifacts
from tests.e2e.conftest import ENDLESS, Running, a_stack, eventually, final_digest, kill_all
from tests.store import s3

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FINISHED = ("succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def bucket() -> Iterator[s3.Server]:
    """A server of its own, which this process is told of too."""
    with s3.running() as server, pytest.MonkeyPatch.context() as environment:
        server.told_to(environment)
        yield server


@pytest.fixture(scope="module")
def place() -> str:
    return f"s3://{s3.BUCKET}/{uuid.uuid4()}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, bucket: s3.Server, place: str) -> Iterator[Running]:
    with a_stack(tmp_path_factory.mktemp("home"), GANYMEDE_ARTIFACTS=place) as made:
        yield made


def test_a_job_is_killed_paused_and_deleted_and_ends_the_same(running: Running, place: str) -> None:
    artifacts = Artifacts(place)
    disturbed = running.submit()
    running.await_checkpoint(disturbed)
    drawn = running.http.get("/sample", params={"label": 7, "job": disturbed})
    assert (drawn.status_code, drawn.headers["Content-Type"]) == (200, "image/png")
    kill_all(running.processes("worker.child"))
    eventually(lambda: len(running.items(f"/jobs/{disturbed}/logs")) == 2 or None, "a second attempt")
    assert running.http.post(f"/jobs/{disturbed}/pause").is_success
    assert running.await_state(disturbed, "paused", *FINISHED)["state"] == "paused"
    running.http.post(f"/jobs/{disturbed}/resume")
    whole = running.submit()
    for job in (disturbed, whole):
        assert running.await_state(job, *FINISHED)["state"] == "succeeded"
    assert final_digest(running, disturbed) == final_digest(running, whole)

    kept = artifacts.files(f"jobs/{whole}")
    assert artifacts.files(f"jobs/{disturbed}")
    assert running.http.delete(f"/jobs/{disturbed}").status_code == 204
    eventually(lambda: artifacts.files(f"jobs/{disturbed}") == [] or None, "the files to be gone")
    assert artifacts.files(f"jobs/{whole}") == kept
    assert not (running.stack.home / "artifacts").exists()


def test_a_bucket_that_goes_away_fails_the_attempt_and_not_the_worker(running: Running, bucket: s3.Server) -> None:
    job = running.submit(**ENDLESS, max_attempts=1)
    running.await_checkpoint(job)
    workers = {process.pid for process in running.processes("celery")}
    bucket.stop()
    failed = running.await_state(job, *FINISHED)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "io")
    assert f"in s3://{s3.BUCKET}" in failed["error"]["message"]
    ready = running.http.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["artifacts"]["ok"]) == (503, False)
    assert running.http.get("/jobs").status_code == 200
    bucket.start()
    assert running.http.get("/readyz").status_code == 200
    again = running.http.post(f"/jobs/{job}/retry").json()["id"]
    assert running.await_state(again, "running")["origin"]["step"] == failed["latest_checkpoint"]["step"]
    running.http.post(f"/jobs/{again}/cancel")
    assert {process.pid for process in running.processes("celery")} == workers
