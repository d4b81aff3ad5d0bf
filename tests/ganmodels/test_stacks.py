import os
from pathlib import Path

import pytest
import torch

from ganmodels import datasets
from ganmodels.datasets import Dataset, ImageSet, stacks
from ganmodels.specs import DATASETS

# Every image is of one gray level, its number; its label is the number's last digit.
NUMBERED = ImageSet(
    torch.arange(200, dtype=torch.uint8)[:, None, None, None].expand(200, 1, 4, 4).contiguous(),
    torch.arange(200) % 10,
    tuple("0123456789"),
)


def test_a_label_reads_its_digits_from_red_to_blue() -> None:
    images, labels = stacks.draw(NUMBERED, "train", 3_000)
    assert images.shape == (3_000, 3, 4, 4)
    assert images.dtype == torch.uint8
    digits = images[:, :, 0, 0].to(torch.int64) % 10
    assert torch.equal(labels, 100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2])
    assert [DATASETS["stacked-mnist"].label_names[label] for label in labels[:50].tolist()] == [
        "".join(str(digit) for digit in row) for row in digits[:50].tolist()
    ]


def test_the_channels_are_drawn_each_for_itself_and_evenly() -> None:
    images, labels = stacks.draw(NUMBERED, "train", 60_000)
    numbers = images[:, :, 0, 0].to(torch.int64)
    for channel in range(3):
        counts = numbers[:, channel].bincount(minlength=200)
        assert len(counts) == 200
        assert 200 < counts.min() < counts.max() < 400
    counts = labels.bincount(minlength=1000)
    assert len(counts) == 1000
    assert 25 < counts.min() < counts.max() < 100


def test_the_same_stacks_come_each_time_and_others_for_each_part() -> None:
    first, again, other = (stacks.draw(NUMBERED, part, 100)[0] for part in ("train", "train", "test"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.mnist
def test_real_stacks_are_made_of_mnists_own_digits_and_no_part_uses_anothers(mnist: Dataset) -> None:
    stacked = datasets.load("stacked-mnist", Path(os.environ["GANYMEDE_DATA_DIR"]))
    assert stacked.digest == "678c9e4a44a98b730646596c09ee4913d6941ffb2e55549cfef916a920bbeeb9"
    assert [len(part) for part in (stacked.train, stacked.validation, stacked.test)] == [128_000, 5_000, 10_000]
    assert len(stacked.train.labels.unique()) == 1000
    hashes = []
    for digits, part in (
        (mnist.train, stacked.train),
        (mnist.validation, stacked.validation),
        (mnist.test, stacked.test),
    ):
        known, order = hash_of(digits.images).sort()
        channels = torch.stack([hash_of(part.images[:, channel]) for channel in range(3)], dim=1)
        found = torch.searchsorted(known, channels).clamp(max=len(known) - 1)
        assert torch.equal(known[found], channels)
        assert torch.equal(part.labels, digits.labels[order[found]] @ torch.tensor([100, 10, 1]))
        hashes.append(known)
    train, validation, test = hashes
    assert not torch.isin(validation, train).any()
    assert not torch.isin(test, torch.cat([train, validation])).any()


def hash_of(images: torch.Tensor) -> torch.Tensor:
    """Hash each image's 784 bytes to 64 bits: words times fixed odd numbers, added up modulo 2^64."""
    words = images.reshape(len(images), 784).contiguous().view(torch.int64)
    odd = torch.randint(-(2**62), 2**62, (98,), generator=torch.Generator().manual_seed(0)) * 2 + 1
    return (words * odd).sum(dim=1)
