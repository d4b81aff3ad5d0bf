"""Jobs cancelled, paused, resumed, carried on from and deleted over HTTP."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from store import claims
from tests.app.test_jobs import SPEC, post
from tests.app.world import World


def test_a_waiting_job_is_cancelled_at_once(client: TestClient) -> None:
    job = post(client)
    for _ in range(2):
        answer = client.post(job["urls"]["cancel"])
        assert answer.status_code == 200
        assert answer.json()["state"] == "cancelled"


def test_a_running_job_is_cancelled_by_its_worker(client: TestClient, world: World) -> None:
    held = world.start()
    for _ in range(2):
        answer = client.post(f"/jobs/{held.job.id}/cancel")
        assert answer.status_code == 202
        assert answer.json()["state"] == "cancelling"
    with world.database.write() as connection:
        claims.release(connection, held, "cancelled")
    assert client.post(f"/jobs/{held.job.id}/cancel").status_code == 200


def test_a_finished_job_cannot_be_cancelled_and_says_what_it_is(client: TestClient, world: World) -> None:
    answer = client.post(f"/jobs/{world.trained(100).id}/cancel")
    assert answer.status_code == 409
    assert (answer.json()["state"], answer.json()["allowed"]) == ("succeeded", [])


def test_a_waiting_job_is_paused_and_resumed_at_once(client: TestClient) -> None:
    job = post(client)
    for name, state in (("pause", "paused"), ("pause", "paused"), ("resume", "queued"), ("resume", "queued")):
        answer = client.post(job["urls"][name])
        assert (answer.status_code, answer.json()["state"]) == (200, state)


def test_a_running_job_is_paused_by_its_worker(client: TestClient, world: World) -> None:
    held = world.start()
    for _ in range(2):
        answer = client.post(f"/jobs/{held.job.id}/pause")
        assert (answer.status_code, answer.json()["state"]) == (202, "pausing")
    refused = client.post(f"/jobs/{held.job.id}/resume")
    assert (refused.status_code, refused.json()["state"]) == (409, "pausing")
    with world.database.write() as connection:
        claims.release(connection, held, "paused")
    assert client.post(f"/jobs/{held.job.id}/pause").status_code == 200
    assert client.post(f"/jobs/{held.job.id}/resume").json()["state"] == "queued"


@pytest.mark.parametrize("name", ["pause", "resume"])
def test_a_finished_job_can_be_neither_paused_nor_resumed(client: TestClient, world: World, name: str) -> None:
    answer = client.post(f"/jobs/{world.trained(100).id}/{name}")
    assert answer.status_code == 409
    assert (answer.json()["state"], answer.json()["allowed"]) == ("succeeded", [])


def test_a_finished_job_is_extended_by_a_new_one(client: TestClient, world: World) -> None:
    old = client.get(f"/jobs/{world.trained(100).id}").json()
    total = old["progress"]["total_steps"] + 50
    answer = client.post(old["urls"]["extend"], json={"total_steps": total})
    assert answer.status_code == 202
    new = answer.json()
    assert answer.headers["Location"] == new["urls"]["self"] != old["urls"]["self"]
    assert (new["state"], new["progress"]["total_steps"]) == ("queued", total)
    assert new["origin"] == {"job": old["id"], "step": 100, "how": "extend"}
    for body, pointer in (
        ({"total_steps": 1}, "/total_steps"),
        ({}, "/total_steps"),
        ({"total_steps": total, "steps": 1}, "/steps"),
        ({"total_steps": 0}, "/total_steps"),
    ):
        refused = client.post(old["urls"]["extend"], json=body)
        assert (refused.status_code, [fault["pointer"] for fault in refused.json()["errors"]]) == (422, [pointer])
    refused = client.post(old["urls"]["retry"])
    assert (refused.status_code, refused.json()["state"], refused.json()["allowed"]) == (
        *(409, "succeeded", ["cancelled", "failed"]),
    )


def test_a_cancelled_job_is_retried_by_a_new_one(client: TestClient) -> None:
    old = client.post(post(client, name="again")["urls"]["cancel"]).json()
    answer = client.post(old["urls"]["retry"])
    assert answer.status_code == 202
    new = answer.json()
    assert (new["state"], new["name"], new["origin"]) == ("queued", "again", None)
    assert client.get(answer.headers["Location"]).json()["id"] == new["id"] != old["id"]


def test_a_job_that_begins_with_another_says_where_that_is_not(client: TestClient, world: World) -> None:
    old = world.trained(100, 200)
    started = post(client, conditional=True, init_from={"job": old.id, "step": 100})
    assert started["origin"] == {"job": old.id, "step": 100, "how": "init_from"}
    refused = client.post("/jobs", json={**SPEC, "init_from": {"job": old.id, "step": 7}})
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"pointer": "/init_from", "detail": "The job has no whole checkpoint at step 7."}
    ]


def test_a_deleted_job_is_gone_with_its_files(client: TestClient, world: World) -> None:
    job, kept = world.trained(100), world.trained(100)
    folder = Path(world.settings.artifacts) / "jobs"
    assert (folder / job.id).exists()
    answer = client.delete(f"/jobs/{job.id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not (folder / job.id).exists()
    assert (folder / kept.id).exists()
    for path in ("", "/events", "/checkpoints", "/logs"):
        assert client.get(f"/jobs/{job.id}{path}").status_code == 404
    assert client.delete(f"/jobs/{job.id}").status_code == 404
    assert client.get("/sample", params={"job": job.id}).status_code == 404


def test_a_job_that_runs_or_is_needed_is_not_deleted(client: TestClient, world: World) -> None:
    old = world.trained(100)
    heir = client.post(f"/jobs/{old.id}/extend", json={"total_steps": 100_000}).json()
    refused = client.delete(f"/jobs/{old.id}")
    assert refused.status_code == 409
    assert heir["id"] in refused.json()["detail"]
    refused = client.delete(heir["urls"]["self"])
    assert (refused.status_code, refused.json()["state"]) == (409, "queued")
