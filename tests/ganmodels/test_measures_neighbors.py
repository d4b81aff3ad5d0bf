import pytest
import torch
from torch import Tensor

from ganmodels.datasets import Dataset, ImageSet
from ganmodels.measures.neighbors import memorization, nearest_neighbor_error


def pixels(images: ImageSet) -> Tensor:
    return images.images.flatten(1).float() / 255


def test_a_set_makes_no_error_on_itself(digits: Dataset) -> None:
    train = digits.train
    assert nearest_neighbor_error(pixels(train), train.labels, pixels(train), train.labels) == 0


def test_each_wrong_label_of_the_nearest_image_is_an_error() -> None:
    images, labels = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1])
    tests, asked = torch.tensor([[0.1, 0.0], [0.9, 0.9], [0.2, 0.1], [1.0, 0.7]]), torch.tensor([0, 1, 1, 1])
    assert nearest_neighbor_error(images, labels, tests, asked) == 0.25


def test_real_digits_teach_and_shuffled_labels_do_not(digits: Dataset) -> None:
    train, test = digits.train, digits.test
    shuffled = train.labels[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))]
    assert nearest_neighbor_error(pixels(train), train.labels, pixels(test), test.labels) < 0.04
    assert nearest_neighbor_error(pixels(train), shuffled, pixels(test), test.labels) == pytest.approx(0.9, abs=0.06)


def test_copies_are_found_out(digits: Dataset) -> None:
    train, held_out = pixels(digits.train), pixels(digits.validation)
    assert memorization(train[:200], train, held_out) == {"nearest_train_distance": 0, "copied_fraction": 1}


def test_repeats_among_the_real_images_do_not_hide_copies(digits: Dataset) -> None:
    train = pixels(digits.train)
    held_out = torch.cat([train[:10], pixels(digits.validation)])  # more than a hundredth at no distance
    assert memorization(train[:200], train, held_out)["copied_fraction"] == 1


def test_a_tenth_of_copies_is_a_copied_tenth(digits: Dataset) -> None:
    train, held_out, fresh = pixels(digits.train), pixels(digits.validation), pixels(digits.test)
    found = memorization(torch.cat([train[:30], fresh[:270]]), train, held_out)
    assert 0.1 <= found["copied_fraction"] < 0.14
    assert 0.7 < found["nearest_train_distance"] < 1.05


def test_fresh_real_images_are_no_copies(digits: Dataset) -> None:
    found = memorization(pixels(digits.test), pixels(digits.train), pixels(digits.validation))
    assert found["nearest_train_distance"] == pytest.approx(1, abs=0.1)
    assert found["copied_fraction"] < 0.04


def test_held_out_images_are_themselves_the_measure(digits: Dataset) -> None:
    held_out = pixels(digits.validation)
    found = memorization(held_out, pixels(digits.train), held_out)
    assert found == {"nearest_train_distance": 1, "copied_fraction": 0.01}  # 3 of 300


def test_noise_lies_farther_away_than_real_images(digits: Dataset) -> None:
    noise = torch.rand(200, 64, generator=torch.Generator().manual_seed(0))
    found = memorization(noise, pixels(digits.train), pixels(digits.validation))
    assert found["nearest_train_distance"] > 1.5
    assert found["copied_fraction"] == 0


def test_held_out_images_out_of_the_training_set_are_refused(digits: Dataset) -> None:
    train = pixels(digits.train)
    with pytest.raises(ValueError, match="expected fresh ones"):
        memorization(train, train, train[:50])
