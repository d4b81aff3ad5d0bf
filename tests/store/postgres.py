"""A PostgreSQL server of the tests' own, started from the binaries of this machine in a folder that is thrown away."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

UNPRIVILEGED = "postgres"  # PostgreSQL refuses to run as root
START_SECONDS = 30


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest if there are several; None where there is none."""
    on_path = shutil.which("postgres")
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda folder: int(Path(folder).parent.name))
    folders = ([Path(on_path).resolve().parent] if on_path else []) + [Path(folder) for folder in reversed(found)]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """Start a server on a Unix socket, yield its URL without a database name, and stop it by its own process id."""
    folder = Path(tempfile.mkdtemp(prefix="ganymede-pg-", dir="/tmp"))  # a socket's path must be short
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, UNPRIVILEGED)
        who = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
    data = folder / "data"
    initdb = [programs / "initdb", "--pgdata", data, "--username", "ganymede", "--auth", "trust", "--no-sync"]
    subprocess.run([*initdb, "--encoding", "UTF8", "--locale", "C"], cwd=folder, check=True, capture_output=True, **who)
    careless = [f"-c{setting}=off" for setting in ("fsync", "synchronous_commit", "full_page_writes")]
    command = [programs / "postgres", "-D", data, "-k", folder, "-h", "", *careless]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **who)
    try:
        _wait(server, folder)
        yield f"postgresql+psycopg://ganymede@/{{}}?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: open connections are cut
        server.wait(START_SECONDS)
        shutil.rmtree(folder)


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(f"host={folder} user=ganymede dbname=postgres").close()
        except psycopg.OperationalError:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)
        else:
            return
