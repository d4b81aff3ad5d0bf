"""Keys over HTTP: made, listed, revoked, their secrets shown once; and every change remembered with its key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.testclient import TestClient

from app.resources import _writing
from store import jobs, keys
from store.keys import SECRET, Scope
from tests.app.world import World, bearer, items

NO_ONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def admin(guarded: TestClient, world: World) -> TestClient:
    guarded.headers.update(bearer(world.key(Scope.ADMIN)[1]))
    return guarded


def post(client: TestClient, **wanted: Any) -> dict[str, Any]:
    answer = client.post("/keys", json={"name": "lab 3", "scopes": ["read"], **wanted})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


def changes(client: TestClient) -> list[tuple[str, str]]:
    return [(change["action"], change["target"]) for change in client.get("/audit?limit=100").json()["data"]]


def test_a_key_that_was_made_opens_what_it_is_good_for(admin: TestClient) -> None:
    made = post(admin, scopes=["sample", "train"], expires_in_days=30)
    assert SECRET.fullmatch(made["secret"])
    assert made["secret"].startswith(made["prefix"])
    assert made["scopes"] == ["sample", "train"]
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left < timedelta(days=30, hours=1)
    assert admin.get("/jobs", headers=bearer(made["secret"])).status_code == 200
    assert admin.get("/keys", headers=bearer(made["secret"])).status_code == 403


def test_the_secret_is_in_the_first_answer_alone(admin: TestClient) -> None:
    made = post(admin)
    secret = made.pop("secret")
    listed = admin.get("/keys")
    assert listed.json()["data"][0] == made
    for answer in (listed, admin.get("/audit"), admin.get("/jobs")):
        assert secret not in answer.text
        assert keys.digest(secret) not in answer.text


def test_keys_are_listed_newest_first_page_by_page(admin: TestClient) -> None:
    made = [post(admin, name=str(number))["id"] for number in range(5)]
    seen = [key["id"] for key in items(admin, "/keys", limit=2)]
    assert seen[:5] == made[::-1]
    assert admin.get("/keys", params={"after": NO_ONE}).status_code == 422


def test_a_revoked_key_stays_in_the_list_and_opens_nothing(admin: TestClient) -> None:
    made = post(admin)
    assert admin.delete(f"/keys/{made['id']}").status_code == 204
    assert admin.delete(f"/keys/{made['id']}").status_code == 204
    assert admin.get("/families", headers=bearer(made["secret"])).status_code == 401
    assert admin.get("/keys").json()["data"][0]["revoked_at"] is not None
    assert admin.delete(f"/keys/{NO_ONE}").status_code == 404
    assert changes(admin).count(("key.revoke", made["id"])) == 1


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"name": ""}, "/name"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"requests_per_minute": 0}, "/requests_per_minute"),
        ({"images_per_day": 1.5}, "/images_per_day"),
        ({"secret": "gm_mine"}, "/secret"),
    ],
)
def test_what_makes_no_key_is_named(wrong: dict[str, Any], pointer: str, admin: TestClient) -> None:
    answer = admin.post("/keys", json={"name": "lab 3", "scopes": ["read"], **wrong})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


# --- the audit


def job(world: World, state: str) -> str:
    """Return the id of a job that stands so."""
    if state == "succeeded":
        return world.trained(100).id
    made = world.submit()
    with world.database.write() as connection:
        if state == "paused":
            jobs.pause(connection, made.id)
        if state == "cancelled":
            jobs.cancel(connection, made.id)
    return made.id


SPEC = {"family": "cgan", "dataset": "digits"}
# What changes something: how to ask for it, which gives the answer and what was changed, if not what the answer names.
CHANGES: dict[str, tuple[str, Callable[[TestClient, World], tuple[Any, str | None]]]] = {
    "POST /jobs": ("job.post", lambda http, _: (http.post("/jobs", json=SPEC), None)),
    "POST /jobs/{job_id}/cancel": ("job.cancel", lambda http, world: steered(http, job(world, "queued"), "cancel")),
    "POST /jobs/{job_id}/pause": ("job.pause", lambda http, world: steered(http, job(world, "queued"), "pause")),
    "POST /jobs/{job_id}/resume": ("job.resume", lambda http, world: steered(http, job(world, "paused"), "resume")),
    "POST /jobs/{job_id}/retry": ("job.retry", lambda http, world: steered(http, job(world, "cancelled"), "retry")),
    "POST /jobs/{job_id}/extend": (
        "job.extend",
        lambda http, world: steered(http, job(world, "succeeded"), "extend", {"total_steps": 100_000}),
    ),
    "DELETE /jobs/{job_id}": ("job.delete", lambda http, world: deleted(http, f"/jobs/{job(world, 'cancelled')}")),
    "PUT /models/{name}": (
        "model.put",
        lambda http, world: (http.put("/models/digits", json={"job": job(world, "queued")}), "digits"),
    ),
    "DELETE /models/{name}": ("model.delete", lambda http, world: forgotten(http, world)),
    "POST /keys": ("key.create", lambda http, _: (http.post("/keys", json={"name": "k", "scopes": ["read"]}), None)),
    "DELETE /keys/{key_id}": ("key.revoke", lambda http, world: deleted(http, f"/keys/{world.key(Scope.READ)[0].id}")),
}


def steered(http: TestClient, id: str, verb: str, body: dict[str, int] | None = None) -> tuple[Any, str | None]:
    return http.post(f"/jobs/{id}/{verb}", json=body), None


def deleted(http: TestClient, path: str) -> tuple[Any, str | None]:
    return http.delete(path), path.rpartition("/")[2]


def forgotten(http: TestClient, world: World) -> tuple[Any, str | None]:
    http.put("/models/digits", json={"job": job(world, "queued")})
    return deleted(http, "/models/digits")


@pytest.mark.parametrize("operation", CHANGES)
def test_a_change_is_remembered_with_its_key_and_its_request(operation: str, guarded: TestClient, world: World) -> None:
    key, secret = world.key(Scope.ADMIN)
    guarded.headers.update(bearer(secret))
    action, ask = CHANGES[operation]
    answer, target = ask(guarded, world)
    assert answer.is_success, answer.text
    change = guarded.get("/audit").json()["data"][0]
    assert (change["action"], change["target"]) == (action, target or answer.json()["id"])
    assert (change["key"], change["request_id"]) == (key.id, answer.headers["X-Request-ID"])


def test_every_route_that_writes_is_among_them(client: TestClient) -> None:
    routes = [context.original_route for context in iter_route_contexts(client.app.routes)]  # type: ignore[attr-defined]
    writing = {
        f"{method} {route.path}"
        for route in routes
        if isinstance(route, APIRoute) and any(inner.call is _writing for inner in route.dependant.dependencies)
        for method in route.methods
    }
    assert writing == set(CHANGES)


def test_what_was_refused_or_was_done_before_is_no_change(admin: TestClient, world: World) -> None:
    finished = world.trained(100)
    before = changes(admin)
    assert admin.post(f"/jobs/{finished.id}/cancel").status_code == 409
    assert admin.delete(f"/jobs/{NO_ONE}").status_code == 404
    assert changes(admin) == before
    for _ in range(2):
        once = admin.post("/jobs", json=SPEC, headers={"Idempotency-Key": "once"})
        assert once.status_code == 202
    assert changes(admin) == [("job.post", once.json()["id"]), *before]


def test_without_keys_a_change_is_nobodys(client: TestClient) -> None:
    posted = client.post("/jobs", json=SPEC)
    (change,) = client.get("/audit").json()["data"]
    assert (change["key"], change["target"]) == (None, posted.json()["id"])
    assert change["request_id"] == posted.headers["X-Request-ID"]


def test_changes_are_listed_page_by_page(client: TestClient) -> None:
    made = [client.post("/jobs", json=SPEC).json()["id"] for _ in range(5)]
    assert [change["target"] for change in items(client, "/audit", limit=2)] == made[::-1]
