"""Artifacts: files by path in a folder or an object store, each put whole or not at all."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from store.errors import ArtifactNotFound, FilesUnavailable

CHUNK_BYTES = 1 << 20
JOBS = "jobs"  # the folder of all jobs' folders
HALF = re.compile(r"#\d+$")  # how LocalStore names a file until it is whole


def job_folder(job_id: str) -> str:
    """Name the folder of all files of a job."""
    return f"{JOBS}/{job_id}"


class Artifacts:
    """Every file that a row points at. Paths are ours alone: no request ever names one.

    Every method raises FilesUnavailable where the folder or the bucket does not do as it is asked.
    """

    def __init__(self, url: str) -> None:
        """Open a folder, or a bucket by its `s3://`, `gs://` or `az://` URL."""
        self.url = url
        self._folder = None if "://" in url else Path(url)
        self._store: ObjectStore = (
            LocalStore(self._folder, mkdir=True, automatic_cleanup=True) if self._folder else from_url(url)
        )

    def put(self, path: str, content: bytes) -> None:
        """Write a file; nobody ever sees half of it."""
        with self._named(path):
            obstore.put(self._store, path, content)

    def get(self, path: str) -> bytes:
        """Return a file's bytes, or raise ArtifactNotFound."""
        with self._named(path):
            return bytes(obstore.get(self._store, path).bytes())

    def stream(self, path: str) -> Iterator[bytes]:
        """Return a file's bytes piece by piece, at constant memory; raise ArtifactNotFound at once."""
        with self._named(path):
            found = obstore.get(self._store, path)
        return (bytes(chunk) for chunk in found.stream(min_chunk_size=CHUNK_BYTES))

    def folders(self, folder: str) -> list[str]:
        """Return the folders right below a folder."""
        with self._named(folder):
            return list(obstore.list_with_delimiter(self._store, folder)["common_prefixes"])

    def files(self, folder: str) -> list[str]:
        """Return every file below a folder, also what a killed writer left of one."""
        with self._named(folder):
            whole = [file["path"] for listed in obstore.list(self._store, prefix=folder) for file in listed]
            return [*self._halves(folder), *whole]

    def delete(self, folder: str) -> None:
        """Remove every file of a folder; none need be there."""
        self.remove(self.files(folder))

    def remove(self, files: Sequence[str]) -> None:
        """Remove files; one that is gone already is as good as removed."""
        for path in files:
            with suppress(ArtifactNotFound), self._named(path):
                if self._folder and HALF.search(path):
                    _unlink(self._folder, path)
                else:
                    obstore.delete(self._store, path)

    def ping(self) -> None:
        """Raise unless the store can be listed."""
        if self._folder and not self._folder.is_dir():  # a folder that is missing lists as empty
            raise FileNotFoundError(f"no folder {self.url}")
        next(iter(obstore.list(self._store, chunk_size=1)), None)

    def _halves(self, folder: str) -> list[str]:
        """Find what was being written when its writer was killed; LocalStore neither lists it nor removes it."""
        if self._folder is None:
            return []
        found = (str(path.relative_to(self._folder)) for path in (self._folder / folder).rglob("*#*"))
        return [path for path in found if HALF.search(path)]

    @contextmanager
    def _named(self, path: str) -> Iterator[None]:
        """Give what goes wrong our own names, and say it in a line."""
        try:
            yield
        except (NotFoundError, FileNotFoundError) as missing:
            raise ArtifactNotFound(f"no file {path} in {self.url}") from missing
        except (BaseError, OSError) as fault:
            raise FilesUnavailable(f"{path} in {self.url}: {str(fault).partition(chr(10))[0]}") from fault


def _unlink(root: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    file = root / path
    file.unlink()
    for parent in file.parents:
        if parent == root or any(parent.iterdir()):
            return
        parent.rmdir()
