"""MNIST's four files: where they are looked for, what they must contain and where they come from."""

import gzip
import zlib
from collections.abc import Sequence
from hashlib import md5
from pathlib import Path

import torch
from torch import Tensor

from ganmodels import idx
from ganmodels.datasets import DatasetUnavailable
from ganmodels.downloads import DownloadFailed, download

# MD5 of the uncompressed files: mirrors compress them differently.
FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)


def read(folder: Path, mirrors: Sequence[str] = MIRRORS) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Read images (N, 1, 28, 28) and labels (N,) for training and test, downloading what `folder` lacks."""
    train_images, train_labels, test_images, test_labels = (
        idx.parse(_content(folder, name, digest, mirrors)) for name, digest in FILES.items()
    )
    return (
        (train_images[:, None], train_labels.to(torch.int64)),
        (test_images[:, None], test_labels.to(torch.int64)),
    )


def _content(folder: Path, name: str, digest: str, mirrors: Sequence[str]) -> bytes:
    """Give a file's uncompressed bytes, whose MD5 must be `digest`."""
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return _verified(path, digest)
    path = folder / f"{name}.gz"
    try:
        download(path, [mirror + path.name for mirror in mirrors], lambda content: _check(content, digest))
    except DownloadFailed as failure:
        raise DatasetUnavailable(
            f"mnist: neither {path} nor {folder / name} exists, and downloading failed: {failure}. Put the four MNIST"
            " files there, or set GANYMEDE_DATA_DIR to a folder whose mnist/ has them"
        ) from failure
    return _verified(path, digest)


def _verified(path: Path, digest: str) -> bytes:
    try:
        return _check(path.read_bytes(), digest)
    except (OSError, ValueError) as fault:
        raise DatasetUnavailable(f"mnist: {path}: {fault}. Remove the file, and it is downloaded anew") from fault


def _check(content: bytes, digest: str) -> bytes:
    """Uncompress if need be. Raises ValueError unless the MD5 is as expected."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as fault:
            raise ValueError(f"damaged gzip file: {fault}") from fault
    found = md5(content, usedforsecurity=False).hexdigest()
    if found != digest:
        raise ValueError(f"MD5 {found} of the uncompressed content, expected {digest}")
    return content
