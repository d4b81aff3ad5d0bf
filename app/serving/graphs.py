"""Networks in memory: a checkpoint's ONNX graphs, their digests verified, kept while they are asked for."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import structlog
from numpy.typing import NDArray

from app.refusals import FileDamaged, NotFinite
from store.artifacts import Artifacts
from store.checkpoints import Checkpoint
from store.errors import ArtifactNotFound

GENERATOR = "generator.onnx"
DISCRIMINATOR = "discriminator.onnx"
CPU = "CPUExecutionProvider"
MOST_KEPT = 16
BATCH_SIZE = 64  # bounds the memory of the layers between, whatever was asked for

# ONNX Runtime computes the last few elements of a batch of these by other instructions than the rest, so that an
# image's last bit may depend on its batch mates. A graph that has one is run image by image.
UNEVEN = ("Celu", "Cos", "Elu", "Log", "Mish", "Selu", "Sin", "Softplus")
OP_TYPE = b'"'  # the tag of NodeProto.op_type: field 4, length-delimited

Key = tuple[str, int, str, str]

log = structlog.get_logger()


@dataclass(frozen=True, eq=False)
class Graph:
    """One loaded graph. Any number of threads may run it at once."""

    session: Any  # Any: ONNX Runtime has no types
    batch_size: int

    @property
    def inputs(self) -> set[str]:
        """Return the names of what it takes."""
        return {each.name for each in self.session.get_inputs()}

    def passes(self, count: int) -> int:
        """Return how many executions so many images take."""
        return -(-count // self.batch_size)

    def run(self, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:  # Any: float32 or int64
        """Return every output by name, for inputs of the same length N ≥ 1. Raises NotFinite."""
        names = [output.name for output in self.session.get_outputs()]
        count = len(next(iter(inputs.values())))
        batches = [
            self.session.run(names, {name: array[start : start + self.batch_size] for name, array in inputs.items()})
            for start in range(0, count, self.batch_size)
        ]
        found = {name: np.concatenate(parts) for name, *parts in zip(names, *batches, strict=True)}
        if not all(np.isfinite(output).all() for output in found.values()):
            raise NotFinite("the network answers with numbers that are not finite: its training has diverged")
        return found


class ProviderMissing(Exception):
    """ONNX Runtime has no such execution provider. The message says which it has."""


class Graphs:
    """The graphs asked for last, run by one of ONNX Runtime's execution providers."""

    def __init__(self, artifacts: Artifacts, provider: str = CPU) -> None:
        """Load nothing yet. Raises ProviderMissing."""
        known = onnxruntime.get_available_providers()
        if provider not in known:
            raise ProviderMissing(
                f"GANYMEDE_EXECUTION_PROVIDER is {provider}, and ONNX Runtime has {', '.join(known)} here. "
                "Install the build that has yours (onnxruntime-gpu in place of onnxruntime), or name one of these."
            )
        self.provider = provider
        self._artifacts = artifacts
        self._kept: OrderedDict[Key, Graph] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def kept(self, job_id: str, checkpoint: Checkpoint, file: str) -> Graph | None:
        """Return the graph in a file of a checkpoint where it is in memory; raise FileDamaged where none is listed."""
        key = (job_id, checkpoint.step, file, digest(checkpoint, file))
        with self._lock:
            if found := self._kept.get(key):
                self._kept.move_to_end(key)
            return found

    def open(self, job_id: str, checkpoint: Checkpoint, file: str) -> Graph:
        """Return the graph in a file of a checkpoint; raise FileDamaged unless the file is what the row says."""
        if found := self.kept(job_id, checkpoint, file):
            return found
        with self._loading:  # a crowd that wants a new checkpoint has it loaded once
            return self.kept(job_id, checkpoint, file) or self._keep(job_id, checkpoint, file)

    def _keep(self, job_id: str, checkpoint: Checkpoint, file: str) -> Graph:
        loaded = self._load(checkpoint, file)
        with self._lock:
            self._kept[job_id, checkpoint.step, file, digest(checkpoint, file)] = loaded
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return loaded

    def _load(self, checkpoint: Checkpoint, file: str) -> Graph:
        try:
            content = self._artifacts.get(checkpoint.path(file))
        except ArtifactNotFound as missing:
            raise FileDamaged(f"the file {file} of step {checkpoint.step} is missing") from missing
        verify(file, content, digest(checkpoint, file), checkpoint.step)
        return Graph(_session(content, self.provider), 1 if is_uneven(content) else BATCH_SIZE)


def digest(checkpoint: Checkpoint, file: str) -> str:
    """Return the SHA-256 that a file of the checkpoint must have; raise FileDamaged where the row lists none."""
    if file not in checkpoint.files:
        raise FileDamaged(f"the checkpoint of step {checkpoint.step} lists no {file}")
    found: str = checkpoint.files[file]["sha256"]
    return found


def verify(name: str, content: bytes, expected: str, step: int) -> None:
    """Raise FileDamaged unless the content has the SHA-256 that is expected."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise FileDamaged(f"the file {name} of step {step} is damaged: SHA-256 {found}, expected {expected}")


def is_uneven(content: bytes) -> bool:
    """Tell whether a serialized graph may have a node whose results depend on the batch.

    Weights that happen to read like one only cost speed.
    """
    return any(OP_TYPE + bytes([len(name)]) + name.encode() in content for name in UNEVEN)


def _session(content: bytes, provider: str) -> Any:  # Any: ONNX Runtime has no types
    """Open a graph on one thread: with more, an image's last bit may depend on its batch mates.

    What the provider cannot do, the CPU does; all of it where the provider fails to start, which ONNX Runtime bears.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors: its warnings are about graphs that we made
    session = onnxruntime.InferenceSession(content, options, providers=list(dict.fromkeys([provider, CPU])))
    if provider not in session.get_providers():
        log.error("execution provider does not start", wanted=provider, used=session.get_providers())
    return session
