"""What only docker-compose.yml's stack has: containers that are stopped, killed and restarted, replicas, Prometheus."""

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ganymede.stack import Stack
from tests.e2e import composed
from tests.e2e.composed import await_well, compose, containers, inside, secret
from tests.e2e.conftest import ENDLESS, Running, eventually
from tests.e2e.test_stack import FINISHED, final_digest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not composed.is_asked_for(), reason="run by `make compose-check`"),
]

USER = 10001
MOST_BYTES_ON_TOP = 300_000_000
LONG = {"total_steps": 800}


@pytest.fixture(scope="module")
def undisturbed(running: Running) -> str:
    """Train one job that nobody disturbs."""
    job = running.submit(**LONG)
    assert running.await_state(job, *FINISHED)["state"] == "succeeded"
    return job


class Client:
    """Asks for one checkpoint's images again and again, in a thread of its own."""

    def __init__(self, running: Running, job: str) -> None:
        self.answers: Counter[int | str] = Counter()
        self._over = threading.Event()
        self._url = f"{running.stack.url}/sample"
        self._query = {"job": job, "label": 7}
        self._told = {"Authorization": f"Bearer {running.key}"}
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with httpx.Client(headers=self._told, timeout=30, trust_env=False) as http:
            while not self._over.wait(0.02):
                try:
                    answer = http.get(self._url, params={**self._query, "seed": sum(self.answers.values())})
                except httpx.TransportError as gone:
                    self.answers[type(gone).__name__] += 1
                else:
                    self.answers[answer.status_code] += 1

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def stop_and_start(service: str) -> None:
    compose("stop", "--timeout", "30", service)
    time.sleep(3)
    compose("start", service)


def crash(service: str) -> None:
    """Kill it from outside; its restart policy brings it back."""
    (container,) = containers(service)
    os.kill(container["State"]["Pid"], signal.SIGKILL)
    eventually(lambda: containers(service)[0]["RestartCount"] > container["RestartCount"] or None, "a new start")


def restart(service: str) -> None:
    compose("restart", service)


@pytest.mark.parametrize("bounce", [stop_and_start, crash, restart])
@pytest.mark.parametrize("service", ["api", "worker", "redis", "postgres"])
def test_whatever_is_bounced_the_job_ends_as_if_nothing_had_happened(
    running: Running, undisturbed: str, service: str, bounce: Any
) -> None:
    job = running.submit(**LONG)
    running.await_checkpoint(job)
    with Client(running, undisturbed) as client:
        eventually(lambda: client.answers[200] or None, "the client's first image")
        bounce(service)
        await_well()
        done = eventually(lambda: over(running, job), "the job to end")
    assert (done["state"], done["error"]) == ("succeeded", None)
    assert final_digest(running, job) == final_digest(running, undisturbed)
    if service != "api":
        assert set(client.answers) == {200}
    assert client.answers[200] > 10


def over(running: Running, job: str) -> dict[str, Any] | None:
    """Return the job once it has ended; an API that is just starting says nothing."""
    try:
        answer = running.http.get(f"/jobs/{job}")
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 and answer.json()["state"] in FINISHED else None


@contextmanager
def doubled() -> Iterator[list[str]]:
    """Run a second API and a second worker; give the addresses of both APIs."""
    compose("--profile", "api2", "up", "--detach", "--no-build", "--no-recreate", "--scale=worker=2")
    try:
        await_well()
        yield [compose("--profile", "api2", "port", service, "8000").strip() for service in ("api", "api2")]
    finally:
        compose("--profile", "api2", "rm", "--stop", "--force", "api2")
        compose("up", "--detach", "--no-build", "--no-recreate", "--scale=worker=1")


def test_two_replicas_and_two_workers_work_together(running: Running, undisturbed: str) -> None:
    with doubled() as addresses:
        told = {"Authorization": f"Bearer {running.key}"}
        one, other = (httpx.Client(base_url=f"http://{url}", headers=told, timeout=60) for url in addresses)
        with one, other:
            jobs = [
                http.post("/jobs", json={**ENDLESS, "seed": seed}).json()["id"]
                for seed, http in enumerate((one, other))
            ]
            eventually(lambda: all(running.job(job)["state"] == "running" for job in jobs) or None, "both to run")
            assert len({running.items(f"/jobs/{job}/logs")[0]["worker"] for job in jobs}) == 2
            with other.stream("GET", f"/jobs/{jobs[0]}/events", headers={"Accept": "text/event-stream"}) as events:
                assert one.post(f"/jobs/{jobs[0]}/cancel").status_code == 202
                assert any("cancelled" in line for line in events.iter_lines())
            assert other.post(f"/jobs/{jobs[1]}/cancel").status_code == 202
            drawn = [http.get("/sample", params={"job": undisturbed, "seed": 3}) for http in (one, other)]
            assert drawn[0].status_code == 200
            assert drawn[0].content == drawn[1].content
            assert drawn[0].headers["ETag"] == drawn[1].headers["ETag"]
            eventually(lambda: scraped() == ["up", "up"] or None, "Prometheus to scrape both")


def scraped() -> list[str]:
    """Return the health of everything that Prometheus scrapes."""
    answer = httpx.get(f"http://{compose('port', 'prometheus', '9090').strip()}/api/v1/targets", timeout=10)
    return [target["health"] for target in answer.json()["data"]["activeTargets"]]


def test_prometheus_takes_the_figures_and_the_rules(running: Running) -> None:
    prometheus = httpx.Client(base_url=f"http://{compose('port', 'prometheus', '9090').strip()}", timeout=10)
    with prometheus:
        groups = eventually(lambda: evaluated(prometheus), "every rule to be evaluated")
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
        found = prometheus.get("/api/v1/query", params={"query": "sum(ganymede_jobs)"}).json()
        assert float(found["data"]["result"][0]["value"][1]) >= 1
    compose("exec", "-T", "prometheus", "promtool", "check", "config", "/etc/prometheus/compose.yml")
    text = running.http.get("/metrics").text
    said = inside("prometheus", "promtool", "check", "metrics", told=text)
    assert said.returncode == 0, said.stdout + said.stderr


def evaluated(prometheus: httpx.Client) -> list[dict[str, Any]] | None:
    groups: list[dict[str, Any]] = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return groups if rules and all(rule["health"] != "unknown" for rule in rules) else None


@pytest.mark.parametrize("service", ["api", "worker"])
def test_nothing_in_an_image_serves_an_intruder(running: Running, service: str) -> None:
    assert inside(service, "id", "-u").stdout.strip() == str(USER)
    for path in ("/srv/x", "/x", "/etc/x"):
        assert "Read-only file system" in inside(service, "touch", path).stderr
    for tool in ("gcc", "cc", "make", "git", "curl"):
        assert inside(service, "sh", "-c", f"command -v {tool}").returncode != 0, tool
    caches = inside(service, "sh", "-c", "ls -A /var/lib/apt/lists /root/.cache /srv/venv/bin/pip 2>/dev/null || true")
    assert caches.stdout.replace("/var/lib/apt/lists:", "").strip() == ""


def test_the_apis_image_is_small_and_has_no_torch() -> None:
    assert inside("api", "python", "-c", "import torch").returncode != 0
    assert inside("worker", "python", "-c", "import torch").returncode == 0
    layers = subprocess.run(
        ["docker", "history", "--format", "{{.Size}} {{.CreatedBy}}", "--human=false", "ganymede-api"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ours = [layer for layer in layers if "/srv/venv" in layer or "ganymede" in layer]
    assert len(ours) >= 2
    assert sum(int(layer.split()[0]) for layer in ours) < MOST_BYTES_ON_TOP


def test_a_backup_taken_as_documented_is_a_home(running: Running, undisturbed: str, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    place.mkdir()
    os.chown(place, USER, USER)
    command = ["python", "-m", "app.operate", "backup", "/backup/today"]
    assert "Backed up in /backup/today" in compose("run", "--rm", "-v", f"{place}:/backup", "api", *command)
    draw = {"job": undisturbed, "label": 7, "n": 4, "seed": 5}
    with Stack(place / "today", workers=0) as stack, httpx.Client(base_url=stack.url, timeout=60) as http:
        assert http.get(f"/jobs/{undisturbed}").json() == running.http.get(f"/jobs/{undisturbed}").json()
        assert http.get("/sample", params=draw).content == running.http.get("/sample", params=draw).content


def test_without_a_key_nobody_gets_in(running: Running) -> None:
    bare = httpx.Client(base_url=running.stack.url, timeout=10)
    with bare:
        assert bare.get("/livez").status_code == 200
        assert bare.get("/jobs").status_code == 401
        told = {"Authorization": f"Bearer {secret('GANYMEDE_SCRAPE_KEY')}"}
        assert bare.get("/metrics", headers=told).status_code == 200
        assert bare.post("/jobs", json=ENDLESS, headers=told).status_code == 403
