import gzip
import threading
from collections.abc import Iterator
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from ganmodels import mnist
from ganmodels.datasets import DatasetUnavailable
from ganmodels.downloads import DownloadFailed, download


class Mirror:
    """A file server on this machine: what it serves, and what it was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name http.server calls
                asked.append(self.path)
                content = files.get(self.path.removeprefix("/"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def mirrors() -> Iterator[dict[str, Mirror]]:
    """Start a mirror that lacks everything, one whose files are wrong and one that is right."""
    wrong = {f"{name}.gz": gzip.compress(b"something else") for name in FILES}
    right = {f"{name}.gz": gzip.compress(content) for name, content in FILES.items()}
    started = {"empty": Mirror({}), "wrong": Mirror(wrong), "right": Mirror(right)}
    yield started
    for mirror in started.values():
        mirror.close()


def _images(count: int) -> bytes:
    return bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28)) + bytes(784 * count)


def _labels(count: int) -> bytes:
    return bytes([0, 0, 8, 1]) + count.to_bytes(4, "big") + bytes(n % 10 for n in range(count))


FILES = {
    "train-images-idx3-ubyte": _images(3),
    "train-labels-idx1-ubyte": _labels(3),
    "t10k-images-idx3-ubyte": _images(2),
    "t10k-labels-idx1-ubyte": _labels(2),
}


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect files of a few images, so that they can be written here."""
    digests = {name: md5(content, usedforsecurity=False).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(mnist, "FILES", digests)


def fill(folder: Path, *, compressed: bool) -> None:
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("compressed", [True, False])
def test_files_at_hand_are_read_and_nothing_is_asked_for(
    tmp_path: Path, mirrors: dict[str, Mirror], compressed: bool
) -> None:
    fill(tmp_path / "mnist", compressed=compressed)
    (images, labels), (test_images, test_labels) = mnist.read(tmp_path / "mnist", [mirrors["right"].url])
    assert images.shape == (3, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.tolist() == [0, 1, 2]
    assert labels.dtype == torch.int64
    assert len(test_images) == len(test_labels) == 2
    assert mirrors["right"].asked == []


def test_mirrors_that_lack_a_file_or_have_another_are_passed_over(tmp_path: Path, mirrors: dict[str, Mirror]) -> None:
    urls = [mirrors[name].url for name in ("empty", "wrong", "right")]
    (_, labels), _ = mnist.read(tmp_path / "mnist", urls)
    assert labels.tolist() == [0, 1, 2]
    for mirror in mirrors.values():
        assert mirror.asked == [f"/{name}.gz" for name in FILES]
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == sorted(f"{name}.gz" for name in FILES)


def test_without_a_mirror_that_is_right_the_message_says_what_to_do_and_nothing_is_left(
    tmp_path: Path, mirrors: dict[str, Mirror]
) -> None:
    urls = [mirrors["empty"].url, mirrors["wrong"].url, "http://127.0.0.1:9/"]
    with pytest.raises(DatasetUnavailable) as failure:
        mnist.read(tmp_path / "mnist", urls)
    message = str(failure.value)
    for part in ("train-images-idx3-ubyte.gz", "404", "MD5", "expected", "127.0.0.1:9", "GANYMEDE_DATA_DIR"):
        assert part in message
    assert list((tmp_path / "mnist").iterdir()) == []


def test_a_file_that_is_damaged_is_never_repaired_silently(tmp_path: Path, mirrors: dict[str, Mirror]) -> None:
    fill(tmp_path / "mnist", compressed=True)
    damaged = tmp_path / "mnist" / "train-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(DatasetUnavailable, match=r"train-labels-idx1-ubyte\.gz: damaged gzip file.*Remove the file"):
        mnist.read(tmp_path / "mnist", [mirrors["right"].url])
    assert mirrors["right"].asked == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadFailed, match="cannot be written"):
        download(tmp_path / "file" / "mnist.gz", [], len)
