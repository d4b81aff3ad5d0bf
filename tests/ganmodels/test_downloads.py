from pathlib import Path

import pytest

from ganmodels.datasets.downloads import DownloadFailed, download
from tests.ganmodels.mirror import DEAD, serving

GOOD = b"the very content" * 10_000


def verify(content: bytes) -> None:
    if content != GOOD:
        raise ValueError(f"{len(content)} bytes of something else")


def test_the_first_mirror_that_has_it_is_asked_and_no_other(tmp_path: Path) -> None:
    with serving({"file": GOOD}) as first, serving({"file": GOOD}) as second:
        download(tmp_path / "new" / "file", [first.url + "file", second.url + "file"], verify)
        assert (first.asked, second.asked) == (["/file"], [])
    assert (tmp_path / "new" / "file").read_bytes() == GOOD
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_mirrors_that_are_dead_empty_wrong_or_break_off_are_passed_over(tmp_path: Path) -> None:
    with serving({}) as empty, serving({"file": b"another"}) as wrong, serving({"file": GOOD}, 9) as broken:
        with serving({"file": GOOD}) as right:
            mirrors = [DEAD, empty.url, wrong.url, broken.url, right.url]
            download(tmp_path / "file", [mirror + "file" for mirror in mirrors], verify)
            assert all(mirror.asked == ["/file"] for mirror in (empty, wrong, broken, right))
    assert (tmp_path / "file").read_bytes() == GOOD


def test_a_failure_names_every_mirror_with_its_reason_and_leaves_nothing(tmp_path: Path) -> None:
    with serving({}) as empty, serving({"file": b"another"}) as wrong, serving({"file": GOOD}, 9) as broken:
        mirrors = [DEAD, empty.url, wrong.url, broken.url]
        with pytest.raises(DownloadFailed) as failure:
            download(tmp_path / "file", [mirror + "file" for mirror in mirrors], verify)
    reasons = str(failure.value).split("; ")
    assert len(reasons) == 4
    for mirror, reason, part in zip(
        mirrors, reasons, ["refused", "404", "7 bytes of something else", "9 more expected"], strict=True
    ):
        assert reason.startswith(f"{mirror}file: ")
        assert part in reason
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_already_outlives_a_failed_download(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with serving({"file": GOOD}, 9) as broken, pytest.raises(DownloadFailed):
        download(tmp_path / "file", [f"{broken.url}file"], verify)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_has_its_name_only_when_it_is_verified_and_nothing_is_left_of_an_interrupted_one(tmp_path: Path) -> None:
    seen: list[bool] = []

    def interrupt(_: bytes) -> None:
        seen.append((tmp_path / "file").exists())
        raise KeyboardInterrupt

    with serving({"file": GOOD}) as mirror, pytest.raises(KeyboardInterrupt):
        download(tmp_path / "file", [f"{mirror.url}file"], interrupt)
    assert seen == [False]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadFailed, match="cannot be written"):
        download(tmp_path / "file" / "mnist.gz", [], len)
