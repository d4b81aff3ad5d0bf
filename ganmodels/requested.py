"""The measures that a job asks for by name: taken once, at the end, on the test split. Each takes a minute or so."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ganmodels import draws
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.draws import Purpose
from ganmodels.evaluation import generate, unit
from ganmodels.measures.accuracy_score import classification_accuracy_score
from ganmodels.measures.neighbors import memorization, nearest_neighbor_error
from ganmodels.measures.parzen import baselines, parzen
from ganmodels.specs.knobs import AdversarialKnobs
from ganmodels.training import State

PARZEN_IMAGES = 10_000  # as Goodfellow et al. 2014
NEIGHBORS = 50_000  # as Radford et al. 2015
PART = 1_000


def measure(name: str, spec: AdversarialKnobs, state: State, dataset: Dataset) -> dict[str, float]:
    """Take the measure of that name."""
    return MEASURES[name](spec, state, dataset)


def _accuracy_score(spec: AdversarialKnobs, state: State, dataset: Dataset) -> dict[str, float]:
    """Train the judge's network on as many generated images as there are real ones, and on those, to compare."""
    labels = dataset.train.labels
    generated = _many(spec, state, labels)
    named = ImageSet(generated.images, labels, dataset.test.label_names)
    threads = torch.get_num_threads()
    return {
        "classification_accuracy_score": classification_accuracy_score(named, dataset.test, spec.seed, threads),
        "classification_accuracy_real": classification_accuracy_score(dataset.train, dataset.test, spec.seed, threads),
    }


def _memorization(spec: AdversarialKnobs, state: State, dataset: Dataset) -> dict[str, float]:
    fake = _flat(_many(spec, state, _labels(dataset.test, 2_000)))
    return memorization(fake, _flat(dataset.train), _flat(dataset.test)[:2_000])


def _nearest_neighbor(spec: AdversarialKnobs, state: State, dataset: Dataset) -> dict[str, float]:
    """Let generated images, and as many real ones, find the label of each test image."""
    count = min(NEIGHBORS, len(dataset.train))
    labels = dataset.train.labels[:count]
    test, test_labels = _flat(dataset.test), dataset.test.labels
    generated = _flat(_many(spec, state, labels))
    real = _flat(dataset.train)[:count]
    return {
        "nearest_neighbor_error": nearest_neighbor_error(generated, labels, test, test_labels),
        "nearest_neighbor_error_real": nearest_neighbor_error(real, labels, test, test_labels),
    }


def _parzen(spec: AdversarialKnobs, state: State, dataset: Dataset) -> dict[str, float]:
    """Put windows around generated images, and around real ones and cluster centers, which show what it is worth."""
    train, validation, test = _flat(dataset.train), _flat(dataset.validation), _flat(dataset.test)
    count = min(PARZEN_IMAGES, len(train))
    generated = _flat(_many(spec, state, _labels(dataset.train, count)))
    random = draws.source(spec.seed, 0, 0, Purpose.BASELINES)
    return {**parzen(generated, validation, test), **baselines(train, validation, test, count, random)}


def _many(spec: AdversarialKnobs, state: State, labels: Tensor) -> ImageSet:
    """Draw one image per label (N,), in parts that fit any memory."""
    parts = [generate(spec, state, part, first) for first, part in enumerate(torch.split(labels, PART), start=1)]
    return ImageSet(torch.cat([part.images for part in parts]), labels, parts[0].label_names)


def _labels(images: ImageSet, count: int) -> Tensor:
    return images.labels.repeat(-(-count // len(images)))[:count]


def _flat(images: ImageSet) -> Tensor:
    return unit(images.images).flatten(1)


MEASURES: Mapping[str, Callable[[AdversarialKnobs, State, Dataset], dict[str, float]]] = {
    "classification_accuracy_score": _accuracy_score,
    "memorization": _memorization,
    "nearest_neighbor": _nearest_neighbor,
    "parzen": _parzen,
}
