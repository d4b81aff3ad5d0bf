"""Artifacts: files by path in a folder or an object store, each put whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from store.errors import ArtifactNotFound

CHUNK_BYTES = 1 << 20


def job_folder(job_id: str) -> str:
    """Name the folder of all files of a job."""
    return f"jobs/{job_id}"


class Artifacts:
    """Every file that a row points at. Paths are ours alone: no request ever names one."""

    def __init__(self, url: str) -> None:
        """Open a folder, or a bucket by its `s3://`, `gs://` or `az://` URL."""
        self.url = url
        self._store: ObjectStore = (
            from_url(url) if "://" in url else LocalStore(Path(url), mkdir=True, automatic_cleanup=True)
        )

    def put(self, path: str, content: bytes) -> None:
        """Write a file; nobody ever sees half of it."""
        obstore.put(self._store, path, content)

    def get(self, path: str) -> bytes:
        """Return a file's bytes, or raise ArtifactNotFound."""
        try:
            return bytes(obstore.get(self._store, path).bytes())
        except (NotFoundError, FileNotFoundError) as missing:
            raise ArtifactNotFound(f"no file {path} in {self.url}") from missing

    def stream(self, path: str) -> Iterator[bytes]:
        """Return a file's bytes piece by piece, at constant memory; raise ArtifactNotFound at once."""
        try:
            found = obstore.get(self._store, path)
        except (NotFoundError, FileNotFoundError) as missing:
            raise ArtifactNotFound(f"no file {path} in {self.url}") from missing
        return (bytes(chunk) for chunk in found.stream(min_chunk_size=CHUNK_BYTES))

    def delete(self, folder: str) -> None:
        """Remove every file of a folder; none need be there."""
        for listed in obstore.list(self._store, prefix=folder, chunk_size=500):
            obstore.delete(self._store, [file["path"] for file in listed])

    def ping(self) -> None:
        """Raise unless the store can be listed."""
        if "://" not in self.url and not Path(self.url).is_dir():  # a folder that is missing lists as empty
            raise FileNotFoundError(f"no folder {self.url}")
        next(iter(obstore.list(self._store, chunk_size=1)), None)
