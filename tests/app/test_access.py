"""Who gets in: nobody without a key where others can listen, and nobody further than the key's scopes."""

import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
from limits import RateLimitItemPerMinute
from sqlalchemy import event, text
from starlette.testclient import TestClient

from app import allowances
from app.access import NEEDED, OPEN
from app.main import create_app
from store import claims, keys
from store.database import Database
from store.keys import Key, Scope
from tests.app.test_stream import STREAM, served
from tests.app.world import LOOPBACK, World, bearer


def revoke(world: World, key: Key) -> None:
    with world.database.write() as connection:
        keys.revoke(connection, key.id)


def operations(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path, told) for path, each in paths.items() for method, told in each.items()]


def somewhere(path: str) -> str:
    """Fill in a path's parameters with what nothing has."""
    named = {"job_id": "00000000-0000-4000-8000-000000000000", "key_id": "00000000-0000-4000-8000-000000000000"}
    return path.format(**named, step=1, name="none")


def test_every_operation_needs_a_scope_and_the_document_says_which(guarded: TestClient) -> None:
    told = {f"{method} {path}": each["security"] for method, path, each in operations(guarded) if path not in OPEN}
    assert told == {operation: [{"key": [scope]}] for operation, scope in NEEDED.items()}
    assert {path for _, path, each in operations(guarded) if not each["security"]} == {"/livez", "/readyz"}


def test_no_operation_is_answered_without_a_key(guarded: TestClient) -> None:
    for method, path, _ in operations(guarded):
        if path not in OPEN:
            answer = guarded.request(method, somewhere(path))
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (method, path)


@pytest.mark.parametrize("own", list(Scope))
def test_an_operation_is_answered_to_the_scopes_that_it_names(own: Scope, guarded: TestClient, world: World) -> None:
    key, secret = world.key(own)
    for method, path, _ in operations(guarded):
        if path not in OPEN:
            answer = guarded.request(method, somewhere(path), headers=bearer(secret), json={})
            scope = NEEDED[f"{method} {path}"]
            assert (answer.status_code == 403) is not key.allows(scope), (method, path)
            if answer.status_code == 403:
                assert f"`{scope}`" in answer.json()["detail"]
                assert f'scope="{scope}"' in answer.headers["WWW-Authenticate"]


def test_a_route_that_nobody_has_thought_of_is_the_administrators(world: World) -> None:
    app = create_app(world.settings.model_copy(update={"auth": True}))
    app.add_api_route("/new", lambda: "new")
    (_, admin), (_, train) = world.key(Scope.ADMIN), world.key(Scope.TRAIN, Scope.SAMPLE)
    with TestClient(app, LOOPBACK) as client:
        assert client.get("/new").status_code == 401
        assert client.get("/new", headers=bearer(train)).status_code == 403
        assert client.get("/new", headers=bearer(admin)).json() == "new"


def test_health_and_the_document_are_open(guarded: TestClient) -> None:
    for path in OPEN:
        assert guarded.get(path).status_code == 200, path


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE", "TRACE"])
def test_strangers_cannot_tell_what_is_there(method: str, guarded: TestClient, world: World) -> None:
    job = world.submit()
    answers = [guarded.request(method, path) for path in ("/nothing", "/jobs", f"/jobs/{job.id}", "/livez/")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers if method != "HEAD"}) <= 1


def test_no_body_is_read_before_the_key(guarded: TestClient) -> None:
    for body in (b"{", b"{}", b"\xff"):
        assert guarded.post("/jobs", content=body, headers={"Content-Type": "application/json"}).status_code == 401


def test_what_is_no_good_key_is_refused_in_the_same_words(guarded: TestClient, world: World) -> None:
    _, secret = world.key(Scope.READ)
    revoked, revoked_secret = world.key(Scope.READ)
    revoke(world, revoked)
    over = keys.draw()
    with world.database.write() as connection:
        keys.add(connection, over, "over", [Scope.READ], good_for=timedelta(seconds=-1))
    wrong = [keys.draw(), "", "x", secret[:-1], secret + "=", secret + " ", keys.digest(secret), revoked_secret, over]
    tried: list[Any] = [bearer(each) for each in wrong]
    tried += [{"Authorization": f"Basic {secret}"}, {"Authorization": secret}, {"Authorization": "Bearer"}]
    tried += [[("Authorization", f"Bearer {secret}"), ("Authorization", f"Bearer {secret}")]]
    answers = [guarded.get("/jobs", headers=headers) for headers in tried]
    assert [answer.status_code for answer in answers] == [401] * len(tried)
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert guarded.get("/jobs", headers={"Authorization": f"bearer {secret}"}).status_code == 200


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "authorization"])
def test_a_key_in_the_query_opens_nothing(name: str, guarded: TestClient, world: World) -> None:
    _, secret = world.key(Scope.ADMIN)
    assert guarded.get("/jobs", params={name: secret}).status_code == 401
    beside = guarded.get("/jobs", params={name: secret}, headers=bearer(secret))
    assert beside.status_code == 422
    assert secret not in beside.text


def test_no_key_gets_into_the_log(guarded: TestClient, world: World, capfd: pytest.CaptureFixture[str]) -> None:
    (key, good), wrong = world.key(Scope.READ), keys.draw()
    for secret in (good, wrong):
        guarded.get("/jobs", headers=bearer(secret))
        guarded.get("/jobs", params={"key": secret}, headers=bearer(secret))
        guarded.post("/jobs", headers=bearer(secret), json={"key": secret})
    said = capfd.readouterr().err
    assert '"path": "/jobs"' in said
    for secret in (good, wrong, key.digest):
        assert secret not in said


@pytest.mark.parametrize("server", ["10.0.0.7", "[2001:db8::7]", "testserver"])
def test_a_connection_from_outside_needs_a_key_whatever_the_settings(server: str, world: World) -> None:
    _, secret = world.key(Scope.READ)
    with TestClient(create_app(world.settings), f"http://{server}") as client:
        assert client.get("/jobs").status_code == 401
        assert client.get("/jobs", headers={"Host": "127.0.0.1"}).status_code == 401
        assert client.get("/jobs", headers=bearer(secret)).status_code == 200


def test_on_loopback_none_is_needed_unless_it_listens_to_others(world: World) -> None:
    world.key(Scope.READ)
    for host, status in (("127.0.0.1", 200), ("::1", 200), ("0.0.0.0", 401), ("::", 401), ("10.0.0.7", 401)):
        with TestClient(create_app(world.settings.model_copy(update={"host": host})), LOOPBACK) as client:
            assert client.get("/jobs").status_code == status, host


def test_a_revoked_key_opens_nothing_from_the_next_request_on(guarded: TestClient, world: World) -> None:
    key, secret = world.key(Scope.READ)
    assert guarded.get("/families", headers=bearer(secret)).status_code == 200
    revoke(world, key)
    assert guarded.get("/families", headers=bearer(secret)).status_code == 401


def test_where_the_database_cannot_say_that_it_has_changed_a_revocation_is_felt_soon(
    guarded: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "changes", lambda _: None)
    monkeypatch.setattr(guarded.app.state.resources.keyring._memory, "_good_seconds", 0.2)  # type: ignore[attr-defined]
    key, secret = world.key(Scope.READ)
    assert guarded.get("/families", headers=bearer(secret)).status_code == 200
    revoke(world, key)
    while guarded.get("/families", headers=bearer(secret)).status_code == 200:  # the test's own time limit ends it
        time.sleep(0.01)
    assert guarded.get("/families", headers=bearer(secret)).status_code == 401


def test_a_key_that_was_seen_costs_no_look_into_the_database(
    guarded: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = world.key(Scope.READ)
    held, seen = guarded.app.state.resources, []  # type: ignore[attr-defined]
    monkeypatch.setattr(held.keyring._memory, "_unchanged_seconds", 3600)
    guarded.get("/families", headers=bearer(secret))

    @event.listens_for(held.database.engine, "before_cursor_execute")
    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.extend([statement] if "api_keys" in statement else [])

    for _ in range(5):
        assert guarded.get("/families", headers=bearer(secret)).status_code == 200
    assert seen == []
    guarded.get("/families", headers=bearer(keys.draw()))
    assert len(seen) == 1


def test_unknown_keys_are_looked_for_so_often_and_no_more(
    guarded: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "UNKNOWN_KEYS", RateLimitItemPerMinute(3))
    (known, mine), (_, other) = world.key(Scope.READ), world.key(Scope.READ)
    assert guarded.get("/families", headers=bearer(mine)).status_code == 200
    guesses = [guarded.get("/families", headers=bearer(keys.draw())) for _ in range(5)]
    assert [answer.status_code for answer in guesses] == [401, 401, 429, 429, 429]
    assert 1 <= int(guesses[-1].headers["Retry-After"]) <= 60
    assert guarded.get("/families", headers=bearer(mine)).status_code == 200  # who was let in stays in
    assert guarded.get("/families", headers=bearer(other)).status_code == 429
    revoke(world, known)
    assert [guarded.get("/families", headers=bearer(mine)).status_code for _ in range(2)] == [401, 429]
    then = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: then)
    assert guarded.get("/families", headers=bearer(other)).status_code == 200


def test_a_flood_of_unknown_keys_costs_no_more_looks_and_no_memory(
    guarded: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "UNKNOWN_KEYS", RateLimitItemPerMinute(3))
    held, looks = guarded.app.state.resources, []  # type: ignore[attr-defined]
    monkeypatch.setattr(keys, "holder", lambda _, digest: looks.append(digest))
    for _ in range(50):
        guarded.get("/families", headers=bearer(keys.draw()))
    assert len(looks) == 3
    assert len(held.keyring._memory._entries) == 0
    assert len(held.allowances._windows.storage.storage) == 1


def test_unknown_keys_are_counted_for_each_network_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "UNKNOWN_KEYS", RateLimitItemPerMinute(1))
    world.key(Scope.ADMIN)
    app = create_app(world.settings.model_copy(update={"auth": True}))
    places = ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    with TestClient(app, LOOPBACK) as client:
        found = []
        for place in places:
            client._transport.client = (place, 50000)  # type: ignore[attr-defined]
            found.append(client.get("/families", headers=bearer(keys.draw())).status_code)
    assert found == [401, 429, 401, 401, 429, 401]


def test_a_stream_ends_with_the_key_that_opened_it(world: World) -> None:
    world.settings = world.settings.model_copy(update={"auth": True})
    held, (key, secret) = world.start(), world.key(Scope.READ)
    with served(world) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        assert http.get(f"/jobs/{held.job.id}/events", headers=STREAM).status_code == 401
        headers = {**STREAM, **bearer(secret)}
        with http.stream("GET", f"/jobs/{held.job.id}/events", headers=headers) as stream:
            lines = stream.iter_lines()
            assert any(line == "event: running" for line in lines)
            revoke(world, key)
            with world.database.write() as connection:
                claims.note(connection, held, "noted", {})
            assert "event: noted" not in list(lines)
        assert http.get(f"/jobs/{held.job.id}/events", headers=headers).status_code == 401


def test_keys_that_cannot_be_looked_up_open_nothing(guarded: TestClient, world: World) -> None:
    _, secret = world.key(Scope.ADMIN)
    with world.database.write() as connection:
        connection.execute(text("ALTER TABLE api_keys RENAME TO gone"))
    answer = guarded.get("/families", headers=bearer(secret))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
