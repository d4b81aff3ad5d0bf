"""How files are fetched: several mirrors in order, verified before they take their name, never half-written."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pooch
import requests

CONNECT_SECONDS = 4.0  # without a network every mirror fails within seconds
READ_SECONDS = 30.0


class DownloadFailed(Exception):
    """No mirror gave the file; the message says why for each."""


def download(path: Path, urls: Sequence[str], verify: Callable[[bytes], object]) -> None:
    """Fetch `path` from the first of `urls` whose content `verify` accepts; it raises ValueError otherwise."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as folder:
            arrived = Path(folder) / path.name
            _from_first(arrived, urls, verify)
            os.replace(arrived, path)
    except OSError as fault:
        raise DownloadFailed(f"{path.parent} cannot be written: {fault}") from fault


def _from_first(arrived: Path, urls: Sequence[str], verify: Callable[[bytes], object]) -> None:
    fetch = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, READ_SECONDS))
    reasons = []
    for url in urls:
        try:
            fetch(url, str(arrived), None)
            verify(arrived.read_bytes())
            return
        except (requests.RequestException, ValueError) as fault:
            reasons.append(f"{url}: {fault}")
    raise DownloadFailed("; ".join(reasons))
