"""A disk that is full when a checkpoint is to be written."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Running
from tests.faults.conftest import FINISHED, a_stack, final_digest

SMALL, LARGE = "3m", "200m"
EVERYTHING = 1_000  # checkpoints, none of which is let go


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", place], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"may not mount a tmpfs: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_job_whose_disk_is_full_fails_with_that_reason_and_serves_what_it_has(
    running: Running, undisturbed: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk), a_stack(tmp_path / "home", GANYMEDE_ARTIFACTS=str(disk)) as stack:
        job = stack.submit(keep_checkpoints=EVERYTHING)
        failed = stack.await_state(job, *FINISHED)
        assert failed["state"] == "failed"
        assert failed["error"]["code"] == "io"
        assert "No space left on device" in failed["error"]["message"]
        newest = failed["latest_checkpoint"]["step"]
        assert 0 < newest < failed["progress"]["total_steps"]
        for checkpoint in stack.items(f"/jobs/{job}/checkpoints"):
            for name, file in checkpoint["files"].items():
                assert len(stack.http.get(f"{checkpoint['url']}/files/{name}").content) == file["size"]
        drawn = stack.http.get("/sample", params={"job": job, "label": 7})
        assert (drawn.status_code, drawn.headers["X-Checkpoint-Step"]) == (200, str(newest))

        subprocess.run(["mount", "-o", f"remount,size={LARGE}", disk], check=True)
        again = stack.http.post(f"/jobs/{job}/retry").json()["id"]
        assert stack.await_state(again, *FINISHED)["state"] == "succeeded"
        assert stack.job(again)["origin"]["step"] == newest
        assert final_digest(stack, again) == undisturbed
