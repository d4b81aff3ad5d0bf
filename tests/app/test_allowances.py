"""How much a key may use: counted per key, told in headers, and refused with the time to come again."""

import re
import time
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from app.serving import studio
from store import jobs
from store.keys import Allowance, Scope
from tests.app.world import World, bearer

SPEC = {"family": "cgan", "dataset": "digits"}


def left(answer: httpx.Response, policy: str) -> int:
    found = re.search(rf'"{policy}";r=(\d+);t=\d+', answer.headers["RateLimit"])
    assert found
    return int(found[1])


def assert_refused(answer: httpx.Response, slug: str, most_seconds: int) -> None:
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:ganymede:problem:{slug}"
    assert 1 <= int(answer.headers["Retry-After"]) <= most_seconds


def test_requests_are_counted_for_each_key_apart(guarded: TestClient, world: World) -> None:
    (_, mine), (_, yours) = (world.key(Scope.READ, requests_per_minute=3) for _ in range(2))
    paths = ("/families", "/nothing", "/keys")
    seen = [left(guarded.get(path, headers=bearer(mine)), "requests") for path in paths]
    assert seen == [2, 1, 0]
    refused = guarded.get("/families", headers=bearer(mine))
    assert_refused(refused, "allowance-spent", 60)
    assert left(refused, "requests") == 0
    assert guarded.get("/families", headers=bearer(yours)).status_code == 200


def test_a_minute_later_there_is_more(guarded: TestClient, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = world.key(Scope.READ, requests_per_minute=1)
    assert guarded.get("/families", headers=bearer(secret)).status_code == 200
    assert guarded.get("/families", headers=bearer(secret)).status_code == 429
    then = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: then)
    assert guarded.get("/families", headers=bearer(secret)).status_code == 200


def test_the_headers_say_what_may_be_used_and_what_is_left(guarded: TestClient, world: World) -> None:
    _, secret = world.key(Scope.READ, requests_per_minute=10, images_per_day=20)
    answer = guarded.get("/families", headers=bearer(secret))
    assert answer.headers["RateLimit-Policy"] == '"requests";q=10;w=60, "images";q=20;w=86400'
    assert re.fullmatch(r'"requests";r=9;t=(59|60), "images";r=20;t=0', answer.headers["RateLimit"])


def test_images_are_counted_as_they_are_drawn(guarded: TestClient, world: World) -> None:
    world.trained(100)
    _, secret = world.key(Scope.SAMPLE, images_per_day=20)

    def ask(method: str, path: str, **more: Any) -> httpx.Response:
        guarded.headers.update(bearer(secret))
        return guarded.request(method, path, **more)

    first = ask("GET", "/sample?n=8&seed=1")
    assert (first.status_code, left(first, "images")) == (200, 12)
    again = ask("GET", "/sample?n=8&seed=1", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, left(again, "images")) == (304, 12)
    assert left(ask("POST", "/sample", json={"seeds": [1, 2, 3]}), "images") == 9
    assert left(ask("GET", "/interpolate?from_seed=1&to_seed=2&frames=5"), "images") == 4
    too_many = ask("GET", "/sample?n=5")
    assert_refused(too_many, "allowance-spent", 86_400)
    assert too_many.json()["detail"] == "This key may use 20 images a day; 4 are left, and 5 asked for."
    assert left(too_many, "images") == 4
    assert left(ask("GET", "/sample?n=4"), "images") == 0
    assert_refused(ask("GET", "/sample"), "allowance-spent", 86_400)


def test_images_of_a_damaged_checkpoint_are_not_counted_beside_those_that_stand_in(
    guarded: TestClient, world: World
) -> None:
    world.damage(world.trained(100, 200), 200)
    _, secret = world.key(Scope.SAMPLE, images_per_day=20)
    answer = guarded.get("/sample?seed=1&n=8", headers=bearer(secret))
    assert (answer.status_code, answer.headers["X-Checkpoint-Step"], left(answer, "images")) == (200, "100", 12)


def test_what_is_more_than_a_day_s_images_is_refused_from_the_start(guarded: TestClient, world: World) -> None:
    world.trained(100)
    _, secret = world.key(Scope.SAMPLE, images_per_day=3)
    assert_refused(guarded.get("/sample?n=4", headers=bearer(secret)), "allowance-spent", 86_400)
    assert guarded.get("/sample?n=3", headers=bearer(secret)).status_code == 200


def test_a_key_that_has_as_many_unfinished_jobs_as_it_may_waits(guarded: TestClient, world: World) -> None:
    (_, mine), (_, yours) = (world.key(Scope.TRAIN, unfinished_jobs=1) for _ in range(2))
    job = guarded.post("/jobs", json=SPEC, headers=bearer(mine)).json()["id"]
    assert_refused(guarded.post("/jobs", json=SPEC, headers=bearer(mine)), "too-many-jobs", 60)
    assert guarded.post("/jobs", json=SPEC, headers=bearer(yours)).status_code == 202
    with world.database.write() as connection:
        jobs.cancel(connection, job)
    retried = guarded.post(f"/jobs/{job}/retry", headers=bearer(mine))
    assert retried.status_code == 202
    assert_refused(guarded.post(f"/jobs/{job}/retry", headers=bearer(mine)), "too-many-jobs", 60)


def test_strangers_and_whoever_needs_no_key_hear_of_no_limits(guarded: TestClient, client: TestClient) -> None:
    for answer in (guarded.get("/jobs"), guarded.get("/livez"), client.get("/jobs")):
        assert "RateLimit" not in answer.headers
        assert "RateLimit-Policy" not in answer.headers


def test_what_nobody_has_set_is_generous(world: World) -> None:
    key, _ = world.key(Scope.READ)
    assert {name: getattr(key, name) for name in vars(Allowance())} == vars(Allowance())
    assert key.requests_per_minute >= 6_000


@pytest.mark.parametrize(("limit", "query"), [("MOST_WAITING", ""), ("LARGE_WAITING", "?n=100&format=npz")])
def test_who_is_sent_away_in_a_crowd_pays_nothing(
    guarded: TestClient, world: World, monkeypatch: pytest.MonkeyPatch, limit: str, query: str
) -> None:
    world.trained(100)
    _, secret = world.key(Scope.SAMPLE, images_per_day=200)
    monkeypatch.setattr(studio, limit, 0)
    refused = guarded.get(f"/sample{query}", headers=bearer(secret))
    assert (refused.status_code, left(refused, "images")) == (503, 200)
