"""The walk from a posted job to served images, on real processes, through stops, kills and restarts."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import ENDLESS, Running, eventually, final_digest, kill_all

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FINISHED = ("succeeded", "failed", "cancelled")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def finished(running: Running) -> str:
    """Train one job that nobody disturbs."""
    job = running.submit()
    assert running.await_state(job, *FINISHED)["state"] == "succeeded"
    return job


def test_images_come_from_newer_and_newer_checkpoints_while_training_goes_on(running: Running) -> None:
    job = running.submit(total_steps=600)
    running.await_checkpoint(job)
    steps: list[int] = []

    def look() -> bool | None:
        still_trains = running.job(job)["state"] not in FINISHED
        answer = running.http.get("/sample", params={"label": 7, "job": job})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
        assert answer.content.startswith(PNG)
        assert answer.headers["X-Label"] == "7"
        if still_trains:
            steps.append(int(answer.headers["X-Checkpoint-Step"]))
        return None if still_trains else True

    eventually(look, "the job to finish")
    assert running.job(job)["state"] == "succeeded"
    assert steps == sorted(steps)
    assert len(set(steps)) > 1, "no newer checkpoint was served before the end"


def test_a_finished_job_leaves_its_whole_record(running: Running, finished: str) -> None:
    done = running.job(finished)
    assert done["progress"]["step"] == done["progress"]["total_steps"] == done["latest_checkpoint"]["step"]
    assert {"d_loss", "g_loss"} <= set(done["metrics"])
    checkpoints = running.items(f"/jobs/{finished}/checkpoints")
    assert {"state.safetensors", "generator.onnx", "card.json"} <= set(checkpoints[0]["files"])
    assert [checkpoint["step"] for checkpoint in checkpoints] == sorted(
        (checkpoint["step"] for checkpoint in checkpoints), reverse=True
    )
    previews = running.items(f"/jobs/{finished}/previews")
    assert sorted(preview["step"] for preview in previews) == [100, 200, 300, 400]
    assert running.http.get(f"/jobs/{finished}/previews/400.png").content.startswith(PNG)
    assert running.http.get(f"/jobs/{finished}/metrics").json()["data"]
    numbers = [event["id"] for event in running.items(f"/jobs/{finished}/events")]
    assert numbers == sorted(set(numbers))
    told = told_of(running, finished)
    assert (told[:3], told[-2:]) == (["queued", "starting", "running"], ["succeeded", "done"])


def test_a_cancelled_job_stops_and_frees_its_worker(running: Running) -> None:
    job = running.submit(**ENDLESS)
    running.await_state(job, "running")
    assert running.http.post(f"/jobs/{job}/cancel").status_code == 202
    assert running.await_state(job, *FINISHED)["state"] == "cancelled"
    assert running.await_state(running.submit(total_steps=20), *FINISHED)["state"] == "succeeded"


def test_a_paused_job_frees_its_worker_and_ends_as_if_it_had_never_stopped(running: Running, finished: str) -> None:
    job = running.submit()
    running.await_checkpoint(job)
    assert running.http.post(f"/jobs/{job}/pause").status_code == 202
    paused = running.await_state(job, "paused", *FINISHED)
    assert paused["state"] == "paused", "the job was over before it was paused"
    assert running.await_state(running.submit(total_steps=20), *FINISHED)["state"] == "succeeded"
    assert running.job(job)["progress"]["step"] == paused["progress"]["step"]
    assert running.http.post(f"/jobs/{job}/resume").json()["state"] == "queued"
    done = running.await_state(job, *FINISHED)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)
    assert final_digest(running, job) == final_digest(running, finished)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads what a process has loaded from Linux's /proc")
def test_only_a_training_child_loads_torch(running: Running) -> None:
    job = running.submit(**ENDLESS)
    running.await_checkpoint(job)
    assert running.http.get("/sample", params={"label": 7, "job": job}).status_code == 200
    loaded = {words: [has_torch(process) for process in running.processes(words)] for words in ("uvicorn", "celery")}
    assert loaded == {"uvicorn": [False], "celery": [False]}
    assert any(has_torch(process) for process in running.processes("worker.child"))
    running.http.post(f"/jobs/{job}/cancel")
    running.await_state(job, "cancelled")


def test_a_killed_child_changes_nothing_in_the_end(running: Running, finished: str) -> None:
    killed = running.submit()
    running.await_checkpoint(killed)
    kill_all(running.processes("worker.child"))
    assert running.job(killed)["state"] not in FINISHED, "the job was over before its child was killed"
    done = running.await_state(killed, *FINISHED)
    assert (done["state"], done["error"]) == ("succeeded", None)
    assert told_of(running, killed).count("starting") == 2
    assert final_digest(running, killed) == final_digest(running, finished)


def test_a_killed_worker_is_replaced_and_its_job_goes_on(running: Running) -> None:
    job = running.submit(**{**ENDLESS, "total_steps": 800})
    running.await_checkpoint(job)
    kill_all(running.processes("celery"))
    assert running.await_state(job, *FINISHED)["state"] == "succeeded"


def test_a_stop_and_a_start_lose_nothing(running: Running, finished: str) -> None:
    draw = {"job": finished, "label": 7, "n": 4, "seed": 5}
    before = running.http.get("/sample", params=draw)
    interrupted, waiting = running.submit(total_steps=1000), running.submit(total_steps=20)
    running.await_checkpoint(interrupted)
    assert running.job(waiting)["state"] == "queued"
    started = running.processes("")
    running.restart()
    assert [process for process in started if process.is_running()] == []
    after = running.http.get("/sample", params=draw)
    assert (after.status_code, after.content) == (200, before.content)
    assert after.headers["ETag"] == before.headers["ETag"]
    assert running.await_state(waiting, *FINISHED)["state"] == "succeeded"
    done = running.await_state(interrupted, *FINISHED)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)


def test_every_line_of_the_logs_is_an_event_that_names_what_it_is_about(running: Running, finished: str) -> None:
    told = {service: events_of(running.log(service)) for service in ("api", "worker")}
    requests = [event for event in told["api"] if event["event"] == "request"]
    assert requests
    assert all(event["request_id"] and event["status"] for event in requests)
    begun, over = (attempts_that(were, told["worker"]) for were in ("begun", "over"))
    assert finished in {job for _, job, _ in over}
    assert over <= begun
    assert any(event.get("logger", "").startswith("celery") for event in told["worker"])


def test_no_answer_says_what_the_service_runs_on(running: Running) -> None:
    for path in ("/livez", "/jobs", "/nowhere"):
        assert "Server" not in running.http.get(path).headers


def test_jobs_start_without_the_doorbell(running: Running) -> None:
    kill_all(running.processes("redis-server"))
    job = running.submit(total_steps=20)
    assert running.await_state(job, *FINISHED)["state"] == "succeeded"


def events_of(log: str) -> list[dict[str, Any]]:
    """Read a log as far as its lines are whole."""
    whole, _, _ = log.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def attempts_that(were: str, told: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
    """Give worker, job and token of each attempt that a worker's log says this of."""
    return {(event["worker"], event["job"], event["token"]) for event in told if event["event"] == f"attempt {were}"}


def has_torch(process: psutil.Process) -> bool:
    return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text(errors="replace")


def told_of(running: Running, job: str) -> list[str]:
    return [event["type"] for event in running.items(f"/jobs/{job}/events")]
