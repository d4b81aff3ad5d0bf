"""What `make check` looks for besides wrong code: secrets that were written down, and known vulnerabilities."""

import base64
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from store import keys

ROOT = Path(__file__).parents[1]
PLANTED = {
    "Ganymede API key": lambda: f"curl -H 'Authorization: Bearer {keys.draw()}'",
    "Standard Webhooks secret": lambda: f"SIGNED=whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}",
    "AWS Access Key": lambda: "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode(),
    "Private Key": lambda: "-----BEGIN RSA " + "PRIVATE KEY-----",
    "Basic Auth Credentials": lambda: f"postgresql://ganymede:{secrets.token_hex(8)}@database/ganymede",
}
HARMLESS = f"gm_ and 43 characters, whsec_…, {'0' * 64}, https://example.org/hook, gm_{'x' * 44}\n"
VULNERABLE = {
    "id": "OSV-1",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "It lets everybody in.",
    "affected": [
        {
            "package": {"name": "starlette", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999"}]}],
        }
    ],
}


def run(script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f".ci/{script}.py", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@contextmanager
def osv(vulnerable: str = "") -> Iterator[str]:
    """Answer as OSV does, of one package that it is vulnerable."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found: dict[str, Any] = {"vulns": [VULNERABLE]} if asked["package"]["name"] == vulnerable else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", PLANTED)
def test_a_secret_that_was_written_down_is_found(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(f"{HARMLESS}{PLANTED[kind]()}\n")
    told = run("scan_secrets", str(file))
    assert told.returncode == 1
    assert f"Secret Type: {kind}\nLocation:    {file}:2\n" in told.stdout


def test_what_is_no_secret_passes(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(HARMLESS)
    told = run("scan_secrets", str(file))
    assert (told.returncode, told.stdout) == (0, "")


def test_where_nobody_answers_it_is_said_that_nothing_was_audited() -> None:
    told = run("audit", PIP_AUDIT_OSV_URL="http://127.0.0.1:1/v1/query")
    assert told.returncode == 0
    assert told.stderr.startswith("Nothing was audited: http://127.0.0.1:1/v1/query does not answer")


@pytest.mark.parametrize(("vulnerable", "status"), [("", 0), ("starlette", 1)])
def test_a_known_vulnerability_fails(vulnerable: str, status: int) -> None:
    with osv(vulnerable) as url:
        told = run("audit", PIP_AUDIT_OSV_URL=url)
    assert told.returncode == status, told.stderr
    assert ("OSV-1" in told.stdout) is bool(vulnerable)
    assert ("No known vulnerabilities found" in told.stderr) is not vulnerable


def test_the_check_runs_both() -> None:
    check = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    assert {"$(BIN)/python .ci/scan_secrets.py", "$(BIN)/python .ci/audit.py"} <= {
        line.strip() for line in check.splitlines()
    }
