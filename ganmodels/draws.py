"""Where randomness comes from: every draw is a function of (seed, rollbacks, step, purpose), so none is stored.

Draws are made on the CPU, so that a run sees the same noise on every device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import lru_cache
from hashlib import sha256

import torch
from torch import Tensor

from ganmodels.family import Latent


class Purpose(Enum):
    """What a draw is for; two purposes never share numbers."""

    GENERATOR_WEIGHTS = "generator weights"
    DISCRIMINATOR_WEIGHTS = "discriminator weights"
    FIRST_LOOK = "noise while the discriminator looks at its first images"
    DISCRIMINATOR_NOISE = "noise for the discriminator's step"
    GENERATOR_NOISE = "noise for the generator's step"
    PRETRAINING_NOISE = "noise for the discriminator's pre-training"
    DISCRIMINATOR_STEP = "what the discriminator's step draws"
    GENERATOR_STEP = "what the generator's step draws"
    PRETRAINING_STEP = "what a step of pre-training draws"
    DATA_ORDER = "data order"
    DATA_SUBSET = "which images a run may see"
    LABELED_SUBSET = "which labels a run may use"
    LABELED_ORDER = "order of the labeled images"
    PREVIEW = "preview noise"
    EVALUATION = "evaluation noise"
    HELD_OUT = "noise beside held-out images"
    BASELINES = "images that a measure is held against"
    EVALUATION_SPLIT = "what real images are compared with"
    CLASSIFIER_WEIGHTS = "classifier weights"
    CLASSIFIER_SHIFT = "how far the classifier's images move"


def number(seed: int, rollbacks: int, step: int, purpose: Purpose) -> int:
    """Hash the four into 64 bits, evenly: neighboring seeds and steps share nothing."""
    digest = sha256(f"{seed}/{rollbacks}/{step}/{purpose.value}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def source(seed: int, rollbacks: int, step: int, purpose: Purpose) -> torch.Generator:
    """Make the generator of random numbers that belongs to one purpose at one step."""
    return torch.Generator().manual_seed(number(seed, rollbacks, step, purpose))


@contextmanager
def seeded(seed: int, rollbacks: int, step: int, purpose: Purpose, device: str = "cpu") -> Iterator[None]:
    """Seed PyTorch's global generators for what networks and losses draw themselves; put them back afterwards.

    Not by `torch.manual_seed`: where no GPU is in use yet it notes the call, with its stack, for later, at every step.
    """
    generators = [torch.default_generator]
    if device != "cpu":
        generators.append(torch.cuda.default_generators[torch.cuda.current_device()])
    before = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(number(seed, rollbacks, step, purpose))
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


def noise(latent: Latent, count: int, size: int, random: torch.Generator) -> Tensor:
    """Draw latent vectors (count, size), float32, on the CPU."""
    if latent.distribution == "normal":
        return torch.randn(count, size, generator=random)
    assert latent.low is not None
    assert latent.high is not None
    return torch.rand(count, size, generator=random) * (latent.high - latent.low) + latent.low


def positions(seed: int, first_draw: int, count: int, total: int, purpose: Purpose = Purpose.DATA_ORDER) -> Tensor:
    """Say which of `total` images draws `first_draw`, … are: (count,) int64; each epoch is a fresh permutation."""
    parts = []
    while count > 0:
        epoch, offset = divmod(first_draw, total)
        part = _permutation(seed, epoch, total, purpose)[offset : offset + count]
        parts.append(part)
        first_draw += len(part)
        count -= len(part)
    return torch.cat(parts)


@lru_cache(maxsize=32)  # a batch reaches into two epochs, or into several of a handful of labeled images
def _permutation(seed: int, epoch: int, total: int, purpose: Purpose) -> Tensor:
    # Rollbacks leave the data order alone: it depends on the seed and the draw's number only.
    return torch.randperm(total, generator=source(seed, 0, epoch, purpose))


def balanced(labels: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Choose `count` positions of `labels` (N,), each class equally often or as nearly as can be; sorted, int64.

    Raises ValueError where there are fewer. Which classes come once more is drawn too.
    """
    if count > len(labels):
        raise ValueError(f"{count} labels asked for, {len(labels)} images are there")
    shuffled = torch.randperm(len(labels), generator=random)
    classes = torch.unique(labels)
    turn = torch.randperm(len(classes), generator=random)
    keys = torch.empty(len(labels), dtype=torch.int64)
    for place, label in zip(turn.tolist(), classes, strict=True):
        mine = labels[shuffled] == label
        keys[mine] = torch.arange(int(mine.sum())) * len(classes) + place  # its first image comes in the first round
    return shuffled[keys.argsort()[:count]].sort().values
