"""What each process says: one line of JSON for each event, without secrets, from the first line to the last."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from ganymede.stack import free_port
from store.settings import Settings

PATIENCE_SECONDS = 60
SECRETS = {
    # pragma: allowlist nextline secret
    "GANYMEDE_DATABASE_URL": "postgresql+psycopg://ganymede:hush-database@127.0.0.1:1/ganymede",
    "GANYMEDE_REDIS_URL": "redis://:hush-redis@127.0.0.1:1/0",
    "GANYMEDE_WEBHOOK_SECRET": "whsec_aHVzaC13ZWJob29rLWh1c2gtd2ViaG9vaw==",  # pragma: allowlist secret
    "GANYMEDE_ARTIFACTS": "s3://bucket/artifacts",
    "AWS_ENDPOINT": "http://127.0.0.1:1",
    "AWS_REGION": "nowhere",
    "AWS_ACCESS_KEY_ID": "hush-aws-id",
    "AWS_SECRET_ACCESS_KEY": "hush-aws-secret",
}
HUSH = ("hush", "aHVzaC13ZWJob29rLWh1c2gtd2ViaG9vaw")
SPEAK = """
import logging, threading, warnings
from store import logs
logs.configure("talkative")
logging.getLogger("talkative.part").info("told %d", 7)
logging.getLogger("quiet").info("not told")
logging.getLogger("quiet").warning("two\\nlines")
warnings.warn("careful")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("quiet").exception("caught")
thread = threading.Thread(target=lambda: {}["lost"], name="loser")
thread.start()
thread.join()
raise RuntimeError("the end")
"""


def lines_of(text: str) -> list[dict[str, Any]]:
    """Read a log; raises for a line that is no JSON."""
    told = [json.loads(line) for line in text.splitlines()]
    for each in told:
        assert {"event", "level", "timestamp"} <= set(each), each
    return told


def test_libraries_warnings_and_what_nothing_catches_are_told_in_one_line_each() -> None:
    ended = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    told, two, careful, caught, lost, end = lines_of(ended.stderr)
    assert (told["event"], told["logger"], told["level"]) == ("told 7", "talkative.part", "info")
    assert (two["event"], two["level"]) == ("two\nlines", "warning")
    assert "careful" in careful["event"]
    assert "ZeroDivisionError" in caught["exception"]
    assert (lost["event"], lost["thread"], lost["level"]) == ("uncaught", "loser", "critical")
    assert "KeyError: 'lost'" in lost["exception"]
    assert "RuntimeError: the end" in end["exception"]


@contextmanager
def process(log: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that writes to a file, and stop it in order."""
    surroundings = {**os.environ, **SECRETS, "GANYMEDE_HOME": str(log.parent), "GANYMEDE_POLL_SECONDS": "0.2"}
    with log.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, "-m", *command], env={**surroundings, **environment}, stdout=file, stderr=file
        )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(PATIENCE_SECONDS)


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"in vain for: {what}"
        time.sleep(0.05)


@pytest.mark.integration
def test_a_worker_in_trouble_says_so_in_json_without_a_secret(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"

    def troubled() -> bool:
        return all(word in log.read_text() for word in ("database away", "Cannot connect to redis"))

    with process(log, "worker", GANYMEDE_ARTIFACTS=str(tmp_path / "artifacts")):  # without them it does not start
        wait_until(troubled, "the worker misses its database and Redis")
    told = lines_of(log.read_text())
    assert {each["event"] for each in told} >= {"worker ready", "database away", "worker drained"}
    (worker,) = {each["worker"] for each in told if each["event"] in ("worker ready", "database away")}
    assert worker
    assert not [word for word in HUSH if word in log.read_text()]
    assert not any("exception" in each for each in told if each["event"] == "database away")


@pytest.mark.integration
def test_a_worker_without_its_bucket_says_so_without_a_secret(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with process(log, "worker") as worker:
        assert worker.wait(PATIENCE_SECONDS) == 1
    assert "The artifacts cannot be used: " in log.read_text()
    assert not [word for word in HUSH if word in log.read_text()]


@pytest.mark.integration
def test_an_api_in_trouble_says_so_in_json_without_a_secret(tmp_path: Path) -> None:
    log, port = tmp_path / "api.log", free_port()

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).is_success
        except httpx.TransportError:
            return False

    with process(log, "uvicorn", "app.main:create_app", "--factory", "--port", str(port)):
        wait_until(answers, "the API answers")
        headers = {"Authorization": "Bearer hush-key", "X-Request-ID": "trace-7"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False) as client:
            assert client.get("/jobs").status_code == 503
            assert client.get("/nothing").status_code == 404
            assert client.get("/sample?seed=hush-query").status_code == 422
            unready = client.get("/readyz")
    assert [name for name, check in unready.json()["checks"].items() if check["ok"]] == []
    assert not [word for word in HUSH if word in unready.text]
    told = lines_of(log.read_text())
    mine = [each for each in told if each.get("request_id") == "trace-7"]
    assert [each["status"] for each in mine if each["event"] == "request"] == [503, 404, 422, 503]
    assert not any("exception" in each for each in mine)
    assert any(each.get("logger") == "uvicorn.error" for each in told)
    assert not [word for word in HUSH if word in log.read_text()]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+psycopg//ganymede:hush@127.0.0.1:1/ganymede", "no URL"),
        ("postgresql+psycopg://ganymede:hush@127.0.0.1:hush/ganymede", "no URL"),  # pragma: allowlist secret
        ("postgresql+psycopg://ganymede:my@hush@127.0.0.1:1/ganymede", "more than one `@`"),  # pragma: allowlist secret
    ],
)
@pytest.mark.parametrize("command", ["worker", "uvicorn --factory app.main:create_app", "app.operate migrate"])
def test_a_database_that_is_wrongly_named_is_not_repeated(command: str, url: str, told: str) -> None:
    surroundings = {**os.environ, "GANYMEDE_DATABASE_URL": url}
    started = [sys.executable, "-m", *command.split()]
    ended = subprocess.run(started, env=surroundings, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    assert told in ended.stderr
    assert "hush" not in ended.stdout + ended.stderr
    if command.startswith("app.operate"):
        assert "Traceback" not in ended.stderr
    else:
        lines_of(ended.stderr)


def test_settings_do_not_show_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, "GANYMEDE_FIRST_KEY": "gm_hush"}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.database_url == SECRETS["GANYMEDE_DATABASE_URL"]
    assert not [word for word in HUSH if word in f"{settings!r} {settings}"]
    monkeypatch.setenv("GANYMEDE_PORT", "hush")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert not [word for word in HUSH if word in str(refused.value)]
