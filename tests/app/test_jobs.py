"""Jobs over HTTP: posting, reading, paging."""

import json
import uuid
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from app.inputs import MOST_FINDINGS
from app.main import create_app
from ganmodels.specs import FAMILIES
from store import claims
from store.jobs import Filters, page
from tests.app.world import World

SPEC = {"family": "dcgan", "conditional": True, "dataset": "digits", "total_steps": 1500}


def post(client: TestClient, **knobs: Any) -> dict[str, Any]:
    answer = client.post("/jobs", json={**SPEC, **knobs})
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


def faults(client: TestClient, body: object) -> dict[str, str]:
    """Return what is wrong with a body, by pointer, after seeing that no job came of it."""
    answer = client.post("/jobs", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/jobs").json()["data"] == []
    return {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}


def test_a_job_is_accepted_with_every_knob_filled_in(client: TestClient) -> None:
    answer = client.post("/jobs", json={**SPEC, "name": "first", "tags": {"course": "week 3"}})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['id']}" == job["urls"]["self"]
    assert (job["state"], job["queue_position"], job["name"], job["tags"]) == (
        "queued",
        1,
        "first",
        {"course": "week 3"},
    )
    assert job["spec"]["batch_size"] == 64
    assert job["progress"] == {
        "step": 0,
        "total_steps": 1500,
        "fraction": 0.0,
        "images_per_second": None,
        "eta_seconds": None,
    }
    assert client.get(answer.headers["Location"]).json() == job


def test_a_job_tells_how_far_it_has_come(client: TestClient, world: World) -> None:
    held = world.start(total_steps=1000, batch_size=64)
    world.report(held, [(200, {"d_loss": 0.5}), (250, {"d_loss": 0.25})])
    world.checkpoint(held, 250)
    job = client.get(f"/jobs/{held.job.id}").json()
    assert (job["state"], job["attempt"], job["queue_position"]) == ("running", 1, None)
    assert job["metrics"] == {"d_loss": 0.25}
    assert (job["progress"]["fraction"], job["progress"]["eta_seconds"]) == (0.25, 750 * 64 / 640)
    assert job["latest_checkpoint"]["step"] == 250
    assert client.get(job["latest_checkpoint"]["url"]).status_code == 200
    world.succeed(held)
    assert client.get(f"/jobs/{held.job.id}").json()["progress"]["eta_seconds"] is None


def test_a_job_tells_how_its_training_goes(client: TestClient, world: World) -> None:
    held = world.start()
    url = f"/jobs/{held.job.id}"
    assert client.get(url).json()["health"] is None
    verdict = {"verdict": "collapsing", "step": 40, "reasons": ["The images differ by 0.01, real ones by 0.2."]}
    with world.database.write() as connection:
        claims.health(connection, held, verdict)
    assert client.get(url).json()["health"] == verdict


def test_every_url_of_a_job_leads_somewhere(client: TestClient, world: World) -> None:
    job = client.get(f"/jobs/{world.trained(100).id}").json()
    for name, url in job["urls"].items():
        if name not in ("pause", "resume", "cancel", "retry", "extend"):
            assert client.get(url).status_code == 200, name


def test_the_order_of_the_queue_is_told(client: TestClient) -> None:
    first, second, urgent = post(client), post(client), post(client, priority=5)
    positions = [client.get(f"/jobs/{job['id']}").json()["queue_position"] for job in (urgent, first, second)]
    assert positions == [1, 2, 3]


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({**SPEC, "family": "stylegan"}, "/family", f"Allowed: {', '.join(sorted(FAMILIES))}."),
        ({"dataset": "mnist"}, "/family", "required"),
        ({**SPEC, "batch_sise": 32}, "/batch_sise", "Did you mean 'batch_size'?"),
        ({**SPEC, "batch_size": 0}, "/batch_size", "greater than or equal to 1; found 0"),
        ({**SPEC, "total_steps": 10**12}, "/total_steps", "less than or equal to 10000000"),
        ({**SPEC, "total_steps": "1500"}, "/total_steps", "valid integer"),
        ({**SPEC, "total_steps": 1.5}, "/total_steps", "valid integer"),
        ({**SPEC, "total_steps": True}, "/total_steps", "valid integer"),
        ({**SPEC, "dataset": "mnits"}, "/dataset", "Did you mean 'mnist'?"),
        ({**SPEC, "threads": "many"}, "/threads", "auto"),
        ({**SPEC, "tags": {"a/b~c": 7}}, "/tags/a~1b~0c", "string"),
        ({**SPEC, "name": "nul\x00"}, "/name", "pattern"),
        ({**SPEC, "name": "\ud800"}, "/name", "string"),
        ({"family": "cgan", "hidden": [64, 0]}, "/hidden/1", "greater than or equal to 1"),
        ({"family": "cgan", "cgan": 1}, "/cgan", "no such knob"),
        ({"family": "cgan", "width": 32}, "/width", "no such knob"),
        ([], "", "JSON object"),
        (None, "", "JSON object"),
        ("cgan", "", "JSON object"),
    ],
)
def test_wrong_input_is_refused_by_name_and_trains_nothing(
    client: TestClient, body: object, pointer: str, said: str
) -> None:
    found = faults(client, body)
    assert list(found) == [pointer]
    assert said in found[pointer]


def test_of_very_many_wrong_knobs_the_first_are_named(client: TestClient) -> None:
    answer = client.post("/jobs", json={**SPEC, **{f"knob_{number}": 0 for number in range(1000)}})
    assert answer.status_code == 422
    named = [error["pointer"] for error in answer.json()["errors"]]
    assert named == [f"/knob_{number}" for number in range(MOST_FINDINGS)]


def test_every_wrong_knob_is_named_at_once(client: TestClient) -> None:
    found = faults(client, {**SPEC, "batch_size": 0, "total_steps": 0, "seed": -1})
    assert set(found) == {"/batch_size", "/total_steps", "/seed"}


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client: TestClient, word: str) -> None:
    body = f'{{"family": "cgan", "r1_weight": {word}}}'
    answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/r1_weight"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"family": "cgan"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"family": "cgan", "seed": ' + b"1" * 5000 + b"}",
        b"nothing",
    ],
)
def test_what_is_not_json_is_said_to_be_none(client: TestClient, body: bytes) -> None:
    answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"].endswith(":malformed-json")


def test_json_must_be_declared(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.post("/jobs", content=b'{"family": "cgan"}', headers={"Content-Type": kind})
        assert answer.status_code == 415
        assert kind in answer.json()["detail"]


def test_the_same_key_and_body_post_one_job(client: TestClient) -> None:
    first, again = (client.post("/jobs", json=SPEC, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(client.get("/jobs").json()["data"]) == 1


def test_the_same_key_with_another_body_is_refused(client: TestClient) -> None:
    first = client.post("/jobs", json=SPEC, headers={"Idempotency-Key": "k"}).json()
    other = client.post("/jobs", json={**SPEC, "seed": 1}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert first["id"] in other.json()["detail"]
    assert client.post("/jobs", json={**SPEC, "seed": 1}, headers={"Idempotency-Key": "l"}).status_code == 202


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "tab\t"])
def test_a_key_is_visible_text_of_bounded_length(client: TestClient, key: str) -> None:
    answer = client.post("/jobs", json=SPEC, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/idempotency-key"]


def test_a_refused_job_does_not_use_up_its_key(client: TestClient) -> None:
    assert client.post("/jobs", json={**SPEC, "seed": -1}, headers={"Idempotency-Key": "k"}).status_code == 422
    assert client.post("/jobs", json=SPEC, headers={"Idempotency-Key": "k"}).status_code == 202


def test_pages_hold_every_job_once_though_others_come_in_between(client: TestClient) -> None:
    ids = [post(client)["id"] for _ in range(5)]
    seen, after = [], None
    while True:
        listed = client.get("/jobs", params={"limit": 2, **({"after": after} if after else {})}).json()
        found = [job["id"] for job in listed["data"]]
        assert (listed["object"], listed["first_id"], listed["last_id"]) == ("list", found[0], found[-1])
        seen += found
        if not listed["has_more"]:
            break
        after = listed["last_id"]
        post(client)
    assert seen == ids[::-1]


def test_an_empty_page_has_no_ids(client: TestClient) -> None:
    empty = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}
    assert client.get("/jobs").json() == empty


def test_jobs_can_be_narrowed(client: TestClient, world: World) -> None:
    done = world.trained(100, name="done")
    waiting = world.submit(name="waiting")
    for query, expected in (
        ({"state": "succeeded"}, [done.id]),
        ({"state": "queued"}, [waiting.id]),
        ({"state": "failed"}, []),
        ({"name": "done"}, [done.id]),
        ({"family": "dcgan"}, [waiting.id, done.id]),
        ({"family": "cgan"}, []),
        ({"dataset": "digits", "state": "succeeded"}, [done.id]),
        ({"dataset": "mnist"}, []),
    ):
        assert [job["id"] for job in client.get("/jobs", params=query).json()["data"]] == expected, query


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": 101}, "/limit"),
        ({"state": "done"}, "/state"),
        ({"family": "stylegan"}, "/family"),
        ({"dataset": "mnits"}, "/dataset"),
        ({"after": "1"}, "/after"),
        ({"after": str(uuid.uuid4())}, "/after"),
        ({"name": "\x00"}, "/name"),
        ({"offset": 3}, "/offset"),
        ({"limit": [1, 2]}, "/limit"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(client: TestClient, query: dict[str, Any], pointer: str) -> None:
    answer = client.get("/jobs", params=query)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("tail", ["", "/metrics", "/events", "/checkpoints", "/checkpoints/1", "/previews"])
def test_an_id_that_is_no_uuid_is_refused_and_one_of_nobody_is_not_found(client: TestClient, tail: str) -> None:
    for wrong in ("7", str(uuid.uuid4()).upper(), uuid.uuid4().hex, f"{{{uuid.uuid4()}}}", "%00"):
        answer = client.get(f"/jobs/{wrong}{tail}")
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/job_id"]
        assert "lower-case UUID" in answer.json()["errors"][0]["detail"]
    assert client.get(f"/jobs/{uuid.uuid4()}{tail}").status_code == 404


def test_a_client_that_knows_the_job_is_told_so_until_it_changes(client: TestClient, world: World) -> None:
    held = world.start()
    url = f"/jobs/{held.job.id}"
    known = client.get(url).headers["ETag"]
    unchanged = client.get(url, headers={"If-None-Match": known})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", known)
    assert client.get(url, headers={"If-None-Match": f"W/{known}"}).status_code == 304
    assert client.get(url, headers={"If-None-Match": "*"}).status_code == 304
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    world.report(held, [(1, {"d_loss": 1.0})])
    changed = client.get(url, headers={"If-None-Match": known})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != known


def test_the_logs_tell_of_each_attempt(client: TestClient, world: World) -> None:
    held = world.start()
    with world.database.write() as connection:
        claims.say(connection, held, "Traceback: …")
    (attempt,) = client.get(f"/jobs/{held.job.id}/logs").json()["data"]
    assert (attempt["number"], attempt["state"], attempt["ended_at"], attempt["log"]) == (1, None, None, "Traceback: …")
    world.succeed(held)
    (attempt,) = client.get(f"/jobs/{held.job.id}/logs").json()["data"]
    assert (attempt["state"], attempt["worker"]) == ("succeeded", held.job.worker_id)
    page = client.get(f"/jobs/{held.job.id}/logs", params={"after": attempt["id"]}).json()
    assert (page["data"], page["has_more"]) == ([], False)


def test_the_answer_is_sent_after_the_commit(world: World) -> None:
    """Drive the application by hand and look from outside, through another connection, as the answer begins."""
    app, seen = create_app(world.settings), []
    body = b'{"family": "cgan", "dataset": "digits"}'
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/jobs",
        "raw_path": b"/jobs",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 202
            with world.database.read() as connection:
                seen.extend(page(connection, Filters(), None, 10)[0])

    async def drive() -> None:
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    anyio.run(drive)
    assert len(seen) == 1
