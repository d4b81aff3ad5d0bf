"""The service as a whole: problems, ids, limits, families, workers, health, the doorbell, the reaper."""

import gc
import json
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import text
from starlette.testclient import TestClient

from app.main import create_app
from app.requests import MOST_BODY_BYTES
from ganmodels.specs import FAMILIES
from store import claims, jobs, workers
from store.database import Database
from store.settings import Settings
from tests.app.world import LOOPBACK, World

# Routes that wait on many clients at once, each with its reason. Any other `async def` would block them all.
ASYNC_ROUTES: dict[str, str] = {
    "/sample": "waits for the catalog and the studio, which draws on the loop for some milliseconds at most",
    "/interpolate": "as /sample",
}


def eventually(seen: Callable[[], bool]) -> None:
    """Wait for what another thread does; the test's own time limit ends a wait in vain."""
    while not seen():
        time.sleep(0.01)


@contextmanager
def frozen_redis(path: Path) -> Iterator[threading.Event]:
    """Accept connections and never answer; the event says that somebody has come."""
    came, kept = threading.Event(), []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return
                came.set()

        thread = threading.Thread(target=accept)
        thread.start()
        yield came
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/jobs/", 404),
        ("PUT", "/jobs", 405),
        ("POST", "/families", 405),
        ("GET", "/jobs/7", 422),
        ("GET", "/jobs/00000000-0000-4000-8000-000000000000", 404),
        ("GET", "/families/stylegan", 404),
        ("GET", "/livez?x=1", 422),
    ],
)
def test_every_refusal_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    for part in ("type", "title", "detail"):
        assert problem[part]


def test_a_method_that_is_not_allowed_hears_which_are(client: TestClient) -> None:
    assert client.put("/jobs").headers["Allow"] == "GET, POST"
    assert client.delete("/sample").headers["Allow"] == "GET, POST"


def test_a_request_id_is_kept_where_it_is_harmless(client: TestClient) -> None:
    assert client.get("/livez", headers={"X-Request-ID": "trace-7"}).headers["X-Request-ID"] == "trace-7"
    for wrong in ("", "two words", "x" * 129, "a\tb", 'quote"'):
        made = client.get("/livez", headers={"X-Request-ID": wrong}).headers["X-Request-ID"]
        assert str(uuid.UUID(made)) == made


def test_a_request_leaves_one_line_of_json(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    client.get("/livez", headers={"X-Request-ID": "trace-7", "Authorization": "Bearer secret"})
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "trace-7" in line]
    told = json.loads(line)
    assert (told["event"], told["method"], told["path"], told["status"]) == ("request", "GET", "/livez", 200)
    assert "secret" not in line


def test_a_fault_of_ours_is_a_problem_whose_traceback_is_in_the_log(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    app = create_app(world.settings)

    @app.get("/faulty")
    def faulty() -> None:
        raise RuntimeError("what must not leak")

    with TestClient(app, LOOPBACK) as client:
        answer = client.get("/faulty")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "leak" not in answer.text
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "Traceback" in line]
    assert "what must not leak" in line
    assert json.loads(line)["request_id"] == answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_a_body_has_a_limit_announced_or_not(client: TestClient) -> None:
    kind = {"Content-Type": "application/json"}
    body = b" " * (MOST_BODY_BYTES - 40) + b'{"family": "cgan", "dataset": "digits"}'
    assert client.post("/jobs", content=body, headers=kind).status_code == 202
    too_much = b" " * MOST_BODY_BYTES + b"{}"
    announced = client.post("/jobs", content=too_much, headers=kind)
    streamed = client.post("/jobs", content=iter([too_much[:1000], too_much[1000:]]), headers=kind)
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert "1,048,576" in answer.json()["detail"]


def test_no_route_blocks_the_others(world: World) -> None:
    routes = [context.original_route for context in iter_route_contexts(create_app(world.settings).routes)]
    endpoints = {route.path: route.endpoint for route in routes if isinstance(route, APIRoute)}
    assert "/sample" in endpoints
    blocking = {path for path, endpoint in endpoints.items() if endpoint.__code__.co_flags & 0x80}
    assert blocking == set(ASYNC_ROUTES)


def test_looking_for_garbage_leaves_out_what_is_loaded() -> None:
    assert not any(found is create_app for found in gc.get_objects())


def test_importing_the_api_loads_no_torch() -> None:
    seen = "import sys, app.main; app.main.create_app(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"


def test_families_say_what_they_are(client: TestClient) -> None:
    families = client.get("/families").json()["data"]
    assert [family["name"] for family in families] == list(FAMILIES)
    for family in families:
        assert client.get(family["url"]).json() == family
        assert family["defaults"]["quick"]["total_steps"] > 0
        assert set(family["defaults"]["quick"]) | {"family", "preset"} == set(family["spec_schema"]["properties"])
        assert family["paper_url"].startswith("https://")
        assert set(family["serves"]) & {"images", "classes"}
        assert set(family["serves"]) <= {"images", "labels", "classes", "scores"}


def test_the_defaults_told_are_the_ones_that_a_job_gets(client: TestClient) -> None:
    for family in client.get("/families").json()["data"]:
        for preset, defaults in family["defaults"].items():
            job = client.post("/jobs", json={"family": family["name"], "preset": preset}).json()
            assert {**defaults, "family": family["name"], "preset": preset} == job["spec"]


def test_workers_tell_what_they_hold(client: TestClient, world: World) -> None:
    assert client.get("/workers").json()["data"] == []
    with world.database.write() as connection:
        workers.announce(connection, "worker-1", "host", 7, "cpu")
    assert [worker["job_id"] for worker in client.get("/workers").json()["data"]] == [None]
    held = world.start()
    (worker,) = client.get("/workers").json()["data"]
    assert (worker["id"], worker["device"], worker["job_id"]) == ("worker-1", "cpu", held.job.id)


def test_a_silent_doorbell_degrades_the_service_and_does_not_end_it(client: TestClient) -> None:
    eventually(lambda: client.app.state.resources.caretaker.doorbell_answers is False)  # type: ignore[attr-defined]
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["doorbell"]["ok"] is False
    assert answer.json()["checks"]["database"]["ok"] is True
    assert client.get("/livez").json() == {"status": "alive"}


def test_a_database_without_tables_is_not_ready(settings: Settings) -> None:
    with TestClient(create_app(settings), LOOPBACK) as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["schema"] == {
            "ok": False,
            "detail": f"RuntimeError: revision None, expected {Database(settings.database).revisions()[1]}",
        }
        assert client.get("/jobs").status_code == 503
        assert client.get("/livez").status_code == 200
        Database(settings.database).migrate()
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(("found", "status"), [("0001", 503), ("9999", 200)], ids=["an earlier", "a later"])
def test_ready_on_the_tables_of_a_later_version_and_of_no_earlier_one(
    client: TestClient, world: World, found: str, status: int
) -> None:
    assert client.get("/readyz").status_code == 200
    with world.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})
    assert client.get("/readyz").status_code == status


def test_a_missing_folder_of_artifacts_is_not_ready(client: TestClient, world: World) -> None:
    assert client.get("/readyz").json()["checks"]["artifacts"]["ok"] is True
    Path(world.settings.artifacts).rmdir()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["artifacts"]["ok"] is False


def test_a_frozen_doorbell_delays_no_answer(world: World, tmp_path: Path) -> None:
    """Whoever waits for the doorbell waits half a minute each time, and this test for the end of its patience."""
    path = tmp_path / "frozen.sock"
    changes = {"redis_url": f"redis+socket://{path}", "redis_timeout_seconds": 30.0}
    with frozen_redis(path) as came:
        with TestClient(create_app(world.settings.model_copy(update=changes)), LOOPBACK) as client:
            for _ in range(50):  # more than there are threads to wait in
                assert client.post("/jobs", json={"family": "cgan", "dataset": "digits"}).status_code == 202
            assert came.wait()
            assert client.get("/readyz").json()["status"] == "degraded"


def test_a_silent_worker_loses_its_job_to_the_queue(world: World) -> None:
    job = world.submit()
    with world.database.write() as connection:
        assert claims.claim(connection, "worker-1", timedelta(0)) is not None

    def returned() -> bool:
        with world.database.read() as connection:
            return jobs.get(connection, job.id).state == "queued"

    with TestClient(create_app(world.settings.model_copy(update={"poll_seconds": 0.05}))):
        eventually(returned)


def test_stopping_ends_the_caretaker(world: World) -> None:
    with TestClient(create_app(world.settings), LOOPBACK) as client:
        thread = client.app.state.resources.caretaker._thread  # type: ignore[attr-defined]
        assert thread.is_alive()
    assert not thread.is_alive()
