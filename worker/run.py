"""A training run inside the child: when to log, preview, checkpoint, evaluate and stop; how failures are classed."""

import hashlib
import io
import json
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from ganmodels import checkpoints, evaluation, precision, previews
from ganmodels.checkpoints import CheckpointDamaged
from ganmodels.datasets import Dataset, DatasetUnavailable, load
from ganmodels.export import Exporter
from ganmodels.family import ImageShape
from ganmodels.specs import NUMERICS_VERSION, SPEC
from ganmodels.training import State, start, train
from store.artifacts import Artifacts
from store.errors import ArtifactNotFound
from worker.judge import Judge
from worker.messages import (
    Assignment,
    Began,
    CheckpointWritten,
    Damaged,
    Ended,
    Failed,
    Message,
    Noted,
    PreviewWritten,
    Progress,
    Resolved,
    Source,
    Stopped,
)

REPORT_SECONDS = 0.5  # points wait so long at most, so that a fast run does not write thousands of rows one by one

Send = Callable[[Message], None]
Split = Literal["validation", "test"]
NO_FIGURES: Mapping[str, float] = {}


class NumericsChanged(Exception):
    """The job began under other conditions than this worker's; going on would not give the same numbers."""


class Diverged(Exception):
    """A loss is no longer finite."""


def train_assigned(assignment: Assignment, send: Send, stopping: threading.Event) -> None:
    """Train a job to its end, or to where it is told to stop; report how it ended, whatever happens."""
    run = None
    try:
        run = Run(assignment, send, stopping)
        run.go()
    except Exception as error:  # noqa: BLE001  # whatever went wrong belongs in the job's row, by class
        traceback.print_exc()
        code, retryable = classed(error)
        step = run.state.step if run else 0
        send(Failed(code=code, message=str(error) or repr(error), step=step, retryable=retryable))


def classed(error: Exception) -> tuple[str, bool]:
    """Name a failure, and tell whether trying again may help."""
    match error:
        case DatasetUnavailable():
            return "dataset_unavailable", False
        case NumericsChanged():
            return "numerics_changed", False
        case Diverged():
            return "diverged", False
        case torch.OutOfMemoryError() | MemoryError():
            return "out_of_memory", False
        case torch.AcceleratorError():
            return "device", True
        case OSError():
            return "io", True
        case ValueError():
            return "bad_spec", False
        case _:
            return "internal", False


class Run:
    """One attempt at a job: the networks, where its files go, and what has been reported."""

    def __init__(self, assignment: Assignment, send: Send, stopping: threading.Event) -> None:
        """Read the data, choose what was left to the machine, resume from the newest whole checkpoint."""
        self._send = send
        self._stopping = stopping
        self._artifacts = Artifacts(assignment.artifacts)
        self._job_folder = f"jobs/{assignment.job_id}/attempt-{assignment.token}"
        self.spec: Any = precision.resolve(SPEC.validate_python(assignment.spec))  # Any: one of the families' specs
        precision.apply(self.spec)
        self._dataset = load(self.spec.dataset, Path(assignment.data_dir))
        numerics = numerics_of(self._dataset)
        refuse_changes(assignment.numerics, numerics)
        send(Resolved(spec=self.spec.model_dump(mode="json"), numerics=numerics))
        self.state = self._resume(assignment)
        self._reporter = Reporter(send, self.state.step, self.spec.batch_size)
        self._exporter: Exporter | None = None
        judged = self.spec.evaluate_every is not None and bool(self._dataset.facts.label_names)
        self._judge = Judge(self._dataset, self._artifacts, assignment.data_dir) if judged else None
        send(Began(step=self.state.step))

    def go(self) -> None:
        """Train; log, draw, keep and judge at the steps the spec names."""
        for step, metrics in train(self.spec, self.state, self._dataset.train):
            self._after(step, metrics)
            if self._stopping.is_set() and step < self.spec.total_steps:
                self._checkpoint()
                self._send(Stopped(step=step))
                return
        self._evaluate("test")
        self._reporter.flush()
        self._send(Ended())

    def _after(self, step: int, metrics: dict[str, Tensor]) -> None:
        spec, last = self.spec, step == self.spec.total_steps
        self._reporter.step(step)
        if last or step % spec.log_every == 0:
            self._reporter.log(step, finite_or_raise(step, metrics))
        if last or step % spec.preview_every == 0:
            self._preview()
        figures: dict[str, float] = {}
        if not last and spec.evaluate_every and step % spec.evaluate_every == 0:
            figures = self._evaluate("validation")
        if last or step % spec.checkpoint_every == 0:
            self._checkpoint(figures)

    def _resume(self, assignment: Assignment) -> State:
        facts = self._dataset.facts
        shape = ImageShape(channels=facts.channels, size=facts.size, labels=len(facts.label_names))
        for source in assignment.sources:
            try:
                files = {name: self._read(source, name) for name in source.files}
                return checkpoints.restore(files, self.spec, shape, self.spec.device)
            except (CheckpointDamaged, ArtifactNotFound) as damage:
                self._send(Damaged(step=source.step, reason=str(damage)))
        return start(self.spec, shape, self.spec.device)

    def _read(self, source: Source, name: str) -> bytes:
        content = self._artifacts.get(f"{source.folder}/{name}")
        if sha256(content) != source.files[name]["sha256"]:
            raise CheckpointDamaged(f"{name} with SHA-256 {sha256(content)}", source.files[name]["sha256"])
        return content

    def _checkpoint(self, figures: Mapping[str, float] = NO_FIGURES) -> None:
        """Write every file, then point at them; `figures` are what was measured of these very weights."""
        self._exporter = self._exporter or Exporter(self.spec, self.state)
        step = self.state.step
        folder = f"{self._job_folder}/checkpoints/{step}"
        files = checkpoints.pack(
            self.spec, self.state, self._dataset, {**self._reporter.newest, **figures}, self._exporter
        )
        for name, content in files.items():
            self._artifacts.put(f"{folder}/{name}", content)
        card = json.loads(files["card.json"])
        listed = card.pop("files")
        listed["card.json"] = {"sha256": sha256(files["card.json"]), "size": len(files["card.json"])}
        self._reporter.flush()
        self._send(CheckpointWritten(step=step, folder=folder, files=listed, card=card))

    def _preview(self) -> None:
        pixels = previews.preview(self.spec, self.state).numpy()
        picture = Image.fromarray(pixels)
        content = io.BytesIO()
        picture.save(content, format="PNG")
        step = self.state.step
        path = f"{self._job_folder}/previews/{step}.png"
        self._artifacts.put(path, content.getvalue())
        digest = sha256(content.getvalue())
        width, height = picture.size
        self._send(PreviewWritten(step=step, path=path, sha256=digest, width=width, height=height))

    def _evaluate(self, split: Split) -> dict[str, float]:
        """Judge the averaged generator by the data set's own classifier; the figures are metrics like any other."""
        if self._judge is None:
            return {}
        self._reporter.flush()
        judge = self._judge.await_classifier()
        figures = evaluation.evaluate(self.spec, self.state.averaged, self._dataset, judge, split, seed=self.spec.seed)
        self._reporter.report(self.state.step, figures)
        self._send(Noted(type="evaluation", data={"step": self.state.step, "split": split, **figures}))
        return figures


class Reporter:
    """Gathers points and sends them twice a second, with the speed since the last time."""

    def __init__(self, send: Send, step: int, batch_size: int) -> None:
        """Start to count at `step`."""
        self._send = send
        self._step = self._sent_step = step
        self._batch_size = batch_size
        self._points: list[tuple[int, dict[str, float]]] = []
        self._sent_at = time.monotonic()
        self.newest: dict[str, float] = {}

    def step(self, step: int) -> None:
        """Note that a step is done."""
        self._step = step
        if time.monotonic() - self._sent_at >= REPORT_SECONDS:
            self.flush()

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Keep a point to send."""
        self._points.append((step, numbers))
        self.newest |= numbers

    def flush(self) -> None:
        """Send what there is."""
        now = time.monotonic()
        done = self._step - self._sent_step
        speed = done * self._batch_size / (now - self._sent_at) if done and now > self._sent_at else None
        if done or self._points:
            self._send(Progress(step=self._step, points=self._points, images_per_second=speed))
        self._points, self._sent_at, self._sent_step = [], now, self._step

    def report(self, step: int, figures: dict[str, float]) -> None:
        """Send what was measured beside the training, and leave the time that it took out of the speed."""
        self._points.append((step, figures))
        self.flush()
        self._sent_at = time.monotonic()


def numerics_of(dataset: Dataset) -> dict[str, Any]:  # Any: JSON
    """Name what fixes the numbers beside the spec."""
    return {
        "dataset_digest": dataset.digest,
        "numerics_version": NUMERICS_VERSION,
        "instruction_set": precision.instruction_set(),
        "torch": torch.__version__,
    }


def refuse_changes(earlier: dict[str, Any] | None, found: dict[str, Any]) -> None:
    """Raise NumericsChanged when the data or the algorithms are not those the job began with."""
    for name in ("dataset_digest", "numerics_version"):
        if earlier is not None and earlier[name] != found[name]:
            raise NumericsChanged(
                f"the job began with {name} {earlier[name]}, this worker has {found[name]}; "
                "submit the spec anew to train under the new one"
            )


def finite_or_raise(step: int, metrics: dict[str, Tensor]) -> dict[str, float]:
    """Read the metrics off the device. Raises Diverged when one is not finite."""
    numbers = {name: float(value) for name, value in metrics.items()}
    wrong = {name: value for name, value in numbers.items() if value - value != 0}
    if wrong:
        named = ", ".join(f"{name} = {value}" for name, value in wrong.items())
        raise Diverged(f"not finite at step {step}: {named}")
    return numbers


def sha256(content: bytes) -> str:
    """Return the digest as lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
