from dataclasses import replace

import pytest
import torch

from ganmodels import classifier
from ganmodels.datasets import Dataset
from ganmodels.measures.accuracy_score import classification_accuracy_score


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for 80 steps instead of 400: enough to read most of the digits."""
    monkeypatch.setattr(classifier, "LEAST_STEPS", 80)


def test_real_images_teach_the_classifier_and_wrong_labels_mislead_it(digits: Dataset) -> None:
    train = digits.train
    misled = replace(train, labels=(train.labels + 1) % 10)
    assert classification_accuracy_score(train, digits.test, seed=0, threads=1) > 0.9
    assert classification_accuracy_score(misled, digits.test, seed=0, threads=1) < 0.05


def test_a_class_that_is_never_generated_is_never_read(digits: Dataset) -> None:
    nine_classes = digits.train.take((digits.train.labels != 3).nonzero().flatten())
    threes = digits.test.take((digits.test.labels == 3).nonzero().flatten())
    assert classification_accuracy_score(nine_classes, threes, seed=0, threads=1) < 0.05
    assert classification_accuracy_score(digits.train, threes, seed=0, threads=1) > 0.8


def test_the_seed_is_all_there_is_to_chance(digits: Dataset) -> None:
    few = digits.train.take(torch.arange(60))
    first = classification_accuracy_score(few, digits.test, seed=1, threads=1)
    torch.manual_seed(123)
    assert classification_accuracy_score(few, digits.test, seed=1, threads=1) == first
    assert classification_accuracy_score(few, digits.test, seed=2, threads=1) != first


def test_other_labels_are_refused(digits: Dataset) -> None:
    other = replace(digits.test, label_names=("cat", "dog"))
    with pytest.raises(ValueError, match="expected"):
        classification_accuracy_score(digits.train, other, seed=0, threads=1)
