"""Generators in memory: a checkpoint's ONNX graph, its digest verified, kept while it is asked for."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.refusals import FileDamaged
from store.artifacts import Artifacts
from store.checkpoints import Checkpoint
from store.errors import ArtifactNotFound

FILE = "generator.onnx"
PROVIDER = "CPUExecutionProvider"
MOST_KEPT = 16
CHUNK_IMAGES = 64  # bounds the memory of the layers between, whatever was asked for

Key = tuple[str, int, str]


@dataclass(frozen=True)
class Generator:
    """One loaded graph. Any number of threads may draw at once."""

    session: Any  # Any: ONNX Runtime has no types

    def draw(self, noise: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        """Turn latent vectors (N, Z), and labels (N,) where it knows any, into images (N, H, W, C)."""
        chunks = [
            self._draw(noise[start : start + CHUNK_IMAGES], None if labels is None else labels[start:][:CHUNK_IMAGES])
            for start in range(0, len(noise), CHUNK_IMAGES)
        ]
        return np.concatenate(chunks)

    def _draw(self, noise: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        inputs: Mapping[str, NDArray[Any]] = {"z": noise} if labels is None else {"z": noise, "label": labels}
        (images,) = self.session.run(["images"], inputs)
        return to_bytes(images)


def to_bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn images (N, C, H, W) in [0, 1] into bytes (N, H, W, C), halves rounded to even."""
    return np.rint(images.clip(0, 1) * np.float32(255)).astype(np.uint8).transpose(0, 2, 3, 1)


class Generators:
    """The generators asked for last."""

    def __init__(self, artifacts: Artifacts) -> None:
        """Load nothing yet."""
        self._artifacts = artifacts
        self._kept: OrderedDict[Key, Generator] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, job_id: str, checkpoint: Checkpoint) -> Generator:
        """Return a checkpoint's generator; raise FileDamaged unless its file is what the row says."""
        key = (job_id, checkpoint.step, digest(checkpoint))
        with self._lock:
            if found := self._kept.get(key):
                self._kept.move_to_end(key)
                return found
        loaded = Generator(self._load(checkpoint))
        with self._lock:
            self._kept[key] = loaded
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return loaded

    def _load(self, checkpoint: Checkpoint) -> Any:  # Any: ONNX Runtime has no types
        path = checkpoint.path(FILE)
        try:
            content = self._artifacts.get(path)
        except ArtifactNotFound as missing:
            raise FileDamaged(f"the file {FILE} of step {checkpoint.step} is missing") from missing
        verify(FILE, content, digest(checkpoint), checkpoint.step)
        return _session(content)


def digest(checkpoint: Checkpoint) -> str:
    """Return the SHA-256 that the checkpoint's generator must have."""
    found: str = checkpoint.files[FILE]["sha256"]
    return found


def verify(name: str, content: bytes, expected: str, step: int) -> None:
    """Raise FileDamaged unless the content has the SHA-256 that is expected."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise FileDamaged(f"the file {name} of step {step} is damaged: SHA-256 {found}, expected {expected}")


def _session(content: bytes) -> Any:  # Any: ONNX Runtime has no types
    """Open a graph on one thread: with more, an image's last bit may depend on its batch mates."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors: its warnings are about graphs that we made
    return onnxruntime.InferenceSession(content, options, providers=[PROVIDER])
