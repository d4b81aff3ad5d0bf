import gzip
from collections.abc import Mapping
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pytest
import torch

from ganmodels import datasets
from ganmodels.datasets import DatasetUnavailable, mnist
from ganmodels.datasets.mnist import SOURCES, Source
from tests.ganmodels.mirror import DEAD, serving

NAMES = ["mnist", "fashion-mnist", "kmnist"]
BY_CONTENT = ["mnist", "fashion-mnist"]


def images(count: int) -> bytes:
    return bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28)) + bytes(784 * count)


def labels(count: int) -> bytes:
    return bytes([0, 0, 8, 1]) + count.to_bytes(4, "big") + bytes(n % 10 for n in range(count))


def files(training: int = 3, test: int = 2) -> dict[str, bytes]:
    contents = (images(training), labels(training), images(test), labels(test))
    return dict(zip(SOURCES["mnist"].files, contents, strict=True))


def gzipped(contents: Mapping[str, bytes], level: int = 9) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content, level, mtime=0) for name, content in contents.items()}


def expecting(name: str, contents: Mapping[str, bytes], *mirrors: str) -> Source:
    """Make a data set's record expect files of a few images, so that they can be written here."""
    if SOURCES[name].digests_of == "gzip file":
        contents = {file.removesuffix(".gz"): content for file, content in gzipped(contents).items()}
    digests = {file: md5(content, usedforsecurity=False).hexdigest() for file, content in contents.items()}
    return replace(SOURCES[name], files=digests, mirrors=mirrors)


def fill(folder: Path, contents: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_files_at_hand_are_read_and_nothing_is_asked_for(tmp_path: Path, name: str) -> None:
    folder = fill(tmp_path / name, gzipped(files()))
    with serving({}) as mirror:
        (train_images, train_labels), (test_images, test_labels) = mnist.read(
            expecting(name, files(), mirror.url), folder
        )
        assert mirror.asked == []
    assert train_images.shape == (3, 1, 28, 28)
    assert train_images.dtype == torch.uint8
    assert train_labels.tolist() == [0, 1, 2]
    assert train_labels.dtype == torch.int64
    assert len(test_images) == len(test_labels) == 2


@pytest.mark.parametrize("name", BY_CONTENT)
def test_files_are_known_by_their_content_uncompressed_or_compressed_anew(tmp_path: Path, name: str) -> None:
    assert gzipped(files(), level=1) != gzipped(files())
    for number, contents in enumerate((files(), gzipped(files(), level=1))):
        folder = fill(tmp_path / str(number), contents)
        (_, train_labels), _ = mnist.read(expecting(name, files()), folder)
        assert train_labels.tolist() == [0, 1, 2]


def test_where_only_the_gzip_files_digests_are_known_nothing_else_is_trusted(tmp_path: Path) -> None:
    plain, anew = fill(tmp_path / "plain", files()), fill(tmp_path / "anew", gzipped(files(), level=1))
    with pytest.raises(DatasetUnavailable, match=r"train-images-idx3-ubyte: not a gzip file, and nobody published"):
        mnist.read(expecting("kmnist", files()), plain)
    with pytest.raises(DatasetUnavailable, match=r"train-images-idx3-ubyte\.gz: MD5 .* of the gzip file, expected"):
        mnist.read(expecting("kmnist", files()), anew)


@pytest.mark.parametrize("name", NAMES)
def test_mirrors_that_lack_a_file_or_have_another_are_passed_over(tmp_path: Path, name: str) -> None:
    right_files, wrong_files = gzipped(files()), gzipped(dict.fromkeys(files(), b"something else"))
    with serving({}) as empty, serving(wrong_files) as wrong, serving(right_files, 9) as broken:
        with serving(right_files) as right:
            mirrors = [empty, wrong, broken, right]
            source = expecting(name, files(), DEAD, *(mirror.url for mirror in mirrors))
            (_, train_labels), _ = mnist.read(source, tmp_path / name)
            for mirror in mirrors:
                assert mirror.asked == [f"/{file}" for file in right_files]
            mnist.read(source, tmp_path / name)
            assert len(right.asked) == 4
    assert train_labels.tolist() == [0, 1, 2]
    assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == right_files


@pytest.mark.parametrize("name", NAMES)
def test_without_a_mirror_that_is_right_the_message_says_what_to_do_and_nothing_is_left(
    tmp_path: Path, name: str
) -> None:
    with serving({}) as empty, serving(gzipped(dict.fromkeys(files(), b"something else"))) as wrong:
        source = expecting(name, files(), empty.url, wrong.url, DEAD)
        with pytest.raises(DatasetUnavailable) as failure:
            mnist.read(source, tmp_path / name)
    message = str(failure.value)
    assert message.startswith(f"{name}: neither")
    for part in (
        "train-images-idx3-ubyte.gz",
        "404",
        "MD5",
        "expected",
        DEAD,
        f"GANYMEDE_DATA_DIR to a folder whose {name}/",
    ):
        assert part in message
    assert list((tmp_path / name).iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_damaged_is_never_repaired_silently(tmp_path: Path, name: str) -> None:
    folder = fill(tmp_path / name, gzipped(files()))
    damaged = folder / "train-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    fault = "damaged gzip file" if name in BY_CONTENT else "MD5"
    with serving(gzipped(files())) as mirror:
        with pytest.raises(DatasetUnavailable, match=rf"train-labels-idx1-ubyte\.gz: {fault}.*Remove the file"):
            mnist.read(expecting(name, files(), mirror.url), folder)
        assert mirror.asked == []


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_asked_for_by_name_comes_into_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    contents = files(training=5_004, test=20)
    with serving(gzipped(contents)) as mirror:
        monkeypatch.setattr(mnist, "SOURCES", {name: expecting(name, contents, mirror.url)})
        dataset = datasets.load(name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [4, 5_000, 20]
    assert dataset.test.label_names == dataset.facts.label_names
    assert len(dataset.facts.label_names) == 10


def test_no_two_data_sets_share_a_digest_or_a_mirror() -> None:
    assert list(SOURCES) == NAMES
    for values in (
        [digest for source in SOURCES.values() for digest in source.files.values()],
        [mirror for source in SOURCES.values() for mirror in source.mirrors],
    ):
        assert len(set(values)) == len(values)
    assert all(len(bytes.fromhex(digest)) == 16 for source in SOURCES.values() for digest in source.files.values())
