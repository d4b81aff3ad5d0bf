"""Where randomness comes from: every draw is a function of (seed, rollbacks, step, purpose), so none is stored.

Draws are made on the CPU, so that a run sees the same noise on every device.
"""

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
    DISCRIMINATOR_NOISE = "noise for the discriminator's step"
    GENERATOR_NOISE = "noise for the generator's step"
    DATA_ORDER = "data order"
    PREVIEW = "preview noise"
    EVALUATION = "evaluation noise"
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


def noise(latent: Latent, count: int, size: int, random: torch.Generator) -> Tensor:
    """Draw latent vectors (count, size), float32, on the CPU."""
    if latent.distribution == "normal":
        return torch.randn(count, size, generator=random)
    assert latent.low is not None
    assert latent.high is not None
    return torch.rand(count, size, generator=random) * (latent.high - latent.low) + latent.low


def positions(seed: int, first_draw: int, count: int, total: int) -> Tensor:
    """Say which of `total` images draws `first_draw`, … are: (count,) int64; each epoch is a fresh permutation."""
    parts = []
    while count > 0:
        epoch, offset = divmod(first_draw, total)
        part = _permutation(seed, epoch, total)[offset : offset + count]
        parts.append(part)
        first_draw += len(part)
        count -= len(part)
    return torch.cat(parts)


@lru_cache(maxsize=2)  # a batch reaches into two epochs at most, unless it is larger than the data set
def _permutation(seed: int, epoch: int, total: int) -> Tensor:
    # Rollbacks leave the data order alone: it depends on the seed and the draw's number only.
    return torch.randperm(total, generator=source(seed, 0, epoch, Purpose.DATA_ORDER))
