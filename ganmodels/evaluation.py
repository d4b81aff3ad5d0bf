"""What generated images are worth, in the eyes of a classifier that never saw one."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh, eigvalsh
from torch import Tensor, nn

from ganmodels import draws
from ganmodels.batches import to_bytes, to_unit
from ganmodels.classifier import Classifier
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.draws import Purpose
from ganmodels.families import FAMILIES
from ganmodels.specs import Spec


def evaluate(
    spec: Spec,
    generator: nn.Module,
    dataset: Dataset,
    classifier: Classifier,
    split: Literal["validation", "test"],
    seed: int,
    count: int = 2_000,
) -> dict[str, float]:
    """Measure `count` images of a generator in evaluation mode beside as many real ones, of the same labels.

    Both are compared with `count` further real images, or half the split where it has fewer than twice as many: a
    Fréchet distance falls with the number of images on either side, so all three are equally many. `fd_classifier` is
    that of the generated images in the classifier's features, `fd_classifier_real` that of the real ones;
    `label_consistency` is the fraction of generated images read as the label asked for, `classifier_accuracy` the same
    of the real ones.
    """
    beside, reference = sides(dataset.validation if split == "validation" else dataset.test, count)
    labels = beside.labels.repeat(-(-count // len(beside)))[:count]
    features, read = classifier.judge(_generate(spec, generator, labels, seed))
    real_features, real_read = classifier.judge(_unit(beside.images))
    reference_features, _ = classifier.judge(_unit(reference.images))
    measured = {
        "fd_classifier": frechet_distance(features[: len(beside)], reference_features),
        "fd_classifier_real": frechet_distance(real_features, reference_features),
        "classifier_accuracy": _agreement(real_read, beside.labels),
    }
    return measured | ({"label_consistency": _agreement(read, labels)} if spec.serves_labels else {})


def frechet_distance(some: Tensor, others: Tensor) -> float:
    """Take |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) of features (N, F) and (M, F) (Dowson, Landau 1982)."""
    (mean, covariance), (other_mean, other_covariance) = _moments(some), _moments(others)
    root = _root(covariance)
    # (Σ₁Σ₂)^½ has the trace of (Σ₁^½ Σ₂ Σ₁^½)^½, which is symmetric: its roots stay real when Σ₁ is singular.
    shared = np.sqrt(eigvalsh(root @ other_covariance @ root).clip(min=0)).sum()
    return float(np.square(mean - other_mean).sum() + np.trace(covariance + other_covariance) - 2 * shared)


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = eigh(covariance)
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def _moments(features: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    array = features.double().numpy()
    return array.mean(axis=0), np.atleast_2d(np.cov(array, rowvar=False))


def sides(images: ImageSet, count: int) -> tuple[ImageSet, ImageSet]:
    """Part a split in two at random, the same way for every job, so that jobs can be compared."""
    order = torch.randperm(len(images), generator=draws.source(0, 0, 0, Purpose.EVALUATION_SPLIT))
    size = min(count, len(images) // 2)
    return images.take(order[:size]), images.take(order[size : 2 * size])


@torch.no_grad()
def _generate(spec: Spec, generator: nn.Module, labels: Tensor, seed: int) -> Tensor:
    """Draw one image per label, rounded to bytes as the served ones are, in [0, 1]."""
    family = FAMILIES[spec.family]
    z = draws.noise(family.latent, len(labels), spec.latent_size, draws.source(seed, 0, 0, Purpose.EVALUATION))
    device = next(generator.parameters()).device
    pieces = [
        generator(noise.to(device), asked.to(device)).cpu()
        for noise, asked in zip(torch.split(z, 250), torch.split(labels, 250), strict=True)
    ]
    return _unit(to_bytes(to_unit(torch.cat(pieces), family.output_range)))


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255


def _agreement(read: Tensor, labels: Tensor) -> float:
    return float((read == labels).double().mean())
