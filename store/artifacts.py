"""Artifacts: files by path in a folder or an object store, each put whole or not at all."""

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from store.errors import ArtifactNotFound, FilesUnavailable

CHUNK_BYTES = 1 << 20
JOBS = "jobs"  # the folder of all jobs' folders
CHECKS = "checks"  # the folder of what is written only to see whether it can be
HALF = re.compile(r"#\d+$")  # how LocalStore names a file until it is whole
ANSWER = re.compile(r"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", re.DOTALL)  # what is wrong, as a bucket says it
NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")
METADATA = "/latest/api/token"  # where a machine at Amazon's is asked for a key when there is no other

# How long a bucket may say nothing, which it also does while a file is sent to it (100 MB at 2 MB/s take most of a
# minute), and how long it is asked again where it answers with a fault; a worker's attempts come on top of that.
CONNECT_PATIENCE, READ_PATIENCE, WRITE_PATIENCE = timedelta(seconds=5), timedelta(seconds=10), timedelta(minutes=1)
RETRY_PATIENCE = timedelta(seconds=10)
LONGEST_DOWNLOAD = timedelta(hours=1)  # for whoever reads slowly

ADVICE = (
    "GANYMEDE_ARTIFACTS must name a folder or a bucket in which this process may list, write, read and remove files; "
    "docs/storage.md says what a bucket needs."
)


def job_folder(job_id: str) -> str:
    """Name the folder of all files of a job."""
    return f"{JOBS}/{job_id}"


class Artifacts:
    """Every file that a row points at. Paths are ours alone: no request ever names one.

    Every method raises FilesUnavailable where the folder or the bucket does not do as it is asked.
    """

    def __init__(self, url: str) -> None:
        """Open a folder, which is made, or a bucket by its `s3://`, `gs://` or `az://` URL, which is not asked yet."""
        self.url = url
        self._folder = None if "://" in url else Path(url)
        self._reading = self._open(READ_PATIENCE)
        self._writing = self._open(WRITE_PATIENCE)

    def put(self, path: str, content: bytes) -> None:
        """Write a file; nobody ever sees half of it."""
        with self._named(path):  # in one piece: of several, a killed writer would leave some in the bucket, unlisted
            obstore.put(self._writing, path, content, use_multipart=False)

    def get(self, path: str) -> bytes:
        """Return a file's bytes, or raise ArtifactNotFound."""
        with self._named(path):
            return bytes(obstore.get(self._reading, path).bytes())

    def stream(self, path: str) -> Iterator[bytes]:
        """Return a file's bytes piece by piece, at constant memory; raise ArtifactNotFound at once."""
        with self._named(path):
            found = obstore.get(self._reading, path)

        def pieces() -> Iterator[bytes]:
            with self._named(path):
                for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                    yield bytes(chunk)

        return pieces()

    def folders(self, folder: str) -> list[str]:
        """Return the folders right below a folder."""
        with self._named(folder):
            return list(obstore.list_with_delimiter(self._reading, folder)["common_prefixes"])

    def files(self, folder: str) -> list[str]:
        """Return every file below a folder, also what a killed writer left of one."""
        with self._named(folder):
            whole = [file["path"] for listed in obstore.list(self._reading, prefix=folder) for file in listed]
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
                    obstore.delete(self._reading, path)

    def ping(self) -> None:
        """Raise FilesUnavailable unless the store can be listed."""
        with self._named("the files"):
            if self._folder and not self._folder.is_dir():  # a folder that is missing lists as empty
                raise FileNotFoundError("no such folder")
            next(iter(obstore.list(self._reading, chunk_size=1)), None)

    def _open(self, patience: timedelta) -> ObjectStore:
        try:
            if self._folder:
                return LocalStore(self._folder, mkdir=True, automatic_cleanup=True)
            return from_url(
                self.url,
                client_options={
                    "allow_http": True,  # where the operator names an http:// endpoint
                    "connect_timeout": CONNECT_PATIENCE,
                    "read_timeout": patience,
                    "timeout": LONGEST_DOWNLOAD,
                },
                retry_config={"retry_timeout": RETRY_PATIENCE},
            )
        except (BaseError, OSError) as fault:
            raise FilesUnavailable(f"{self.url}: {_said(fault)}") from fault

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
        except (BaseError, OSError) as fault:
            if isinstance(fault, NotFoundError | FileNotFoundError) and not self._is_gone(fault):
                raise ArtifactNotFound(f"no file {path} in {self.url}") from fault
            raise FilesUnavailable(f"{path} in {self.url}: {_said(fault)}") from fault

    def _is_gone(self, fault: Exception) -> bool:
        """Tell whether not one file is missing but the whole folder or bucket."""
        return not self._folder.is_dir() if self._folder else NO_BUCKET.search(str(fault)) is not None


def check_access(url: str) -> None:
    """Raise FilesUnavailable, which says what to do, unless files can be listed, written, read and removed there."""
    path = f"{CHECKS}/{uuid.uuid4()}"
    try:
        artifacts = Artifacts(url)
        artifacts.ping()
        artifacts.put(path, b"may be removed")
        artifacts.get(path)
        artifacts.remove([path])
    except (ArtifactNotFound, FilesUnavailable) as fault:
        raise FilesUnavailable(f"The artifacts cannot be used: {str(fault).rstrip('.')}. {ADVICE}") from fault


def _said(fault: Exception) -> str:
    """Say what went wrong in a line: a bucket's own words where it answered."""
    said = str(fault)
    if answer := ANSWER.search(said):
        return ": ".join(answer.groups())
    line = said.partition("\n")[0]
    return f"no AWS_ACCESS_KEY_ID is set and this machine has no role: {line}" if METADATA in line else line


def _unlink(root: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    file = root / path
    file.unlink()
    for parent in file.parents:
        if parent == root or any(parent.iterdir()):
            return
        parent.rmdir()
