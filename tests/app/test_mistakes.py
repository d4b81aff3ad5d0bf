"""What users' mistakes leave in the log of the real API: a line of JSON each, no stack trace, and no secret."""

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from ganymede.stack import free_port
from store import keys
from store.keys import Scope
from store.settings import Settings
from tests.app.world import Head, World, bearer, picture
from tests.store.test_logs import HUSH, lines_of, process, wait_until

NOBODY = "00000000-0000-4000-8000-000000000000"
PNG = {"Content-Type": "image/png"}


def walk(client: httpx.Client, world: World) -> list[int]:
    """Make every kind of mistake, each under an id of its own; return how they were answered."""
    job = world.trained(100, labels=0, head=Head(classes=tuple(range(10)), scores=True)).id
    _, admin = world.key(Scope.ADMIN)
    _, read = world.key(Scope.READ, requests_per_minute=1)
    hooked = {"url": "https://example.org/hush-hook", "secret": "hush"}
    ruined = picture(7)[:40] + b"hush" + picture(7)[44:]
    mistakes = [
        ("GET", "/jobs", {}, {}),
        ("GET", "/jobs", bearer("hush"), {}),
        ("GET", "/jobs", bearer(keys.draw()), {}),
        ("GET", "/jobs", {"Authorization": "Basic aHVzaDpodXNo"}, {}),
        ("POST", "/jobs", bearer(read), {"json": {}}),
        ("GET", "/jobs", bearer(read), {}),
        ("GET", "/nothing", bearer(admin), {}),
        ("GET", f"/jobs/{NOBODY}", bearer(admin), {}),
        ("PUT", "/jobs", bearer(admin), {}),
        ("POST", f"/jobs/{job}/cancel", bearer(admin), {}),
        ("GET", "/sample?seed=hush", bearer(admin), {}),
        ("POST", "/jobs", bearer(admin), {"json": {"family": "cgan", "dataset": "digits", "webhooks": [hooked]}}),
        ("POST", "/jobs", {**bearer(admin), "Content-Type": "application/json"}, {"content": b'{"hush'}),
        ("POST", "/jobs", {**bearer(admin), "Content-Type": "application/json"}, {"content": b" " * (2 << 20)}),
        ("POST", "/jobs", {**bearer(admin), "Content-Type": "text/plain"}, {"content": b"hush"}),
        ("POST", f"/classify?job={job}", {**bearer(admin), **PNG}, {"content": b"hush"}),
        ("POST", f"/classify?job={job}", {**bearer(admin), **PNG}, {"content": ruined}),
        ("POST", "/keys", bearer(admin), {"json": {"name": "a key", "scopes": ["hush"]}}),
    ]
    answered = []
    for number, (method, path, headers, sent) in enumerate(mistakes):
        answer = client.request(method, path, headers={**headers, "X-Request-ID": f"mistake-{number}"}, **sent)
        assert answer.headers["content-type"] == "application/problem+json", (method, path)
        answered.append(answer.status_code)
    break_off(str(client.base_url), admin, len(mistakes))
    return answered


def break_off(url: str, secret: str, number: int) -> None:
    """Announce an upload, send some of it and leave."""
    head = (
        f"POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\nContent-Type: image/png\r\n"
    )
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
        connection.sendall(f"{head}X-Request-ID: mistake-{number}\r\nContent-Length: 1000\r\n\r\nhush".encode())


@pytest.mark.integration
def test_mistakes_are_told_without_a_stack_trace_or_a_secret(tmp_path: Path) -> None:
    log, port, world = tmp_path / "api.log", free_port(), World(Settings(home=tmp_path))
    first = keys.draw()
    environment = {
        "GANYMEDE_AUTH": "true",
        "GANYMEDE_FIRST_KEY": first,
        "GANYMEDE_DATABASE_URL": world.settings.database,
        "GANYMEDE_ARTIFACTS": world.settings.artifacts,
    }

    def told() -> dict[str, int]:
        events = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        return {each["request_id"]: each["status"] for each in events if each["event"] == "request"}

    with process(log, "uvicorn", "app.main:create_app", "--factory", "--port", str(port), **environment):
        wait_until(lambda: "Uvicorn running" in log.read_text(), "the API listens")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            answered = walk(client, world)
        wait_until(lambda: f"mistake-{len(answered)}" in told(), "the line of the upload that broke off")
    assert set(answered) == {400, 401, 403, 404, 405, 409, 413, 415, 422, 429}
    assert [told()[f"mistake-{number}"] for number in range(len(answered))] == answered
    text = log.read_text()
    for each in lines_of(text):
        assert "exception" not in each
        assert each["level"] in ("info", "warning")
    assert "Traceback" not in text
    assert not [word for word in (*HUSH, keys.PREFIX) if word in text]
    assert first not in text
    world.database.close()
