"""Faults seen in semi-supervised GANs: each fails the check that the real code passes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganmodels import batches, evaluation, heads, training
from ganmodels.batches import Supply, to_range
from ganmodels.datasets.imagesets import ImageSet
from ganmodels.draws import positions
from ganmodels.families import sgan
from ganmodels.families.sgan import FAMILY, Judgment
from ganmodels.family import UNKNOWN, Batch, ImageShape
from ganmodels.specs import SPEC
from ganmodels.training import State
from worker.judge import Judge
from worker.messages import Assignment, CheckpointWritten, Message
from worker.run import Run

DIGITS = ImageShape(1, 8, 10)


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "sgan", "device": "cpu", "threads": 1, "precision": "fp32", **knobs})


def pictures(count: int, size: int) -> ImageSet:
    pixels = torch.randint(0, 256, (count, 1, size, size), generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels.to(torch.uint8), torch.arange(count) % 10, tuple("0123456789"))


class LeakingSupply(Supply):
    """The fault: the labels of the first tenth of every batch are used, and batches are shuffled."""

    def batch(self, update: int) -> Batch:
        batch = super().batch(update)
        chosen = positions(self.seed, (update - 1) * self.size, self.size, len(self.images))
        tenth = self.size // 10
        mine = to_range(self.images[chosen[:tenth]], self.output_range)
        return replace(batch, labeled=mine, labeled_labels=chosen[:tenth] % 10)


class UnmaskedSupply(Supply):
    """The fault: labels ride along with the images that are said to have none."""

    def batch(self, update: int) -> Batch:
        chosen = positions(self.seed, (update - 1) * self.size, self.size, len(self.images))
        return replace(super().batch(update), labels=chosen % 10)


def labels_used(supply: Supply, epochs: int) -> int:
    """Count the distinct images whose label some batch of these epochs gave away."""
    told: set[tuple[float, ...]] = set()
    for update in range(1, 1 + epochs * len(supply.images) // supply.size):
        batch = supply.batch(update)
        for images, labels in ((batch.real, batch.labels), (batch.labeled, batch.labeled_labels)):
            told |= {tuple(image.flatten().tolist()) for image in images[labels != UNKNOWN]}
    return len(told)


@pytest.mark.parametrize("fault", [LeakingSupply, UnmaskedSupply])
def test_no_more_labels_leak_than_were_granted(fault: type[Supply]) -> None:
    """Ledger 8: with the fault, the distinct labels used grow from epoch to epoch."""
    granted = batches.supply(pictures(200, 8), asked(labeled={"count": 20}, batch_size=20), (0.0, 1.0), "cpu")
    leaking = fault(**vars(granted))
    assert labels_used(granted, epochs=1) == labels_used(granted, epochs=20) == 20
    assert labels_used(leaking, epochs=1) <= labels_used(leaking, epochs=20)
    assert labels_used(leaking, epochs=20) > 2 * 20


class Inactive(sgan.Dropout):
    """The fault: dropout that takes every step for evaluation."""

    def forward(self, values: Tensor) -> Tensor:
        return values


class Unending(sgan.Dropout):
    """The fault: dropout that takes evaluation for training."""

    def forward(self, values: Tensor) -> Tensor:
        return values * (torch.rand_like(values) >= self.share)


def shares_left_out(dropout: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Give the share of activations that dropout sets to 0 in a step of training, and in an evaluation after it."""
    monkeypatch.setattr(sgan, "Dropout", dropout)
    spec, images = asked(batch_size=8, labeled={"per_class": 1}), pictures(20, 28)
    state, left_out = training.start(spec, ImageShape(1, 28, 10)), []
    for player in (state.discriminator.network, state.discriminator.served):
        for module in player.modules():
            if isinstance(module, sgan.Dropout):
                module.register_forward_hook(lambda _, inputs, output: left_out.append((output == 0).double().mean()))
    batch = batches.supply(images, spec, (-1.0, 1.0), "cpu").batch(1)
    training.step(spec, FAMILY, state, [batch])
    in_training = float(torch.stack(left_out).mean())
    left_out.clear()
    heads.class_logits(spec, state, images)
    return in_training, float(torch.stack(left_out).mean())


def test_dropout_is_active_in_training_and_not_in_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ledger 10: dropout that was declared but never switched on, and one that was never switched off."""
    assert shares_left_out(sgan.Dropout, monkeypatch) == (pytest.approx(0.5, abs=0.02), 0)
    assert shares_left_out(Inactive, monkeypatch)[0] == 0
    assert shares_left_out(Unending, monkeypatch)[1] == pytest.approx(0.5, abs=0.02)


class ChoosesOnTest(Run):
    """The fault: while it trains, a run looks at the test set."""

    def _evaluate(self, split: Literal["validation", "test"]) -> dict[str, float]:
        return super()._evaluate("test")


def chosen_by(kind: type[Run], folder: Path) -> int:
    """Train a job of twenty steps, evaluated at the tenth and the last; tell which checkpoint it holds for the best."""
    small = {"dataset": "digits", "network": "mlp", "batch_size": 8, "labeled": {"per_class": 1}, "total_steps": 20}
    spec = asked(**small, evaluate_every=10).model_dump(mode="json")
    where = {"artifacts": str(folder), "data_dir": str(folder)}
    said: list[Message] = []
    kind(Assignment(job_id="job", token=1, spec=spec, numerics=None, sources=[], **where), said.append, Event()).go()
    cards = [message.card for message in said if isinstance(message, CheckpointWritten)]
    chosen: int = cards[-1]["progress"]["selection"]["step"]
    return chosen


def test_a_checkpoint_is_not_chosen_on_the_test_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ledger 11: a run that is right about validation at its end, and about the test set before."""
    wrong = {"validation": {10: 0.5, 20: 0.1}, "test": {10: 0.1, 20: 0.5}}

    def evaluate(spec: Any, state: State, dataset: Any, judge: Any, split: str) -> dict[str, float]:
        return {"error_rate": wrong[split][state.step]}

    monkeypatch.setattr(Judge, "of", lambda *_: None)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    assert chosen_by(Run, tmp_path) == 20
    assert chosen_by(ChoosesOnTest, tmp_path) == 10


class Shifted(nn.Module):
    """A discriminator as sure of images being real as `shift` says, whichever class it takes them for."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, images: Tensor, labels: Tensor) -> Judgment:
        logits = images.flatten(1) + self.shift * (labels != UNKNOWN)[:, None]
        return Judgment(logits, logits.logsumexp(1), images.flatten(1))


def counted_twice(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Any]:
    """The fault: labeled images have a cross-entropy over K + 1 classes, which says once more that they are real."""
    loss, metrics = FAMILY.d_loss(d, batch, fake, spec)
    classes = d(batch.labeled, batch.labeled_labels).classes
    eleven = torch.cat([classes, torch.zeros(len(classes), 1)], dim=1)
    return loss - metrics["class_loss"] + cross_entropy(eleven, batch.labeled_labels), metrics


def price_of_doubt(d_loss: Callable[..., Any]) -> float:
    """Say how much more it costs to hold the labeled images, and no others, for fake."""
    images = torch.randn(3, 4, 1, 1, 10, generator=torch.Generator().manual_seed(1))
    batch = Batch(images[0], torch.full((4,), UNKNOWN), images[1], torch.arange(4))
    sure, unsure = (d_loss(Shifted(shift), batch, images[2], asked())[0] for shift in (5.0, -5.0))
    return float(unsure - sure)


def test_labeled_images_are_not_counted_twice() -> None:
    """Ledger 14: what labeled images say of being real is said by the unlabeled stream already."""
    assert price_of_doubt(FAMILY.d_loss) == pytest.approx(0, abs=1e-5)
    assert price_of_doubt(counted_twice) > 1


class Confident(nn.Module):
    """A discriminator that holds every image to be of class 1, by `confidence`."""

    def __init__(self, confidence: float) -> None:
        super().__init__()
        self.confidence = nn.Parameter(torch.tensor(confidence))

    def forward(self, images: Tensor, labels: Tensor) -> Judgment:
        logits = torch.zeros(len(images), 10).index_fill(1, torch.tensor(1), 1.0) * self.confidence
        return Judgment(logits, logits.logsumexp(1), images.flatten(1))


def clipped(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Any]:
    """The fault: the logarithm is taken of probabilities kept from 0 by a clip, which has no gradient there."""
    probabilities = d(batch.labeled, batch.labeled_labels).classes.softmax(1).clamp(1e-7, 1 - 1e-7)
    return -probabilities.log()[torch.arange(4), batch.labeled_labels].mean(), {}


def pull(d_loss: Callable[..., Any], confidence: float) -> float:
    """Give the gradient that a wrong class, held with confidence, has from the labeled images."""
    d, images = Confident(confidence), torch.zeros(4, 1, 1, 1)
    batch = Batch(images, torch.full((4,), UNKNOWN), images, torch.zeros(4, dtype=torch.int64))
    d_loss(d, batch, images, asked(unlabeled_weight=0.0))[0].backward()
    assert d.confidence.grad is not None
    return d.confidence.grad.item()


def test_a_confident_mistake_keeps_its_gradient() -> None:
    """Ledger 4: a clipped softmax learns nothing from what it is most wrong about."""
    assert pull(FAMILY.d_loss, 2.0) == pytest.approx(pull(clipped, 2.0), rel=1e-3)  # the same where nothing is clipped
    assert pull(FAMILY.d_loss, 60.0) == pytest.approx(1)
    assert pull(clipped, 60.0) == 0
