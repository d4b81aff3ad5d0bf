"""What Prometheus is told: true, bounded, and told even while the database is away."""

import asyncio
import os
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app import telemetry
from app.main import create_app
from app.resources import Resources
from app.serving import studio
from app.serving.studio import MOST_TOGETHER
from store import census, claims, workers
from store.database import Database
from store.settings import Settings
from store.workers import Memory
from tests.app.test_crowds import asked
from tests.app.world import LOOPBACK, World

Figures = dict[tuple[str, ...], float]


def read(text: str) -> Figures:
    """Read figures by name and the values of their labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client: TestClient) -> Figures:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return read(answer.text)


def held_by(client: TestClient) -> Resources:
    held: Resources = client.app.state.resources  # type: ignore[attr-defined]
    return held


def test_requests_are_counted_by_route_and_never_by_what_clients_make_up(client: TestClient) -> None:
    for _ in range(3):
        assert client.get(f"/jobs/{uuid.uuid4()}").status_code == 404
        assert client.get(f"/{uuid.uuid4()}").status_code == 404
        assert client.request(f"M{uuid.uuid4().hex}", "/livez").status_code == 405
    found = scrape(client)
    assert found["ganymede_http_requests_total", "GET", "/jobs/{job_id}", "404"] == 3
    assert found["ganymede_http_requests_total", "GET", "other", "404"] == 3
    assert found["ganymede_http_requests_total", "other", "/livez", "405"] == 3
    assert found["ganymede_http_request_duration_seconds_count", "GET", "/jobs/{job_id}"] == 3
    assert {name[1] for name in found if name[0] == "ganymede_http_requests_total"} <= {"GET", "other"}
    assert found["ganymede_http_requests_in_flight",] == 1


def test_faults_are_counted(world: World) -> None:
    app = create_app(world.settings)

    @app.get("/faulty")
    def faulty() -> None:
        raise RuntimeError

    with TestClient(app, LOOPBACK) as client:
        client.get("/faulty")
        assert scrape(client)["ganymede_http_requests_total", "GET", "/faulty", "500"] == 1


def test_images_are_counted_beside_the_passes_that_drew_them(client: TestClient, world: World) -> None:
    world.trained(100)
    for query in ("", "?n=4", f"?n={MOST_TOGETHER + 1}&format=npz", "?n=1001&format=npz"):
        assert client.get(f"/sample{query}").status_code == 200
    found = scrape(client)
    assert found["ganymede_images_drawn_total", "together"] == 5
    assert found["ganymede_executions_total",] == 2
    assert found["ganymede_images_drawn_total", "apart"] == MOST_TOGETHER + 1 + 1001


@pytest.mark.parametrize(("limit", "query"), [("MOST_WAITING", ""), ("LARGE_WAITING", "?n=1000&format=npz")])
def test_who_is_refused_in_a_crowd_is_counted(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch, limit: str, query: str
) -> None:
    world.trained(100)
    assert scrape(client)["ganymede_requests_crowded_total",] == 0
    monkeypatch.setattr(studio, limit, 0)
    assert client.get(f"/sample{query}").status_code == 503
    assert scrape(client)["ganymede_requests_crowded_total",] == 1


def test_event_streams_are_counted_while_they_are_open(world: World) -> None:
    job = world.submit()

    async def follow() -> list[float]:
        async with asked(world) as (http, held):

            async def streams() -> float:
                return read((await http.get("/metrics")).text)["ganymede_event_streams",]

            stream = held.broadcast.listen(job.number, 0)
            await anext(stream)
            opened = await streams()
            await stream.aclose()
            return [opened, await streams()]

    assert asyncio.run(follow()) == [1, 0]


def test_webhooks_are_counted_by_how_they_went(client: TestClient) -> None:
    held_by(client).messenger.tries["webhook_failed"] += 2
    found = scrape(client)
    assert [found["ganymede_webhook_tries_total", each] for each in ("delivered", "failed", "refused")] == [0, 2, 0]


def test_jobs_and_workers_are_those_of_the_whole_service(client: TestClient, world: World) -> None:
    held = world.start()
    world.report(held, [(1, {"d_loss": 1.0})])
    world.submit()
    with world.database.write() as connection:
        workers.announce(connection, "worker-1", "host", 7, "cuda:0", Memory(1 << 30, 80 << 30))
        workers.announce(connection, "worker-2", "host", 8, "cpu")
    found = scrape(client)
    assert [found["ganymede_jobs", state] for state in ("queued", "running", "failed")] == [1, 1, 0]
    assert found["ganymede_training_images_per_second",] == 640
    assert 0 <= found["ganymede_queue_longest_wait_seconds",] < 60
    assert found["ganymede_workers",] == 2
    memory = {name: value for name, value in found.items() if name[0].startswith("ganymede_gpu")}
    assert memory == {
        ("ganymede_gpu_memory_used_bytes", "worker-1"): 1 << 30,
        ("ganymede_gpu_memory_bytes", "worker-1"): 80 << 30,
    }


def test_a_lost_lease_is_told_as_a_rise_from_nothing(client: TestClient, world: World) -> None:
    lost = ("ganymede_attempts_failed_total", "worker_lost")
    assert scrape(client)[lost] == 0
    world.submit()
    with world.database.write() as connection:
        assert claims.claim(connection, "worker-1", timedelta(0)) is not None
    with world.database.write() as connection:
        claims.reap(connection)
    assert scrape(client)[lost] == 1


def test_without_a_database_the_rest_is_told(settings: Settings) -> None:
    with TestClient(create_app(settings), LOOPBACK) as client:
        found = scrape(client)
        assert found["ganymede_database_up",] == 0
        assert ("ganymede_executions_total",) in found
        assert not [name for name in found if name[0] in ("ganymede_jobs", "ganymede_workers")]
        Database(settings.database).migrate()
        found = scrape(client)
        assert (found["ganymede_database_up",], found["ganymede_jobs", "queued"]) == (1, 0)


def test_a_database_that_hangs_keeps_one_scrape_and_nobody_else(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, asking, over = census.take, threading.Event(), threading.Event()

    def hang(connection: object) -> census.Census:
        asking.set()
        over.wait()
        return take(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(census, "take", hang)
    monkeypatch.setattr(telemetry, "PATIENCE_SECONDS", 0.05)
    with ThreadPoolExecutor() as threads:
        hanging = threads.submit(scrape, client)
        assert asking.wait(10)
        try:
            assert threads.submit(scrape, client).result(10)["ganymede_database_up",] == 0
            assert client.get("/livez").status_code == 200
        finally:
            over.set()
        assert hanging.result(10)["ganymede_database_up",] == 1


def test_onnx_runtime_tells_nobody_of_its_use(tmp_path: Path) -> None:
    """Its sender would keep the machine's id and what waits to be sent in the user's cache folder."""
    told = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", "import app.main"], env=told, check=True, timeout=60)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
