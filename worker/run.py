"""A training run inside the child: when to log, preview, checkpoint, evaluate, roll back and stop."""

import json
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch._inductor.config  # noqa: F401  # what a job's first `use_deterministic_algorithms` would import, a second long
from torch import Tensor

from ganmodels import checkpoints, evaluation, health, precision, requested
from ganmodels.batches import visible_count
from ganmodels.checkpoints import CheckpointDamaged
from ganmodels.datasets import load
from ganmodels.export import Exporter
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC
from ganmodels.specs.knobs import AdversarialKnobs, LabeledKnobs
from ganmodels.training import State, start, train
from store.artifacts import Artifacts, job_folder
from store.errors import ArtifactNotFound
from worker.epochs import Epochs
from worker.failures import Diverged, classed, finite_or_raise, whole_or_raise
from worker.judge import Judge
from worker.messages import (
    Assignment,
    Began,
    CheckpointWritten,
    Damaged,
    Ended,
    Failed,
    HealthChanged,
    Noted,
    PreviewWritten,
    Resolved,
    RolledBack,
    Source,
    Stopped,
)
from worker.numerics import numerics_of, refuse_other_numerics, refuse_other_spec
from worker.pictures import Written, draw
from worker.reporter import Reporter, Send
from worker.selection import Selection

MOST_ROLLBACKS = 3
OBSERVATIONS = 100  # of the run's health, in all, and
LEAST_APART = 10  # steps between two of them

Split = Literal["validation", "test"]
NO_FIGURES: Mapping[str, float] = {}


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


class Run:
    """One attempt at a job: the networks, where its files go, and what has been reported."""

    def __init__(self, assignment: Assignment, send: Send, stopping: threading.Event) -> None:
        """Read the data, choose what was left to the machine, resume from the newest whole checkpoint."""
        self._send = send
        self._stopping = stopping
        self._artifacts = Artifacts(assignment.artifacts)
        self._job_id = assignment.job_id
        self._job_folder = f"{job_folder(assignment.job_id)}/attempt-{assignment.token}"
        self.spec: Any = precision.resolve(SPEC.validate_python(assignment.spec))  # Any: one of the families' specs
        precision.apply(self.spec)
        self._dataset = load(self.spec.dataset, Path(assignment.data_dir))
        numerics = numerics_of(self._dataset)
        refuse_other_numerics(assignment.numerics, numerics)
        send(Resolved(spec=self.spec.model_dump(mode="json"), numerics=numerics))
        self._sources = list(assignment.sources)
        self._monitor = health.Monitor.of(self.spec, health.spread_of(self._dataset.train), assignment.health)
        self._exporter: Exporter | None = None
        self._cpu_began, self._began = time.process_time(), time.monotonic()
        self.state, before = self._resume()
        self._cpu_before: float = before.get("cpu_seconds", 0.0)
        self._before: float = before.get("seconds", 0.0)
        self._reporter = Reporter(send, self.state.step, self.spec.batch_size)
        self._judge = Judge.of(self.spec, self._dataset, self._artifacts, assignment.data_dir)
        send(Began(step=self.state.step))

    def go(self) -> None:
        """Train to the end; where a number is not finite, go back and on, if the spec says so and it is not vain."""
        while True:
            try:
                return self._train()
            except Diverged as fault:
                if self.spec.on_divergence != "rollback" or self.state.rollbacks >= MOST_ROLLBACKS:
                    raise
                self._roll_back(fault)

    def _train(self) -> None:
        """Train; log, draw, keep and judge at the steps the spec names."""
        pretrained = 0
        if self.state.step > 0 and self._sources[0].owner != self._job_id:
            self._stand_alone()
        reason = self._reason_to_end()  # an attempt may have been lost between its last step and its last look
        steps = train(self.spec, self.state, self._dataset.train) if reason is None else ()
        for step, metrics in steps:
            if step == 0:
                pretrained += 1
                self._after_pretraining(pretrained, metrics)
            else:
                self._after(step, metrics)
            if self._stopping.is_set() and step < self.spec.total_steps:
                if step > 0:  # pre-training is done anew: a checkpoint in the midst of it would have it done twice
                    self._keep()
                self._send(Stopped(step=step))
                return
            if reason := self._reason_to_end():
                self._keep()
                break
        self._conclude()
        self._send(Ended(reason=reason))

    def _stand_alone(self) -> None:
        """Write another job's checkpoint as this one's, which from here on needs that job no more."""
        best = self._selection
        self._checkpoint({best.judged_by: best.lowest} if best.judged_by and best.lowest is not None else {})

    def _reason_to_end(self) -> str | None:
        """Say why the run is to end before its last step, None where it is not."""
        step = self.state.step
        if not 0 < step < self.spec.total_steps:
            return None
        if self._selection.exhausted(self.spec.early_stop):
            return f"stopped early at step {step}: {self._selection.since} evaluations without a better one"
        if self._out_of_time():
            return f"stopped at step {step}: the {self.spec.max_minutes:g} minutes of max_minutes are over"
        return None

    def _after_pretraining(self, update: int, metrics: dict[str, Tensor]) -> None:
        total = self.spec.d_pretrain_steps
        if update == total or update % max(1, total // 10) == 0:
            numbers = finite_or_raise(0, metrics)
            self._send(Noted(type="pretraining", data={"update": update, "of": total, "d_loss": numbers["d_loss"]}))

    def _after(self, step: int, metrics: dict[str, Tensor]) -> None:
        spec, last = self.spec, step == self.spec.total_steps
        keeps, evaluates = last or step % spec.checkpoint_every == 0, _due(step, spec.evaluate_every, last)
        draws, logs = last or step % spec.preview_every == 0, last or step % spec.log_every == 0
        observes = step % max(LEAST_APART, spec.total_steps // OBSERVATIONS) == 0
        self._reporter.step(step)
        # On a GPU each look waits for it, so that it looks no more often than it has to.
        if keeps or evaluates or draws or logs or observes or self.state.device == "cpu":
            numbers = finite_or_raise(step, metrics)
            self._epochs.add(numbers)
            if logs:
                self._reporter.log(step, numbers)
            if observes:
                self._observe(step, numbers)
        if isinstance(spec, LabeledKnobs) and self._epochs.over(step):
            self._close_epoch(step)
        if draws and isinstance(spec, AdversarialKnobs):
            self._preview()
        figures = self._evaluate("validation") if evaluates else {}
        better = self._selection.consider(step, figures)
        if keeps or better or self._selection.exhausted(spec.early_stop):
            self._checkpoint(figures)

    def _observe(self, step: int, numbers: Mapping[str, float]) -> None:
        if not isinstance(self.spec, AdversarialKnobs):
            return
        verdict = self._monitor.observe(step, numbers, health.diversity(self.spec, self.state))
        if verdict is not None:
            self._send(HealthChanged(verdict=verdict.kind, step=verdict.step, reasons=list(verdict.reasons)))

    def _close_epoch(self, step: int) -> None:
        """Log the epoch's means beside the same of the validation images."""
        held_out = evaluation.held_out(self.spec, self.state, self._dataset.validation, most=1_000)
        told = {"d_loss": "validation_loss_d", "g_loss": "validation_loss_g", "batch_accuracy": "validation_accuracy"}
        figures = {name: held_out[metric] for metric, name in told.items() if metric in held_out}
        self._reporter.log(step, {**self._epochs.close(step), **figures})

    def _resume(self) -> tuple[State, Mapping[str, Any]]:  # Any: JSON
        """Read the newest whole checkpoint, or start anew; give what it says of the time that led to it, too.

        What a job has cost is that of all jobs that led here; its time, its health and its best are its own.
        """
        facts = self._dataset.facts
        shape = ImageShape(channels=facts.channels, size=facts.size, labels=len(facts.label_names))
        progress: Mapping[str, Any] = {}
        state = None
        while state is None and self._sources:
            source = self._sources[0]
            try:
                files = {name: self._read(source, name) for name in source.files}
                if source.use == "weights":
                    state = checkpoints.adopt(files, self.spec, shape, self.spec.device)
                else:
                    state = checkpoints.restore(files, self.spec, shape, self.spec.device)
                    card = json.loads(files[checkpoints.CARD])
                    if source.owner == self._job_id:
                        refuse_other_spec(card["spec"], self.spec)
                    progress = card["progress"]
            except (CheckpointDamaged, ArtifactNotFound) as damage:
                self._send(Damaged(owner=source.owner, step=source.step, reason=str(damage)))
                del self._sources[0]
        self._selection = Selection.of(self.spec.judged_by, progress.get("selection"))
        if state and self._sources[0].owner != self._job_id:
            self._selection = self._selection.of_step(state.step)
            progress = {name: kept for name, kept in progress.items() if name not in {"seconds", "health"}}
        self._monitor.recall(progress.get("health"))
        seen = visible_count(self.spec, len(self._dataset.train))
        self._epochs = Epochs(-(-seen // self.spec.batch_size), progress.get("epoch"))
        return state or start(self.spec, shape, self.spec.device), progress

    def _roll_back(self, fault: Diverged) -> None:
        """Return to the newest checkpoint, or to the start, with noise that no step has drawn yet."""
        rollbacks, left = self.state.rollbacks + 1, self.state.step
        self.state, _ = self._resume()
        self.state.rollbacks = rollbacks
        self._exporter = None
        self._reporter.rewind(self.state.step)
        self._send(RolledBack(step=self.state.step, left=left, rollbacks=rollbacks, reason=str(fault)))

    def _read(self, source: Source, name: str) -> bytes:
        content = self._artifacts.get(f"{source.folder}/{name}")
        if checkpoints.digest_of(content) != source.files[name]["sha256"]:
            raise CheckpointDamaged(
                f"{name} with SHA-256 {checkpoints.digest_of(content)}", source.files[name]["sha256"]
            )
        return content

    def _keep(self) -> None:
        """Write a checkpoint, unless this very step has one already, with the figures of its evaluation."""
        newest = self._sources[0] if self._sources else None
        if newest is None or (newest.owner, newest.step) != (self._job_id, self.state.step):
            self._checkpoint()

    def _checkpoint(self, figures: Mapping[str, float] = NO_FIGURES) -> None:
        """Write every file, then point at them; `figures` are what was measured of these very weights."""
        step = self.state.step
        for player in filter(None, (self.state.generator, self.state.discriminator)):
            whole_or_raise(step, player.network)
        self._exporter = self._exporter or Exporter(self.spec, self.state)
        folder = f"{self._job_folder}/checkpoints/{step}"
        metrics = {**self._reporter.newest, **figures}
        progress = {
            "selection": self._selection.as_json(),
            "epoch": self._epochs.as_json(),
            "health": self._monitor.as_json(),
            "cpu_seconds": self._cpu_seconds(),
            "seconds": self._seconds(),
        }
        files = checkpoints.pack(self.spec, self.state, self._dataset, metrics, self._exporter, progress)
        for name, content in files.items():
            self._artifacts.put(f"{folder}/{name}", content)
        card = json.loads(files[checkpoints.CARD])
        listed = card.pop("files")
        content = files[checkpoints.CARD]
        listed[checkpoints.CARD] = {"sha256": checkpoints.digest_of(content), "size": len(content)}
        self._reporter.flush()
        self._send(CheckpointWritten(step=step, folder=folder, files=listed, card=card))
        self._sources.insert(0, Source(owner=self._job_id, step=step, folder=folder, files=listed))

    def _preview(self) -> None:
        step = self.state.step
        written: Written = draw(self.spec, self.state, self._artifacts, f"{self._job_folder}/previews/{step}.png")
        self._send(PreviewWritten(step=step, **vars(written)))

    def _evaluate(self, split: Split) -> dict[str, float]:
        """Measure what was learned against a split; the figures are metrics like any other, those of test by name."""
        self._reporter.flush()
        judge = self._judge.await_classifier() if self._judge else None
        figures = evaluation.evaluate(self.spec, self.state, self._dataset, judge, split)
        self._tell(figures, split)
        return figures

    def _tell(self, figures: Mapping[str, float], split: Split) -> None:
        step = self.state.step
        told = {f"test_{name}": value for name, value in figures.items()} if split == "test" else dict(figures)
        self._reporter.report(step, told)
        self._send(Noted(type="evaluation", data={"step": step, "split": split, **figures}))

    def _conclude(self) -> None:
        """Read the test split, once: the final networks, what was asked for by name, and the best on validation."""
        self._reporter.report(self.state.step, {"cpu_seconds": self._cpu_seconds()})
        if self.spec.evaluate_every is None:
            return
        self._evaluate("test")
        for name in self.spec.measures:
            self._tell(requested.measure(name, self.spec, self.state, self._dataset), "test")
        best = self._selection.step
        if chosen := next((source for source in self._sources if source.step == best != self.state.step), None):
            self._tell(self._figures_of(chosen), "test")
        self._reporter.flush()

    def _cpu_seconds(self) -> float:
        """Give what the job has cost so far, over all attempts that led here: training, validation, checkpoints."""
        return self._cpu_before + time.process_time() - self._cpu_began

    def _seconds(self) -> float:
        """Give how long the job has been trained so far, over all attempts that led here."""
        return self._before + time.monotonic() - self._began

    def _out_of_time(self) -> bool:
        return self.spec.max_minutes is not None and self._seconds() >= 60 * self.spec.max_minutes

    def _figures_of(self, source: Source) -> dict[str, float]:
        """Measure the checkpoint chosen on validation."""
        files = {name: self._read(source, name) for name in source.files}
        best = checkpoints.restore(files, self.spec, self.state.shape, self.spec.device)
        judge = self._judge.await_classifier() if self._judge else None
        figures = evaluation.evaluate(self.spec, best, self._dataset, judge, "test")
        judged_by = self._selection.judged_by
        assert judged_by is not None
        return {f"best_{judged_by}": figures[judged_by], "best_step": float(source.step)}


def _due(step: int, every: int | None, last: bool) -> bool:
    """Tell whether validation is to be looked at: at the end too, so that the last checkpoint can be compared."""
    return bool(every) and (last or step % (every or 1) == 0)
