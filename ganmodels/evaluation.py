"""What generated images are worth, in the eyes of a classifier that never saw one."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh, eigvalsh
from torch import Tensor

from ganmodels import draws, heads
from ganmodels.batches import to_bytes, to_range, to_unit
from ganmodels.classifier import Classifier
from ganmodels.datasets import Dataset, ImageSet, points
from ganmodels.draws import Purpose
from ganmodels.family import Batch, Metrics
from ganmodels.measures.manifold import manifold
from ganmodels.measures.modes import gaussian_modes, modes_and_kl
from ganmodels.normalization import evaluating
from ganmodels.specs.knobs import AdversarialKnobs, Knobs, LabeledKnobs
from ganmodels.training import State, as_seen, family_of, noise

PIECE = 250
HELD_OUT_PIECE = 240


def evaluate(
    spec: Knobs,
    state: State,
    dataset: Dataset,
    judge: Classifier | None,
    split: Literal["validation", "test"],
    count: int = 2_000,
) -> dict[str, float]:
    """Measure what a run has learned against one split of the data, as far as it has something to measure.

    `accuracy` and `error_rate` are the class head's on the whole split, `held_out_…` what `held_out` says, the others
    those of `judged`, or for points of the plane those of `measures.modes`.
    """
    real = dataset.validation if split == "validation" else dataset.test
    figures: dict[str, float] = {}
    if "classes" in spec.serves:
        wrong = heads.error_rate(spec, state, dataset, real)
        figures |= {"accuracy": 1 - wrong, "error_rate": wrong}
    if isinstance(spec, AdversarialKnobs):
        losses = held_out(spec, state, real)
        figures |= {f"held_out_{name}": value for name, value in losses.items()}
        if dataset.facts.kind == "points":
            figures |= _found_modes(spec, state, dataset, real)
        elif judge is not None:
            figures |= judged(spec, state, real, judge, count)
    return figures


def judged(spec: AdversarialKnobs, state: State, real: ImageSet, judge: Classifier, count: int) -> dict[str, float]:
    """Measure `count` images of the averaged generator beside as many real ones, of the same labels.

    Both are compared with `count` further real images, or half the split where it has fewer than twice as many: a
    Fréchet distance falls with the number of images on either side, so all three are equally many. `fd_classifier` is
    that of the generated images in the classifier's features, `fd_classifier_real` that of the real ones;
    `label_consistency` is the fraction of generated images read as the label asked for, `classifier_accuracy` the same
    of the real ones. Modes are the classes that generated images are read as.
    """
    beside, reference = sides(real, count)
    labels = beside.labels.repeat(-(-count // len(beside)))[:count]
    features, read = look(judge, generate(spec, state, labels).images)
    real_features, real_read = look(judge, beside.images)
    reference_features, _ = look(judge, reference.images)
    figures = {
        "fd_classifier": frechet_distance(features[: len(beside)], reference_features),
        "fd_classifier_real": frechet_distance(real_features, reference_features),
        "classifier_accuracy": _agreement(real_read, beside.labels),
        **manifold(reference_features, features[: len(beside)]),
        **modes_and_kl(_enough(spec, state, judge, read), state.shape.labels),
    }
    return figures | ({"label_consistency": _agreement(read, labels)} if spec.labels_from == "generator" else {})


def look(judge: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Give a judge's features (N, F) and labels (N,) of images (N, C, H, W), bytes.

    A judge of grey images looks at a stack channel by channel: features side by side, labels as one number's digits.
    """
    if images.shape[1] == judge.shape.channels:
        return judge.judge(unit(images))
    looks = [judge.judge(unit(images[:, channel : channel + 1])) for channel in range(images.shape[1])]
    label = torch.zeros(len(images), dtype=torch.int64)
    for _, read in looks:
        label = label * judge.shape.labels + read
    return torch.cat([features for features, _ in looks], dim=1), label


def _enough(spec: AdversarialKnobs, state: State, judge: Classifier, read: Tensor) -> Tensor:
    """Read as many images as there must be to meet every class: 26 for each of many (Srivastava et al. 2017)."""
    wanted = 26 * state.shape.labels
    if wanted <= len(read):
        return read
    part = torch.arange(2_000) % state.shape.labels
    drawn = (generate(spec, state, part, number).images for number in range(1, 1 + -(-wanted // len(part))))
    return torch.cat([look(judge, images)[1] for images in drawn])


def _found_modes(spec: AdversarialKnobs, state: State, dataset: Dataset, real: ImageSet) -> dict[str, float]:
    drawn = generate(spec, state, real.labels[:2_500])  # as many as Srivastava et al. 2017 draw
    on_the_plane = points.to_plane(drawn.images, dataset.facts.span)
    return gaussian_modes(on_the_plane, points.centers(dataset.name), points.deviation(dataset.name))


def held_out(spec: Knobs, state: State, images: ImageSet, most: int = 5_000) -> dict[str, float]:
    """Take both losses, and what else they tell, of images that no step has learned from.

    Networks are those in training, in evaluation mode; every label may be used, since nothing is learned from it. A run
    without labels has none here either: its loss has no part for them.
    """
    networks = [player.network for player in (state.discriminator, state.generator) if player is not None]
    with evaluating(*networks), draws.seeded(spec.seed, 0, state.step, Purpose.HELD_OUT, state.device):
        return _mean_losses(spec, state, images.take(torch.arange(min(most, len(images)))))


def _mean_losses(spec: Knobs, state: State, images: ImageSet) -> dict[str, float]:
    """Average over pieces of equal size, which packs fit into; what is left over is left out."""
    packing = spec.packing if isinstance(spec, AdversarialKnobs) else 1
    size = min(HELD_OUT_PIECE, len(images))
    size -= size % packing
    sums: dict[str, float] = {}
    pieces = len(images) // size
    for piece in range(pieces):
        some = images.take(torch.arange(piece * size, (piece + 1) * size))
        for name, value in _losses(spec, state, some, piece).items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / pieces
    return sums


def _losses(spec: Knobs, state: State, images: ImageSet, piece: int) -> Metrics:
    family = family_of(spec)
    real = to_range(images.images.to(state.device), family.output_range(spec))
    labels = images.labels.to(state.device)
    known = 0 if isinstance(spec, LabeledKnobs) and spec.labeled == "none" else len(labels)
    each = spec.discriminator_steps if isinstance(spec, AdversarialKnobs) else 1
    batch = Batch(real, labels, real[:known], labels[:known], max(1, state.step * each))
    fake, network = real[:0], state.discriminator.network
    if isinstance(spec, AdversarialKnobs):
        network = as_seen(network, spec.model_copy(update={"augment": []}), family)
        fake = _drawn_in_training(spec, state, labels, piece)
    loss, metrics = family.d_loss(network, batch, fake, spec)
    metrics = {**metrics, "d_loss": loss}
    if family.g_loss is not None:
        loss, more = family.g_loss(network, batch, fake, spec)
        metrics |= {**more, "g_loss": loss}
    return metrics


@torch.no_grad()
def _drawn_in_training(spec: AdversarialKnobs, state: State, labels: Tensor, piece: int) -> Tensor:
    """Draw images from the generator as it is, not from its average: what the discriminator learns from."""
    assert state.generator is not None
    z = noise(spec, len(labels), draws.source(spec.seed, 0, piece, Purpose.HELD_OUT))
    images: Tensor = state.generator.network(z.to(state.device), labels)
    return images


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
def generate(spec: AdversarialKnobs, state: State, labels: Tensor, first: int = 0) -> ImageSet:
    """Draw one image per label (N,), rounded to bytes as the served ones are, beside that label.

    `first` counts what was drawn before, so that many images can be drawn in parts.
    """
    assert state.generator is not None
    z = noise(spec, len(labels), draws.source(spec.seed, 0, first, Purpose.EVALUATION))
    pieces = [
        state.generator.served(some.to(state.device), asked.to(state.device)).cpu()
        for some, asked in zip(torch.split(z, PIECE), torch.split(labels, PIECE), strict=True)
    ]
    drawn = to_unit(torch.cat(pieces), family_of(spec).output_range(spec))
    return ImageSet(
        drawn if state.shape.size == 1 else to_bytes(drawn), labels, tuple(map(str, range(state.shape.labels)))
    )


def unit(images: Tensor) -> Tensor:
    """Scale bytes 0 to 255 to [0, 1]."""
    return images.float() / 255


def _agreement(read: Tensor, labels: Tensor) -> float:
    return float((read == labels).double().mean())
