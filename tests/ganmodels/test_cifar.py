import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pytest
import torch

from ganmodels import datasets
from ganmodels.datasets import DatasetUnavailable, cifar
from ganmodels.datasets.cifar import CIFAR10, RECORD, Source
from tests.ganmodels.mirror import DEAD, serving


def record(label: int) -> bytes:
    """An image whose red rises from row to row, whose green is 100 and whose blue is its label."""
    red = bytes(row for row in range(32) for _ in range(32))
    return bytes([label]) + red + bytes([100]) * 1024 + bytes([label]) * 1024


FILES = {name: record(number) + record(number + 1) for number, name in enumerate(CIFAR10.files)}


def digest(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()


def plain(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member, b""


def members() -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    return {name: plain(f"cifar-10-batches-bin/{name}", content) for name, content in FILES.items()}


def pack(contents: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for member, content in contents:
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


ARCHIVE = pack(list(members().values()))


def expecting(archive: bytes = ARCHIVE, *mirrors: str) -> Source:
    """Make the record expect files of two images, so that they can be written here."""
    digests = {name: digest(content) for name, content in FILES.items()}
    return replace(CIFAR10, archive_md5=digest(archive), files=digests, images_per_file=2, mirrors=mirrors)


def lay_archive(folder: Path, archive: bytes = ARCHIVE) -> Path:
    folder.mkdir()
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive)
    return folder


def lay_files(folder: Path) -> Path:
    (folder / "cifar-10-batches-bin").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / "cifar-10-batches-bin" / name).write_bytes(content)
    return folder


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("lay", [lay_archive, lay_files])
def test_the_archive_and_the_unpacked_folder_are_read_alike(tmp_path: Path, lay: object) -> None:
    folder = lay_archive(tmp_path / "data") if lay is lay_archive else lay_files(tmp_path / "data")
    before = everything(folder)
    (images, labels), (test_images, test_labels) = cifar.read(expecting(), folder)
    assert labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert test_labels.tolist() == [5, 6]
    assert labels.dtype == torch.int64
    assert images.dtype == torch.uint8
    assert (images.shape, test_images.shape) == ((10, 3, 32, 32), (2, 3, 32, 32))
    assert torch.equal(images[3, 0, :, 7], torch.arange(32, dtype=torch.uint8))
    assert images[:, 1].unique().tolist() == [100]
    assert torch.equal(test_images[:, 2, 0, 0], test_labels.to(torch.uint8))
    assert everything(folder) == before


def test_it_is_downloaded_from_the_first_mirror_that_has_it_whole_and_never_unpacked(tmp_path: Path) -> None:
    name = "cifar-10-binary.tar.gz"
    with serving({}) as empty, serving({name: b"wrong"}) as wrong, serving({name: ARCHIVE}, 9) as broken:
        with serving({name: ARCHIVE}) as right:
            mirrors = [empty, wrong, broken, right]
            source = expecting(ARCHIVE, DEAD, *(mirror.url for mirror in mirrors))
            (_, labels), _ = cifar.read(source, tmp_path / "cifar10")
            assert all(mirror.asked == [f"/{name}"] for mirror in mirrors)
            cifar.read(source, tmp_path / "cifar10")
            assert right.asked == [f"/{name}"]
    assert len(labels) == 10
    assert everything(tmp_path) == ["cifar10", f"cifar10/{name}"]


def test_a_failed_download_says_what_to_do_and_leaves_nothing(tmp_path: Path) -> None:
    name = "cifar-10-binary.tar.gz"
    with serving({}) as empty, serving({name: b"wrong"}) as wrong, serving({name: ARCHIVE}, 9) as broken:
        source = expecting(ARCHIVE, empty.url, wrong.url, broken.url)
        with pytest.raises(DatasetUnavailable) as failure:
            cifar.read(source, tmp_path / "cifar10")
    message = str(failure.value)
    for part in (
        "cifar10: neither",
        "404",
        f"MD5 {digest(b'wrong')}, expected",
        "9 more expected",
        "GANYMEDE_DATA_DIR",
    ):
        assert part in message
    assert everything(tmp_path) == ["cifar10"]


def test_whatever_else_an_archive_holds_is_passed_over_and_nothing_is_written(tmp_path: Path) -> None:
    others = [
        plain("../evil", b"out"),
        plain(str(tmp_path / "absolute"), b"out"),
        link("cifar-10-batches-bin/link", "../../evil"),
        plain("cifar-10-batches-bin/readme.html", b"hello"),
        plain("elsewhere/test_batch.bin", b"not this one"),
    ]
    archive = pack([*others, *members().values()])
    folder = lay_archive(tmp_path / "data", archive)
    before = everything(tmp_path)
    _, (_, test_labels) = cifar.read(expecting(archive), folder)
    assert test_labels.tolist() == [5, 6]
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ([], "is nothing, expected one file"),
        ([link("cifar-10-batches-bin/data_batch_2.bin", "/etc/passwd")], "is no plain file, expected one file"),
        ([plain("cifar-10-batches-bin/../cifar-10-batches-bin/data_batch_2.bin", bytes(2 * RECORD))], "is nothing"),
        ([plain("cifar-10-batches-bin/data_batch_2.bin", bytes(2 * RECORD))] * 2, "is a file, a file, expected one"),
        ([plain("cifar-10-batches-bin/data_batch_2.bin", bytes(2 * RECORD - 1))], "has 6145 bytes, expected 6146"),
        ([plain("cifar-10-batches-bin/data_batch_2.bin", bytes(2 * RECORD + 1))], "has 6147 bytes, expected 6146"),
    ],
)
def test_each_file_is_in_the_archive_once_plain_and_of_its_size(
    tmp_path: Path, changed: list[tuple[tarfile.TarInfo, bytes]], complaint: str
) -> None:
    others = [member for name, member in members().items() if name != "data_batch_2.bin"]
    archive = pack([*others, *changed])
    folder = lay_archive(tmp_path / "data", archive)
    with pytest.raises(DatasetUnavailable, match=rf"cifar-10-batches-bin/data_batch_2\.bin in the archive {complaint}"):
        cifar.read(expecting(archive), folder)


def test_an_archive_of_another_digest_is_not_even_opened(tmp_path: Path) -> None:
    folder = lay_archive(tmp_path / "data", ARCHIVE[:-9])
    with serving({"cifar-10-binary.tar.gz": ARCHIVE}) as mirror:
        with pytest.raises(DatasetUnavailable, match=r"cifar-10-binary\.tar\.gz: MD5 .*Remove the file"):
            cifar.read(expecting(ARCHIVE, mirror.url), folder)
        assert mirror.asked == []


@pytest.mark.parametrize("archive", [ARCHIVE[: len(ARCHIVE) // 2], b"not an archive", b""])
def test_an_archive_that_cannot_be_read_is_damaged(tmp_path: Path, archive: bytes) -> None:
    with pytest.raises(DatasetUnavailable, match="damaged archive"):
        cifar.read(expecting(archive), lay_archive(tmp_path / "data", archive))


def test_an_unpacked_file_that_is_changed_or_missing_is_named(tmp_path: Path) -> None:
    folder = lay_files(tmp_path / "data")
    (folder / "cifar-10-batches-bin" / "data_batch_4.bin").write_bytes(record(0) * 2)
    with pytest.raises(DatasetUnavailable, match=r"data_batch_4\.bin: MD5 .*Remove the folder"):
        cifar.read(expecting(), folder)
    (folder / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    with pytest.raises(DatasetUnavailable, match=r"data_batch_3\.bin.*Remove the folder"):
        cifar.read(expecting(), folder)


def test_the_real_files_have_the_size_that_the_authors_state() -> None:
    assert CIFAR10.images_per_file * RECORD == 30_730_000
    assert list(CIFAR10.files)[-1] == "test_batch.bin"
    assert len(set(CIFAR10.files.values()) | {CIFAR10.archive_md5}) == 7


def test_the_data_set_by_name_holds_out_a_part_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {name: record(3) * 1_001 for name in FILES}
    archive = pack([plain(f"cifar-10-batches-bin/{name}", content) for name, content in contents.items()])
    monkeypatch.setattr(cifar, "CIFAR10", replace(expecting(archive), images_per_file=1_001))
    lay_archive(tmp_path / "cifar10", archive)
    dataset = datasets.load("cifar10", tmp_path)
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [5, 5_000, 1_001]
    assert dataset.train.images.shape[1:] == (dataset.facts.channels, dataset.facts.size, dataset.facts.size)
    assert dataset.facts.label_names[3] == "cat"
