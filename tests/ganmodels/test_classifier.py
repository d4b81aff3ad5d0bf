import pytest
import torch

from ganmodels import classifier
from ganmodels.datasets import Dataset
from ganmodels.family import ImageShape


@pytest.fixture(scope="module")
def judge(digits: Dataset) -> classifier.Classifier:
    return classifier.train_classifier(digits, threads=1)


def test_it_reads_digits_it_never_saw(digits: Dataset, judge: classifier.Classifier) -> None:
    _, read = judge.judge(digits.test.images.float() / 255)
    assert (read == digits.test.labels).double().mean() > 0.93


def test_the_same_data_give_the_same_bytes_whatever_else_was_drawn(
    digits: Dataset, judge: classifier.Classifier
) -> None:
    torch.manual_seed(123)
    assert classifier.pack(classifier.train_classifier(digits, threads=1)) == classifier.pack(judge)


def test_it_comes_back_from_bytes_as_it_was(digits: Dataset, judge: classifier.Classifier) -> None:
    content = classifier.pack(judge)
    again = classifier.unpack(content)
    assert classifier.pack(again) == content
    images = digits.test.images.float() / 255
    features, read = judge.judge(images)
    features_again, read_again = again.judge(images)
    assert torch.equal(features, features_again)
    assert torch.equal(read, read_again)
    assert features.shape == (300, classifier.FEATURES)


def test_another_version_is_refused_by_name(judge: classifier.Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    content = classifier.pack(judge)
    monkeypatch.setattr(classifier, "VERSION", 99)
    with pytest.raises(ValueError, match="classifier version 1, expected 99"):
        classifier.unpack(content)


@pytest.mark.parametrize("size", [8, 28, 32, 56, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_judges_any_image_that_can_be_generated(channels: int, size: int) -> None:
    network = classifier.Network(ImageShape(channels, size, 5)).eval()
    features, logits = network(torch.rand(2, channels, size, size))
    assert features.shape == (2, 128)
    assert logits.shape == (2, 5)
    assert features.min() >= 0


@pytest.mark.mnist
def test_it_reads_real_mnist_at_99_percent(mnist: Dataset) -> None:
    judge = classifier.train_classifier(mnist, threads=1)
    _, read = judge.judge(mnist.validation.images.float() / 255)
    assert (read == mnist.validation.labels).double().mean() > 0.985
