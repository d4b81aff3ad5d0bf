from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels import classifier, evaluation, precision
from ganmodels.batches import to_range
from ganmodels.classifier import Classifier
from ganmodels.datasets import Dataset
from ganmodels.evaluation import evaluate, frechet_distance
from ganmodels.specs import SPEC


@pytest.fixture(scope="module")
def judge(digits: Dataset) -> Classifier:
    return classifier.train_classifier(digits, threads=1)


@pytest.fixture(scope="module")
def spec() -> Any:
    return precision.resolve(SPEC.validate_python({"family": "dcgan", "dataset": "digits", "conditional": True}))


class Copier(nn.Module):
    """Draws training images of the label asked for, which no generator could improve on."""

    def __init__(self, dataset: Dataset, *, honest: bool = True) -> None:
        super().__init__()
        self.images = nn.Parameter(to_range(dataset.train.images, (-1.0, 1.0)), requires_grad=False)
        self.labels, self.honest = dataset.train.labels, honest

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        wanted = labels if self.honest else (labels + 1) % 10
        chosen = [int((self.labels == label).nonzero()[row % 80]) for row, label in enumerate(wanted)]
        return self.images[chosen]


class Noise(nn.Module):
    """Draws noise, whatever it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return z[:, :64].reshape(-1, 1, 8, 8).clamp(-1, 1)


def test_the_distance_of_a_set_to_itself_is_nothing() -> None:
    features = torch.randn(500, 16, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_the_distance_of_two_normal_clouds_is_the_closed_form() -> None:
    """With covariances 1 and s² it is |shift|² + d·(1 − s)²."""
    features = torch.randn(4_000, 3, generator=torch.Generator().manual_seed(0)).double()
    moved = 2 * features + torch.tensor([3.0, 0.0, 0.0])
    whitened = (features - features.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(features.T.cov())).T
    assert frechet_distance(whitened, 2 * whitened + torch.tensor([3.0, 0, 0])) == pytest.approx(9 + 3)
    assert frechet_distance(features, moved) == pytest.approx(12, rel=0.05)


def test_the_distance_stands_fewer_images_than_features() -> None:
    some, others = torch.randn(2, 10, 64, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(some, some) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(some, others) > 1


def test_real_images_pass_and_noise_does_not(digits: Dataset, judge: Classifier, spec: Any) -> None:
    real = evaluate(spec, Copier(digits), digits, judge, "validation", seed=0, count=400)
    noise = evaluate(spec, Noise(), digits, judge, "validation", seed=0, count=400)
    assert real["label_consistency"] > 0.95
    assert real["classifier_accuracy"] > 0.9
    assert real["fd_classifier"] < 2 * real["fd_classifier_real"]
    assert noise["fd_classifier"] > 5 * noise["fd_classifier_real"]
    assert 0 < noise["label_consistency"] < 0.3
    assert noise["fd_classifier_real"] == real["fd_classifier_real"]


def test_images_of_the_wrong_label_are_noticed(digits: Dataset, judge: Classifier, spec: Any) -> None:
    wrong = evaluate(spec, Copier(digits, honest=False), digits, judge, "validation", seed=0, count=400)
    assert wrong["label_consistency"] < 0.1


def test_the_splits_are_measured_apart_and_the_seed_is_all_there_is_to_chance(
    digits: Dataset, judge: Classifier, spec: Any
) -> None:
    def measured(split: Any, seed: int) -> dict[str, float]:
        return evaluate(spec, Noise(), digits, judge, split, seed=seed, count=200)

    assert measured("test", 1) == measured("test", 1)
    assert measured("test", 1)["fd_classifier"] != measured("test", 2)["fd_classifier"]
    assert measured("test", 1)["fd_classifier_real"] != measured("validation", 1)["fd_classifier_real"]


def test_a_generator_without_labels_has_no_label_consistency(digits: Dataset, judge: Classifier) -> None:
    spec = precision.resolve(SPEC.validate_python({"family": "dcgan", "dataset": "digits"}))
    assert "label_consistency" not in evaluate(spec, Noise(), digits, judge, "validation", seed=0, count=100)


def test_the_two_real_sides_share_no_image(digits: Dataset) -> None:
    beside, reference = evaluation.sides(digits.test, 100)
    assert (len(beside), len(reference)) == (100, 100)
    assert not {image.numpy().tobytes() for image in beside.images} & {
        image.numpy().tobytes() for image in reference.images
    }
