"""Webhooks: told once it has happened, signed, again until they hear it, and never into a private network."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import select, update
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.testclient import TestClient

from app import messenger
from app.destinations import DestinationRefused, resolve
from app.messenger import MOST_TRIES, Messenger, secret_of
from app.telemetry import TRIES
from ganmodels.specs import SPEC
from store import claims, events, jobs, tables
from store.clock import now
from store.jobs import Job
from tests.app.world import World


@dataclass
class Receiver:
    """What was heard, and what is answered: one status after another, the last for ever."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    wait: float = 0.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.heard.append((dict(self.headers), body))
            time.sleep(made.wait)
            status = made.statuses.pop(0) if len(made.statuses) > 1 else made.statuses[0]
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", made.url + "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def told(world: World, job: Job) -> list[tuple[str, dict[str, Any]]]:
    """What the job's events say of its webhooks."""
    with world.database.read() as connection:
        found = events.page(connection, job.number, 0, 1000)[0]
    return [(one.type, dict(one.data)) for one in found if one.type.startswith("webhook")]


def ended(world: World, url: str, **more: Any) -> Job:
    held = world.start(webhooks=[{"url": url, **more}])
    world.succeed(held)
    return held.job


def send(world: World, sender: Messenger, rounds: int = 1) -> None:
    """Send what is due, time after time, without waiting for its time."""
    for _ in range(rounds):
        with world.database.write() as connection:
            connection.execute(
                update(tables.deliveries).where(tables.deliveries.c.next_at.is_not(None)).values(next_at=now())
            )
        asyncio.run(sender.send_due())


@pytest.fixture
def sender(world: World) -> Messenger:
    return Messenger(world.settings, world.database)


def test_the_end_of_a_job_is_told_once_and_its_signature_holds(
    world: World, sender: Messenger, receiver: Receiver
) -> None:
    job = ended(world, receiver.url + "/hook")
    send(world, sender, rounds=3)
    ((headers, body),) = receiver.heard
    secret = secret_of(world.settings)
    message = Webhook(secret).verify(body, headers)
    assert (message["type"], message["data"]["job"]) == ("job.succeeded", job.id)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"succeeded", b"failed"), headers)
    assert told(world, job) == [("webhook_delivered", {"url": receiver.url + "/hook", "try": 1, "status": 204})]


def test_only_the_events_that_were_asked_for_are_told(world: World, sender: Messenger, receiver: Receiver) -> None:
    held = world.start(webhooks=[{"url": receiver.url, "events": ["running", "checkpoint"]}])
    world.checkpoint(held, 100)
    world.succeed(held)
    send(world, sender)
    assert sorted(json.loads(body)["type"] for _, body in receiver.heard) == ["job.checkpoint", "job.running"]


def test_a_receiver_that_is_down_is_tried_again_with_the_same_message(
    world: World, sender: Messenger, receiver: Receiver
) -> None:
    receiver.statuses = [500, 503, 200]
    job = ended(world, receiver.url)
    send(world, sender, rounds=5)
    assert len(receiver.heard) == 3
    assert len({(headers["webhook-id"], body) for headers, body in receiver.heard}) == 1
    assert [(type_, data["try"]) for type_, data in told(world, job)] == [
        *(("webhook_failed", 1), ("webhook_failed", 2), ("webhook_delivered", 3)),
    ]
    first, second, _ = (data for _, data in told(world, job))
    assert (first["reason"], second["reason"]) == ("it answered 500", "it answered 503")
    assert first["again_in_seconds"] < second["again_in_seconds"]


def test_nobody_is_tried_for_ever(world: World, sender: Messenger) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        job = ended(world, f"http://127.0.0.1:{closed.getsockname()[1]}")
        send(world, sender, rounds=MOST_TRIES + 3)
    said = told(world, job)
    assert [type_ for type_, _ in said] == ["webhook_failed"] * MOST_TRIES
    assert ["again_in_seconds" in data for _, data in said] == [True] * (MOST_TRIES - 1) + [False]


def test_a_redirect_is_not_followed_and_one_that_is_gone_is_left_alone(
    world: World, sender: Messenger, receiver: Receiver
) -> None:
    receiver.statuses = [302, 410]
    job = ended(world, receiver.url)
    send(world, sender, rounds=4)
    assert len(receiver.heard) == 2
    (failed, why), (refused, gone) = told(world, job)
    assert (failed, refused) == ("webhook_failed", "webhook_refused")
    assert "redirects are not followed" in why["reason"]
    assert "410" in gone["reason"]


def test_a_slow_receiver_is_not_waited_for(
    world: World, sender: Messenger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messenger, "PATIENCE_SECONDS", 0.3)
    receiver.wait = 2
    job = ended(world, receiver.url)
    send(world, sender)
    ((type_, data),) = told(world, job)
    assert (type_, data["reason"]) == ("webhook_failed", "no answer in 0.3 s")


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.7",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "fd00::1",
        "::ffff:10.0.0.8",
    ],
)
def test_a_name_that_leads_into_a_private_network_is_refused(
    world: World, sender: Messenger, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    looked_up = [(family, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: looked_up)
    job = ended(world, "https://inside.example.org/hook")
    send(world, sender, rounds=3)
    ((type_, data),) = told(world, job)
    assert type_ == "webhook_refused"
    assert f"is {address.removeprefix('::ffff:')}," in data["reason"]


def test_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, 443)) for place in ("93.184.215.14", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: looked_up)
    with pytest.raises(DestinationRefused, match=r"10\.0\.0\.7"):
        asyncio.run(resolve("https://example.org/hook", loopback=True))


def test_what_was_looked_up_is_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: looked_up)
    (found,) = asyncio.run(resolve("https://example.org:8443/hook?a=1", loopback=False))
    assert (str(found.url), found.host, found.name) == (
        *("https://93.184.215.14:8443/hook?a=1", "example.org:8443", "example.org"),
    )


def test_a_service_that_others_reach_does_not_call_its_own_machine(world: World, receiver: Receiver) -> None:
    public = Messenger(world.settings.model_copy(update={"host": "0.0.0.0"}), world.database)
    job = ended(world, receiver.url)
    send(world, public)
    assert receiver.heard == []
    assert told(world, job)[0][0] == "webhook_refused"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "ftp://example.org",
        "example.org",
        "http://localhost.evil.org",
        "http://127.0.0.1@evil.org",
    ],
)
def test_an_address_that_is_neither_https_nor_this_machine_is_refused_in_the_spec(url: str) -> None:
    with pytest.raises(ValidationError):
        SPEC.validate_python({"family": "gan", "webhooks": [{"url": url}]})


def test_a_job_that_is_deleted_meanwhile_is_told_of_no_more(
    world: World, sender: Messenger, receiver: Receiver
) -> None:
    job = ended(world, receiver.url)
    with world.database.write() as connection:
        jobs.delete(connection, job.id)
    send(world, sender)
    assert receiver.heard == []


def test_a_delivery_taken_by_a_messenger_that_died_is_made_later(
    world: World, sender: Messenger, receiver: Receiver
) -> None:
    ended(world, receiver.url)
    with world.database.write() as connection:
        (taken,) = messenger.deliveries.take(connection, 10, messenger.LEASE)
        assert messenger.deliveries.take(connection, 10, messenger.LEASE) == []
    assert taken.tries == 1
    send(world, sender)
    assert len(receiver.heard) == 1


def test_events_that_never_committed_are_told_to_nobody(world: World, sender: Messenger, receiver: Receiver) -> None:
    held = world.start(webhooks=[{"url": receiver.url}])

    def succeed_in_vain() -> None:
        with world.database.write() as connection:
            claims.succeed(connection, held)
            raise RuntimeError("before the commit")

    with pytest.raises(RuntimeError):
        succeed_in_vain()
    send(world, sender)
    assert receiver.heard == []
    with world.database.read() as connection:
        assert connection.execute(select(tables.deliveries)).all() == []


def test_tries_are_counted_by_how_they_went_and_logged_without_the_path(
    world: World, sender: Messenger, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.statuses = [204, 302, 410]
    for rounds in (1, 2):
        ended(world, receiver.url + "/hush")
        send(world, sender, rounds)
    assert sender.tries == dict.fromkeys(TRIES.values(), 1)
    said = "".join(capfd.readouterr())
    assert "webhook_delivered" in said
    assert "hush" not in said


def test_the_service_tells_by_itself(client: TestClient, world: World, receiver: Receiver) -> None:
    ended(world, receiver.url)
    deadline = time.monotonic() + 30
    while not receiver.heard and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(receiver.heard) == 1


def test_the_secret_is_made_once_and_is_the_owner_s_alone(world: World) -> None:
    secret = secret_of(world.settings)
    assert secret == secret_of(world.settings)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert (world.settings.home / "webhook-secret").stat().st_mode & 0o777 == 0o600
    given = world.settings.model_copy(update={"webhook_secret": SecretStr("whsec_c2VjcmV0")})
    assert secret_of(given) == "whsec_c2VjcmV0"
