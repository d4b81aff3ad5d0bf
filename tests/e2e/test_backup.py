"""A running stack is backed up and restored by the commands of docs/operations.md, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Running, a_stack
from tests.e2e.test_stack import FINISHED, final_digest, told_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
]

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def command(verb: str) -> str:
    """Return the first command line of its kind in the documentation."""
    found = re.search(rf"^ganymede {verb} .*$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[0]


def run(line: str, folder: Path, **settings: str) -> None:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = {**os.environ, "PATH": beside, **settings}
    subprocess.run(["bash", "-c", line], cwd=folder, env=told, timeout=100, check=True)


def test_a_running_stack_is_the_same_where_it_is_restored(tmp_path: Path) -> None:
    with a_stack(tmp_path / ".ganymede") as running:
        finished = running.submit(total_steps=600)
        assert running.await_state(finished, *FINISHED)["state"] == "succeeded"
        draw = {"job": finished, "label": 7, "n": 4, "seed": 5}
        image = running.http.get("/sample", params=draw)
        known = {path: running.http.get(path).json() for path in paths_of(running, finished)}
        interrupted = running.submit(total_steps=600)
        running.await_checkpoint(interrupted)
        children = running.processes("worker.child")
        for child in children:
            child.suspend()  # or it might be over before it is backed up
        try:
            run(command("backup"), tmp_path)
        finally:
            for child in children:
                child.resume()
    run(command("restore"), tmp_path)
    with a_stack(tmp_path / ".ganymede-new") as restored:
        assert [job["id"] for job in restored.items("/jobs")] == [interrupted, finished]
        assert {path: restored.http.get(path).json() for path in known} == known
        again = restored.http.get("/sample", params=draw)
        assert (again.content, again.headers["ETag"]) == (image.content, image.headers["ETag"])
        done = restored.await_state(interrupted, *FINISHED)
        assert (done["state"], done["error"]) == ("succeeded", None)
        assert told_of(restored, interrupted).count("starting") == 2, "it was over before it was backed up"
        assert final_digest(restored, interrupted) == final_digest(restored, finished)
    with a_stack(tmp_path / "backups" / "today", workers=0) as copy:
        assert copy.http.get("/sample", params=draw).content == image.content


def paths_of(running: Running, job: str) -> list[str]:
    """Name all that is known of a job."""
    whole = [f"/jobs/{job}{noun}" for noun in ("", "/metrics", "/events", "/checkpoints", "/previews", "/logs")]
    return [*whole, *(f"/jobs/{job}/checkpoints/{item['step']}" for item in running.items(f"/jobs/{job}/checkpoints"))]
