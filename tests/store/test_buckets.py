"""Buckets and folders that are not as they should be: what is said of them, and that nobody waits for them for long."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from ganymede.stack import free_port
from store import artifacts
from store.artifacts import Artifacts, check_access
from store.errors import FilesUnavailable
from tests.store import s3

LARGE = b"7" * (12 << 20)
NOWHERE = f"http://127.0.0.1:{free_port()}"
UNSET = ""
NO_KEY = {**dict.fromkeys(s3.OWNER, UNSET), "AWS_METADATA_ENDPOINT": NOWHERE}
RETRIES = 10  # of obstore, where it is given the time
SLOW_SECONDS = 10.0  # after which a bucket that nobody has given up answers, and the test is lost


class Bucket(ThreadingHTTPServer):
    """A bucket that takes requests and does one thing wrong, until it has been waited for too long."""

    def __init__(self, fault: str) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.fault = fault
        self.asked: list[str] = []
        self.over = Event()
        self._slow_at = time.monotonic() + SLOW_SECONDS

    @property
    def waited_for(self) -> bool:
        return time.monotonic() > self._slow_at


class Asked(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def answer(self) -> None:
        self.server.asked.append(self.requestline)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.fault == "busy" or self.server.waited_for:
            self.send_error(404 if self.server.waited_for else 503)
            return
        if self.server.fault == "stalling" and self.command == "GET":
            self.send_response(200)
            for header in (
                'ETag: "1"',
                "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT",
                f"Content-Length: {len(LARGE)}",
            ):
                self.send_header(*header.split(": "))
            self.end_headers()
            self.wfile.write(LARGE[: len(LARGE) // 2])
        self.server.over.wait(SLOW_SECONDS)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def a_bucket(fault: str, environment: pytest.MonkeyPatch) -> Iterator[Bucket]:
    bucket = Bucket(fault)
    thread = Thread(target=bucket.serve_forever)
    thread.start()
    for name, value in {**s3.OWNER, "AWS_ENDPOINT": f"http://127.0.0.1:{bucket.server_port}"}.items():
        environment.setenv(name, value)
    yield bucket
    bucket.over.set()
    bucket.shutdown()
    thread.join()
    bucket.server_close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECT_PATIENCE", "READ_PATIENCE", "WRITE_PATIENCE", "RETRY_PATIENCE"):
        monkeypatch.setattr(artifacts, name, timedelta(seconds=0.2))


ASKED: dict[str, Callable[[Artifacts], object]] = {
    "put": lambda artifacts: artifacts.put("file", LARGE),
    "get": lambda artifacts: artifacts.get("file"),
    "stream": lambda artifacts: list(artifacts.stream("file")),
    "files": lambda artifacts: artifacts.files("jobs"),
    "folders": lambda artifacts: artifacts.folders("jobs"),
    "remove": lambda artifacts: artifacts.remove(["file"]),
    "ping": lambda artifacts: artifacts.ping(),
}


FAULTS = [
    *(("silent", call) for call in ASKED),
    ("busy", "put"),
    ("busy", "get"),
    ("stalling", "get"),
    ("stalling", "stream"),
]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("fault", "call"),
    [
        *(("silent", call) for call in ASKED),
        ("busy", "put"),
        ("busy", "get"),
        ("stalling", "get"),
        ("stalling", "stream"),
    ],
)
def test_a_bucket_that_does_not_do_as_asked_is_given_up(fault: str, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_bucket(fault, monkeypatch) as bucket:
        with pytest.raises(FilesUnavailable, match="s3://files") as said:
            ASKED[call](Artifacts("s3://files"))
        assert 0 < len(bucket.asked) < RETRIES
        assert not bucket.waited_for
    assert "\n" not in str(said.value)


@pytest.mark.usefixtures("impatient")
def test_a_large_file_goes_to_a_bucket_in_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a file, sent by a writer that is killed, would stay in the bucket where no list shows them."""
    with a_bucket("silent", monkeypatch) as bucket:
        with pytest.raises(FilesUnavailable):
            Artifacts("s3://files").put("large", LARGE)
    assert bucket.asked == ["PUT /files/large HTTP/1.1"]


def started(**environment: str) -> subprocess.CompletedProcess[str]:
    """Start a worker, which must end by itself."""
    command = [sys.executable, "-m", "worker"]
    surroundings = {name: value for name, value in {**os.environ, **environment}.items() if value != UNSET}
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=60, check=False)


def assert_refused(answer: subprocess.CompletedProcess[str], reason: str) -> None:
    assert answer.returncode == 1
    assert re.fullmatch(rf"The artifacts cannot be used: .*({reason}).*docs/storage\.md.*\n", answer.stderr)
    for key in (s3.OWNER, s3.READER):
        assert key["AWS_SECRET_ACCESS_KEY"] not in answer.stderr


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may write in, root included."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"may not mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_worker_does_not_start_with_a_folder_that_cannot_be_written(read_only: Path) -> None:
    assert_refused(started(GANYMEDE_ARTIFACTS=str(read_only)), "Read-only|Permission")
    assert_refused(started(GANYMEDE_ARTIFACTS=str(read_only / "artifacts")), "Read-only|Permission")


def test_a_worker_does_not_start_with_a_place_that_is_none() -> None:
    assert_refused(started(GANYMEDE_ARTIFACTS="ftp://files"), "Unable to recognise URL")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("place", "changes", "reason"),
    [
        ("s3://files", {"AWS_SECRET_ACCESS_KEY": "another"}, "SignatureDoesNotMatch"),
        ("s3://files", {"AWS_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId"),
        ("s3://files", s3.READER, "AccessDenied"),
        ("s3://missing", {}, "NoSuchBucket"),
        ("s3://files", {"AWS_ENDPOINT": NOWHERE}, "error sending request"),
        (
            "s3://files",
            dict.fromkeys(s3.OWNER, UNSET) | {"AWS_METADATA_ENDPOINT": NOWHERE},
            "no AWS_ACCESS_KEY_ID is set",
        ),
    ],
)
def test_a_worker_does_not_start_without_access_to_the_bucket(
    bucket: s3.Server, place: str, changes: dict[str, str], reason: str
) -> None:
    assert_refused(started(GANYMEDE_ARTIFACTS=place, **{**bucket.settings, **changes}), reason)


@pytest.mark.integration
def test_a_check_leaves_nothing(artifacts: Artifacts) -> None:
    check_access(artifacts.url)
    assert artifacts.files("") == []
