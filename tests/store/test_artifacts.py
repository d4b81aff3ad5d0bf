import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from store.artifacts import CHUNK_BYTES, Artifacts
from store.errors import ArtifactNotFound, FilesUnavailable
from tests.store import s3

LARGE = 8 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Artifacts:
    return Artifacts(str(tmp_path / "artifacts"))


def files(artifacts: Artifacts) -> list[str]:
    return sorted(artifacts.files(""))


def test_what_is_put_is_got(artifacts: Artifacts) -> None:
    artifacts.put("jobs/1/card.json", b"{}")
    assert artifacts.get("jobs/1/card.json") == b"{}"
    assert files(artifacts) == ["jobs/1/card.json"]


def test_a_file_may_be_empty(artifacts: Artifacts) -> None:
    artifacts.put("empty", b"")
    assert artifacts.get("empty") == b"".join(artifacts.stream("empty")) == b""


def test_a_large_file_is_streamed_in_pieces(artifacts: Artifacts) -> None:
    content = os.urandom(LARGE)
    artifacts.put("large", content)
    pieces = list(artifacts.stream("large"))
    assert b"".join(pieces) == content == artifacts.get("large")
    assert len(pieces) > 1
    assert max(map(len, pieces)) < LARGE
    assert len(pieces[0]) >= CHUNK_BYTES


def test_a_second_put_replaces_the_first(artifacts: Artifacts) -> None:
    artifacts.put("file", b"long enough")
    artifacts.put("file", b"short")
    assert artifacts.get("file") == b"short"


@pytest.mark.parametrize("path", ["missing", "jobs/1/missing", "jobs"])
def test_a_missing_file_is_not_found(artifacts: Artifacts, path: str) -> None:
    artifacts.put("jobs/1/card.json", b"{}")
    with pytest.raises(ArtifactNotFound, match=path):
        artifacts.get(path)
    with pytest.raises(ArtifactNotFound, match=path):
        artifacts.stream(path)  # at once, before the first piece is asked for


def test_a_folder_that_is_gone_is_unavailable_and_no_file_is_missing(folder: Artifacts) -> None:
    Path(folder.url).rmdir()
    with pytest.raises(FilesUnavailable):
        folder.get("jobs/1/card.json")


@pytest.mark.integration
def test_a_bucket_that_is_gone_is_unavailable_and_no_file_is_missing(
    bucket: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.told_to(monkeypatch)
    artifacts = Artifacts("s3://missing")
    for call in (lambda: artifacts.get("file"), lambda: artifacts.stream("file"), lambda: artifacts.put("file", b"")):
        with pytest.raises(FilesUnavailable, match="NoSuchBucket"):
            call()


def test_an_empty_store_and_a_full_one_answer(artifacts: Artifacts) -> None:
    artifacts.ping()
    artifacts.put("file", b"content")
    artifacts.ping()


def test_a_reader_never_sees_half_of_a_file(artifacts: Artifacts) -> None:
    versions = [bytes([i]) * LARGE for i in (1, 2)]
    artifacts.put("file", versions[0])
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            for version in versions:
                artifacts.put("file", version)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        assert all(artifacts.get("file") in versions for _ in range(20))
        assert all(b"".join(artifacts.stream("file")) in versions for _ in range(5))
    finally:
        stop.set()
        writer.join()


LENGTH = 16 << 20
WRITER = """
import sys
from store.artifacts import Artifacts
artifacts = Artifacts(sys.argv[1])
content = b"7" * int(sys.argv[2])
print("ready", flush=True)
for i in range(40):
    artifacts.put(f"file-{i}", content)
"""


@pytest.mark.integration
def test_a_killed_writer_leaves_no_half_of_a_file(artifacts: Artifacts) -> None:
    for pause in (0.01, 0.02, 0.03, 0.05):
        command = [sys.executable, "-c", WRITER, artifacts.url, str(LENGTH)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert {len(artifacts.get(path)) for path in artifacts.files("") if "#" not in path} <= {LENGTH}
        artifacts.delete("")


def test_what_is_removed_is_gone_and_what_is_gone_may_be_removed(artifacts: Artifacts) -> None:
    for path in ("jobs/1/a/card.json", "jobs/1/b.png", "jobs/12/card.json"):
        artifacts.put(path, b"{}")
    assert artifacts.folders("jobs") == ["jobs/1", "jobs/12"]
    artifacts.remove(["jobs/1/b.png", "jobs/1/nothing"])
    assert artifacts.files("jobs/1") == ["jobs/1/a/card.json"]
    for _ in range(2):
        artifacts.delete("jobs/1")
    assert files(artifacts) == artifacts.files("jobs") == ["jobs/12/card.json"]


def test_an_empty_folder_is_nobody_s(folder: Artifacts) -> None:
    folder.put("jobs/1/card.json", b"{}")
    folder.delete("jobs/1")
    assert folder.folders("jobs") == []


def test_what_a_killed_writer_left_of_a_file_is_found_and_removed(folder: Artifacts) -> None:
    command = [sys.executable, "-c", WRITER, folder.url, str(LENGTH)]
    root = Path(folder.url)
    halves: list[Path] = []
    while not halves:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.001)
            writer.kill()
        halves = list(root.glob("*#*"))
    (root / "jobs" / "1").mkdir(parents=True)
    halves[0].rename(root / "jobs" / "1" / halves[0].name)
    folder.put("jobs/2/card.json", b"{}")
    assert folder.files("jobs/1") == [f"jobs/1/{halves[0].name}"]
    folder.delete("jobs/1")
    assert [path.name for path in (root / "jobs").iterdir()] == ["2"]


def test_a_place_that_cannot_be_written_says_so_in_a_line(folder: Artifacts) -> None:
    folder.put("jobs", b"a file where a folder should be")
    with pytest.raises(FilesUnavailable) as fault:
        folder.put("jobs/1/card.json", b"{}")
    assert str(fault.value).startswith(f"jobs/1/card.json in {folder.url}: ")
    assert "\n" not in str(fault.value)
    assert isinstance(fault.value, OSError), "an attempt that fails of it is worth trying again"
