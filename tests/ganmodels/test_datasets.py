from pathlib import Path
from typing import get_args

import pytest
import torch

from ganmodels import datasets
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.specs import DATASETS
from ganmodels.specs.datasets import DatasetName


def rows(images: ImageSet) -> set[bytes]:
    return {image.numpy().tobytes() for image in images.images}


def test_digits_come_as_bytes_from_black_to_white(digits: Dataset) -> None:
    assert digits.train.images.dtype == torch.uint8
    assert digits.train.images.shape[1:] == (1, 8, 8)
    assert (digits.train.images.min(), digits.train.images.max()) == (0, 255)
    assert digits.train.labels.dtype == torch.int64
    assert digits.facts == DATASETS["digits"]


def test_the_split_leaves_nothing_out_and_shares_nothing(digits: Dataset) -> None:
    parts = (digits.train, digits.validation, digits.test)
    assert [len(part) for part in parts] == [1197, 300, 300]
    assert all(set(part.labels.tolist()) == set(range(10)) for part in parts)
    train, validation, test = (rows(part) for part in parts)
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_digest_knows_the_images_the_labels_and_the_split(digits: Dataset) -> None:
    again = datasets.load("digits", Path("elsewhere"))
    assert again.digest == digits.digest == "64a3f95c22e4e80f250655cc16c9aecf892fb22b8e40951cccc424f2cc7aca8d"
    train, validation, test = digits.train, digits.validation, digits.test
    other = ImageSet(train.images, train.labels.flip(0), train.label_names)
    brighter = ImageSet(train.images | 1, train.labels, train.label_names)
    found = {datasets.digest(*parts) for parts in ((other, validation, test), (brighter, validation, test))}
    assert len(found | {datasets.digest(train, test, validation), digits.digest}) == 4


def test_the_menu_the_facts_and_the_loaders_name_the_same_data_sets() -> None:
    assert list(get_args(DatasetName)) == list(DATASETS) == list(datasets.LOADERS)


@pytest.mark.parametrize("name", DATASETS)
def test_a_label_has_one_name_that_fits_into_a_url(name: str) -> None:
    names = DATASETS[name].label_names
    assert len(set(names)) == len(names)
    assert all(label.replace("-", "").isalnum() and label.isascii() and label == label.lower() for label in names)
    assert all(int(label) == position for position, label in enumerate(names) if label.isdigit())


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("ring", "56e7ba74504888b7aaacd1144128b30d6364252f7982e03641731991ad098af0"),
        ("grid", "d54bfa44436fb7bdc3d74f5a3bd071b8dc2565f059e864108bf98b4cca0667cd"),
        ("shapes", "a47a2310ef67f91cc541c98f079712b63c0e53b8b8942916ae5c083bbeff7a7c"),
    ],
)
def test_data_made_by_code_has_the_same_bytes_everywhere(name: str, digest: str) -> None:
    assert datasets.load(name, Path("nowhere")).digest == digest


@pytest.mark.mnist
def test_real_mnist_has_its_images_and_a_fixed_split(mnist: datasets.Dataset) -> None:
    assert [len(part) for part in (mnist.train, mnist.validation, mnist.test)] == [55_000, 5_000, 10_000]
    assert mnist.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert mnist.train.images.shape[1:] == (1, 28, 28)
    assert mnist.digest == "ef99cb92500a588bdd262e1c0b6999c62e457369c8a5285c929ba9169b0536d1"
