"""MNIST and two data sets of its form: where their files are looked for, what they must contain, who mirrors them."""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ganmodels.datasets import idx
from ganmodels.datasets.downloads import DownloadFailed, download
from ganmodels.datasets.imagesets import DatasetUnavailable


@dataclass(frozen=True)
class Source:
    """A data set of four IDX files: training images and labels, then test images and labels.

    `files` gives the MD5 of each: of its content, however it is compressed, or of the published gzip file.
    """

    name: str
    files: Mapping[str, str]
    digests_of: Literal["content", "gzip file"]
    mirrors: tuple[str, ...]


def _files(*digests: str) -> Mapping[str, str]:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    return dict(zip(names, digests, strict=True))


# Mirrors compress MNIST differently, so its digests are of the content. Fashion-MNIST's are too, as several public
# projects give them; the authors' own digests, https://github.com/zalandoresearch/fashion-mnist, are of the gzip files.
# Kuzushiji-MNIST's are of the gzip files, as torchvision gives them (torchvision/datasets/mnist.py): of the content of
# its training images no digest is published.
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            "mnist",
            _files(
                "6bbc9ace898e44ae57da46a324031adb",
                "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea",
                "27ae3e4e09519cfbb04c329615203637",
            ),
            "content",
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
                "https://raw.githubusercontent.com/fgnt/mnist/master/",
            ),
        ),
        Source(
            "fashion-mnist",
            _files(
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "9018921c3c673c538a1fc5bad174d6f9",
                "8181f5470baa50b63fa0f6fddb340f0a",
                "15d484375f8d13e6eb1aabb0c3f46965",
            ),
            "content",
            (
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ),
        ),
        Source(
            "kmnist",
            _files(
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
            "gzip file",
            ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
        ),
    )
}


def read(source: Source, folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Read images (N, 1, 28, 28) and labels (N,) for training and test, downloading what `folder` lacks.

    Raises DatasetUnavailable.
    """
    train_images, train_labels, test_images, test_labels = (
        idx.parse(_content(source, folder, name)) for name in source.files
    )
    return (
        (train_images[:, None], train_labels.to(torch.int64)),
        (test_images[:, None], test_labels.to(torch.int64)),
    )


def _content(source: Source, folder: Path, name: str) -> bytes:
    """Give a file's uncompressed bytes, verified."""
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return _verified(source, path)
    path = folder / f"{name}.gz"
    try:
        download(path, [mirror + path.name for mirror in source.mirrors], lambda arrived: _check(source, name, arrived))
    except DownloadFailed as failure:
        raise DatasetUnavailable(
            f"{source.name}: neither {path} nor {folder / name} exists, and downloading failed: {failure}. Put the four"
            f" files there, or set GANYMEDE_DATA_DIR to a folder whose {source.name}/ has them"
        ) from failure
    return _verified(source, path)


def _verified(source: Source, path: Path) -> bytes:
    try:
        return _check(source, path.name.removesuffix(".gz"), path.read_bytes())
    except (OSError, ValueError) as fault:
        raise DatasetUnavailable(
            f"{source.name}: {path}: {fault}. Remove the file, and it is downloaded anew"
        ) from fault


def _check(source: Source, name: str, arrived: bytes) -> bytes:
    """Uncompress if need be. Raises ValueError unless the MD5 is as expected."""
    compressed = arrived[:2] == b"\x1f\x8b"
    if source.digests_of == "gzip file":
        if not compressed:
            raise ValueError("not a gzip file, and nobody published what the MD5 of the uncompressed content must be")
        _compare(arrived, "gzip file", source.files[name])
    content = _uncompressed(arrived) if compressed else arrived
    if source.digests_of == "content":
        _compare(content, "uncompressed content", source.files[name])
    return content


def _compare(content: bytes, what: str, expected: str) -> None:
    found = md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(f"MD5 {found} of the {what}, expected {expected}")


def _uncompressed(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as fault:
        raise ValueError(f"damaged gzip file: {fault}") from fault
