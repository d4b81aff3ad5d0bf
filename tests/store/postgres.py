"""A PostgreSQL server of the tests' own, started from the binaries of this machine in a folder that is thrown away."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
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


class Server:
    """One server in a folder of its own, which can be ended in several ways and started again."""

    def __init__(self, programs: Path, folder: Path, environment: Mapping[str, str], address: str) -> None:
        self._folder = folder
        self._environment = environment
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
            self._who = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
        initdb = [programs / "initdb", "--pgdata", folder / "data", "--username", "ganymede", "--auth", "trust"]
        options = ["--no-sync", "--encoding", "UTF8", "--locale", "C"]
        subprocess.run([*initdb, *options], cwd=folder, check=True, capture_output=True, **self._who)
        if address:
            with (folder / "data" / "pg_hba.conf").open("a") as access:
                access.write(f"host all ganymede {address}/24 trust\n")
        careless = [f"-c{setting}=off" for setting in ("fsync", "full_page_writes")]  # a crash of the machine aside
        self._command = [programs / "postgres", "-D", folder / "data", "-k", folder, "-h", address, *careless]
        self.url = f"postgresql+psycopg://ganymede@/{{}}?host={address or folder}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {**os.environ, **self._environment}
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=environment, stdout=log, stderr=log, **self._who
            )
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: by SIGINT at once, cutting open connections; by SIGQUIT as in a crash, so that it must recover."""
        self._process.send_signal(how)
        self._process.wait(START_SECONDS)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(f"host={self._folder} user=ganymede dbname=postgres").close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.05)
            else:
                return


@contextmanager
def running(programs: Path, environment: Mapping[str, str] | None = None, address: str = "") -> Iterator[Server]:
    """Start a server on a Unix socket, or an address; its `url` has a hole where the database's name goes."""
    folder = Path(tempfile.mkdtemp(prefix="ganymede-pg-", dir="/tmp"))  # a socket's path must be short
    server = Server(programs, folder, environment or {}, address)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
