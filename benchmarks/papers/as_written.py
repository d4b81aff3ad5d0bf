"""`convgan` as its write-up has it, faults and all, which no job can ask for: what the corrections are worth (T19).

The networks, losses, rates, batches, seeds and measures are those of `preset: paper`; what differs is what the write-up
does wrong. Two optimizers move the one discriminator, each with moments of its own, one fed real images alone and the
other generated ones, both with gradients of the same weights. A filter by name leaves the generator's BatchNorm out of
training. And a generator in training mode draws its pictures one by one, each normalized by nothing but itself.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adam, Optimizer

from benchmarks.papers import provenance, records
from benchmarks.papers.records import Record, Spec, key_as_written
from ganmodels import batches, draws, evaluation, precision, training
from ganmodels.classifier import Classifier
from ganmodels.datasets import Dataset, load
from ganmodels.draws import Purpose
from ganmodels.family import Batch, Family, ImageShape
from ganmodels.losses import non_saturating
from ganmodels.specs import NUMERICS_VERSION, SPEC
from ganmodels.specs.convgan import ConvganSpec
from ganmodels.training import State
from store.artifacts import Artifacts
from store.settings import Settings
from worker import judge


class OneByOne(nn.Module):
    """A generator in training mode, asked for one image at a time."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`, each alone."""
        self.generator.train()
        rows = zip(z.split(1), labels.split(1), strict=True)
        return torch.cat([self.generator(row, label) for row, label in rows])


class Faulty:
    """A run with the write-up's optimizers."""

    def __init__(self, spec: ConvganSpec, dataset: Dataset) -> None:
        """Start both networks as the service does, from the same seed."""
        facts = dataset.facts
        self.spec = spec
        self.family: Family = training.family_of(spec)
        self.state: State = training.start(spec, ImageShape(facts.channels, facts.size, len(facts.label_names)))
        assert self.state.generator is not None
        self.d, self.g = self.state.discriminator.network, self.state.generator.network
        self.on_real, self.on_fake = (self._adam(self.d.parameters(), spec.discriminator_learning_rate) for _ in "12")
        named = (parameter for name, parameter in self.g.named_parameters() if not name.startswith("norms."))
        self.on_g = self._adam(named, spec.generator_learning_rate)
        self.supply = batches.supply(dataset.train, spec, self.family.output_range(spec), "cpu")

    def _adam(self, parameters: Iterator[nn.Parameter], rate: float) -> Optimizer:
        return Adam(parameters, lr=rate, betas=(self.spec.beta1, self.spec.beta2), fused=True)

    def train(self) -> None:
        """Pre-train the discriminator, then alternate."""
        precision.apply(self.spec)
        for update in range(1, self.spec.d_pretrain_steps + 1):
            self._discriminator(self.supply.batch(update), Purpose.PRETRAINING_NOISE)
        for step in range(1, self.spec.total_steps + 1):
            self.state.step = step
            batch = self.supply.batch(step)
            self._discriminator(batch, Purpose.DISCRIMINATOR_NOISE)
            with precision.autocast(self.spec, "cpu"):
                drawn = self._draw(step, Purpose.GENERATOR_NOISE, batch)
                loss = non_saturating(self.d(drawn, batch.labels))
            self._descend(self.on_g, loss)

    def _discriminator(self, batch: Batch, purpose: Purpose) -> None:
        with precision.autocast(self.spec, "cpu"):
            with torch.no_grad():
                fake = self._draw(batch.update, purpose, batch)
            on_real = softplus(-self.d(batch.real, batch.labels)).mean()
            on_fake = softplus(self.d(fake, batch.labels)).mean()
        parameters = list(self.d.parameters())
        gradients = [torch.autograd.grad(loss, parameters) for loss in (on_real, on_fake)]
        for optimizer, found in zip((self.on_real, self.on_fake), gradients, strict=True):
            for parameter, gradient in zip(parameters, found, strict=True):
                parameter.grad = gradient
            optimizer.step()

    def _draw(self, number: int, purpose: Purpose, batch: Batch) -> Tensor:
        z = training.noise(self.spec, self.spec.batch_size, draws.source(self.spec.seed, 0, number, purpose))
        images: Tensor = self.g(z, batch.labels)
        return images

    def _descend(self, optimizer: Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=[p for group in optimizer.param_groups for p in group["params"]])
        optimizer.step()


def run(asked: Spec, dataset: Dataset, classifier: Classifier) -> Record:
    """Train it once and judge it on test as a job is judged."""
    spec = precision.resolve(SPEC.validate_python(asked))
    assert isinstance(spec, ConvganSpec)
    began, processor = time.monotonic(), time.process_time()
    faulty = Faulty(spec, dataset)
    faulty.train()
    cpu = time.process_time() - processor
    assert faulty.state.generator is not None
    faulty.state.generator.network, faulty.state.generator.averaged = OneByOne(faulty.g), None
    figures = evaluation.judged(spec, faulty.state, dataset.test, classifier, 2_000)
    return Record(
        key=key_as_written(asked),
        spec=asked,
        figures={"cpu_seconds": cpu, **{f"test_{name}": value for name, value in figures.items()}},
        series={},
        verdicts=[],
        state="succeeded",
        reason="as written: outside the service",
        seconds=round(time.monotonic() - began, 1),
        commit=provenance.commit(),
        numerics_version=NUMERICS_VERSION,
        hardware=provenance.hardware(),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def gather(wanted: Mapping[str, Spec], path: Path, home: Path, deadline: float) -> None:
    """Run what is not recorded yet, one run after another, as long as there is time to begin."""
    settings = Settings(home=home)
    dataset, artifacts = load("mnist", settings.data), Artifacts(settings.artifacts)
    classifier = judge.find(dataset, artifacts) or judge.train(dataset, artifacts)
    for key, asked in wanted.items():
        there = records.load(path)
        if key not in there and time.monotonic() < deadline:
            records.save(path, {**there, key: run(asked, dataset, classifier)}.values())
