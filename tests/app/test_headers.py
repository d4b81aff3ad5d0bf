"""What browsers are told with every answer, and what pages of other sites can make of a service without keys."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from app.embedded import compose
from app.main import create_app
from app.requests import MOST_BODY_BYTES
from store import jobs
from store.keys import Scope
from store.settings import Settings
from tests.app.test_access import somewhere
from tests.app.test_openapi import SNAPSHOT
from tests.app.test_stream import STREAM
from tests.app.world import LOOPBACK, World, bearer

POLICIES = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OPERATIONS = [
    (method.upper(), path)
    for path, operations in json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"].items()
    for method in operations
]
SPEC = {"family": "cgan", "dataset": "digits"}


def assert_told(answer: httpx.Response, policies: Mapping[str, str] = POLICIES) -> None:
    told = {name: answer.headers.get_list(name) for name in policies}
    assert told == {name: [value] for name, value in policies.items()}, answer.request.url
    assert len(answer.headers.get_list("X-Request-ID")) == 1
    assert not [name for name in answer.headers if name == "server" or name.startswith("access-control")]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, TestClient]]:
    """The same service as nobody finds it who needs a key and has none, with a key, and where none is needed."""
    home = tmp_path_factory.mktemp("home")
    world = World(Settings(home=home, redis_url=f"redis+socket://{home}/nobody.sock"))
    _, secret = world.key(Scope.ADMIN)
    guarded, free = create_app(world.settings.model_copy(update={"auth": True})), create_app(world.settings)
    with TestClient(guarded, LOOPBACK) as stranger, TestClient(free, LOOPBACK) as neighbor:
        holder = TestClient(guarded, LOOPBACK, headers=bearer(secret))
        yield {"stranger": stranger, "holder": holder, "neighbor": neighbor}
    world.database.close()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_tells_browsers_what_to_make_of_it(
    method: str, path: str, services: dict[str, TestClient]
) -> None:
    answers = {whose: service.request(method, somewhere(path)) for whose, service in services.items()}
    for answer in answers.values():
        assert_told(answer)
    kept = answers["holder"].headers.get("Cache-Control", "")
    assert path in ("/livez", "/readyz") or {"private", "no-store"} & set(re.split(", *", kept))
    assert "public" not in kept


def test_so_does_every_other_answer(client: TestClient, guarded: TestClient, world: World) -> None:
    job = world.trained(100)
    image = client.get("/sample?seed=1")
    body = b" " * (MOST_BODY_BYTES + 1)
    answers = {
        client.get("/sample?seed=1", headers={"If-None-Match": image.headers["ETag"]}): 304,
        client.get("/sample?n=1001&format=zip"): 200,
        client.get(f"/jobs/{job.id}/events", headers=STREAM): 200,
        client.get(f"/jobs/{job.id}/checkpoints/100/files/generator.onnx"): 200,
        client.get("/nothing"): 404,
        client.put("/jobs"): 405,
        client.head("/jobs"): 405,
        client.post("/jobs", content=body, headers={"Content-Type": "application/json"}): 413,
        client.get("/jobs", headers={"Host": "example.org"}): 421,
        client.get("/openapi.json"): 200,
        guarded.get("/nothing"): 401,
    }
    _, secret = world.key(Scope.READ, requests_per_minute=1)
    answers |= {guarded.get("/families", headers=bearer(secret)): status for status in (200, 429)}
    for answer, status in answers.items():
        assert answer.status_code == status
        assert_told(answer)


def test_so_does_a_fault_of_ours(world: World) -> None:
    app = create_app(world.settings)
    app.add_api_route("/faulty", lambda: 1 // 0)
    with TestClient(app, LOOPBACK) as client:
        answer = client.get("/faulty")
    assert answer.status_code == 500
    assert_told(answer)


def test_the_page_that_documents_the_api_runs_nothing_but_ours(guarded: TestClient) -> None:
    answer = guarded.get("/docs")
    policy = answer.headers["Content-Security-Policy"]
    assert_told(answer, {**POLICIES, "Content-Security-Policy": policy})
    told = dict(each.split(" ", 1) for each in policy.split("; "))
    assert re.fullmatch("'self' 'sha256-[A-Za-z0-9+/]{43}='", told["script-src"])
    assert (told["default-src"], told["style-src"], told["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert "unsafe" not in policy


def test_no_cache_that_others_share_keeps_what_a_key_has_opened(
    client: TestClient, guarded: TestClient, world: World
) -> None:
    job = world.trained(100)
    _, secret = world.key(Scope.SAMPLE, Scope.READ)
    pinned, moving, drawn = f"/sample?seed=1&job={job.id}&step=100", "/sample?seed=1", "/sample"
    told = [guarded.get(url, headers=bearer(secret)).headers["Cache-Control"] for url in (pinned, moving, drawn)]
    assert told == ["private, max-age=31536000, immutable", "private, no-cache", "no-store"]
    assert guarded.get("/jobs", headers=bearer(secret)).headers["Cache-Control"] == "private"
    assert client.get(pinned).headers["Cache-Control"] == "max-age=31536000, immutable"


def test_no_answer_says_what_it_runs_on(settings: Settings, tmp_path: Path) -> None:
    assert "--no-server-header" in compose(settings, tmp_path).api.command


@pytest.mark.parametrize("whose", ["stranger", "holder", "neighbor"])
def test_no_page_of_another_site_is_let_in(whose: str, services: dict[str, TestClient]) -> None:
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, authorization",
    }
    answer = services[whose].options("/jobs", headers=asked)
    assert answer.status_code in (401, 405)
    assert_told(answer)
    assert_told(services[whose].get("/livez", headers=asked))


@pytest.mark.parametrize("host", ["example.org", "example.org:8000", "127.0.0.1.example.org", "10.0.0.7", "[::2]", ""])
def test_without_keys_a_name_that_leads_here_is_not_this_machine(host: str, client: TestClient) -> None:
    for path in ("/jobs", "/sample", "/nothing"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.json()["type"] == "urn:ganymede:problem:misdirected"
        assert json.dumps(host) in answer.json()["detail"]
    assert client.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:9000", "LocalHost", "[::1]:8000", "[::1]"])
def test_this_machine_has_several_names(host: str, client: TestClient) -> None:
    assert client.get("/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://localhost:8888", "Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://localhost:8888"}, True),
        ({"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://example.org"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_without_keys_no_page_of_another_site_changes_anything(
    headers: dict[str, str], let_in: bool, client: TestClient, world: World
) -> None:
    job = world.submit()
    form = {**headers, "Content-Type": "text/plain"}
    assert client.get(f"/jobs/{job.id}", headers=headers).status_code == 200
    answer = client.post(f"/jobs/{job.id}/cancel", headers=form)
    with world.database.read() as connection:
        assert jobs.get(connection, job.id).state == ("cancelled" if let_in else "queued")
    assert answer.status_code == (200 if let_in else 403)
    if not let_in:
        assert answer.json()["type"] == "urn:ganymede:problem:cross-site"


def test_where_keys_are_needed_a_key_is_enough(guarded: TestClient, world: World) -> None:
    _, secret = world.key(Scope.TRAIN)
    headers = {"Host": "example.org", "Origin": "https://example.com", "Sec-Fetch-Site": "cross-site"}
    assert guarded.post("/jobs", json=SPEC, headers={**headers, **bearer(secret)}).status_code == 202
