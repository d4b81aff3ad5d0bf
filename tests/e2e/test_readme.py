"""The README's own commands, run as they stand there; only the data set and the length of the training are smaller."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ENDLESS, Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

README = Path(__file__).parents[2] / "README.md"
PNG = b"\x89PNG\r\n\x1a\n"
OPERATORS = {"keys", "up"}  # tests/app/test_entry.py runs these
SMALLER = {
    '"conditional": true,': '"conditional": true, "dataset": "digits", "total_steps": 40, "evaluate_every": null,',
    "-k total_steps=1500": "-k total_steps=40 -k evaluate_every=null",
    "--dataset mnist": "--dataset digits",
    'dataset="mnist"': 'dataset="digits", total_steps=40, evaluate_every=None',
}


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for named, block in found if named == language]


def made_smaller(text: str, running: Running) -> str:
    for published, smaller in SMALLER.items():
        text = text.replace(published, smaller)
    return text.replace("http://127.0.0.1:8000", running.stack.url)


def run(command: list[str], folder: Path, running: Running) -> str:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = {**os.environ, "PATH": beside, "GANYMEDE_URL": running.stack.url}
    if running.key:  # the command and the SDK read it; curl is told in its own file
        told |= {"GANYMEDE_API_KEY": running.key, "CURL_HOME": str(folder)}
        (folder / ".curlrc").write_text(f'header = "Authorization: Bearer {running.key}"\n')
    done = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's requests are made with curl")
def test_the_requests_work(running: Running, tmp_path: Path) -> None:
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("curl ")]
    lines = [line for line in lines if "/classify" not in line]  # it wants a model and a picture of one's own
    assert len(lines) == 11
    newest = ""
    for line in lines:
        line = line.replace("JOB", newest)
        run(["bash", "-c", made_smaller(line, running).replace("curl -s", "curl -sS --fail", 1)], tmp_path, running)
        if not newest:
            newest = running.items("/jobs")[0]["id"]
            assert running.await_state(newest, "succeeded", "failed")["state"] == "succeeded"
    assert {path.name for path in tmp_path.iterdir() if path.read_bytes().startswith(PNG)} == {
        "seven.png",
        "sevens.png",
        "digit.png",
        "ten.png",
    }


def test_the_commands_work(running: Running, tmp_path: Path) -> None:
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("ganymede ")]
    lines = [line for line in lines if line.split()[1] not in OPERATORS]
    assert [line.split()[1] for line in lines] == ["submit", "sample", "alias", "pause", "resume", "extend", "logs"]
    endless = ""
    for line in lines:
        verb = line.split()[1]
        if verb == "pause":
            endless = running.submit(**ENDLESS)
            running.await_state(endless, "running")
        finished = [job for job in running.items("/jobs") if job["state"] == "succeeded"]
        job = endless if verb in ("pause", "resume") else finished[0]["id"] if finished else ""
        run(["bash", "-c", made_smaller(line.replace("JOB", job), running)], tmp_path, running)
        if verb == "pause":
            running.await_state(endless, "paused")
    for started in (endless, running.items("/jobs")[0]["id"]):
        running.http.post(f"/jobs/{started}/cancel")
    assert (tmp_path / "sevens.png").read_bytes().startswith(PNG)


def test_the_python_works(running: Running, tmp_path: Path) -> None:
    (script,) = blocks("python")
    script = made_smaller(script, running).replace("Client()", f"Client({running.stack.url!r})")
    assert "succeeded 40" in run([sys.executable, "-c", script], tmp_path, running)
    assert (tmp_path / "sevens.png").read_bytes().startswith(PNG)
