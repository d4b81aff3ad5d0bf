"""Randomness that never changes: what made data sets are drawn with, whatever the machine and the release of numpy.

Of numpy only the raw bits are used, whose stream it promises to keep (NEP 19); its distributions it may change, and
torch's differ with the processor.
"""

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray


def bits(purpose: str) -> np.random.PCG64:
    """Make the source of random bits that belongs to one part of one data set."""
    return np.random.PCG64(int.from_bytes(sha256(purpose.encode()).digest()[:16], "little"))


def random_bytes(source: np.random.PCG64, count: int) -> NDArray[np.uint8]:
    """Draw bytes (count,), evenly from 0 to 255."""
    words = np.asarray(source.random_raw((count + 7) // 8))
    return words.astype("<u8").view(np.uint8)[:count]


def uniform(source: np.random.PCG64, *shape: int) -> NDArray[np.float64]:
    """Draw numbers in [0, 1), of 53 bits each."""
    words = np.asarray(source.random_raw(int(np.prod(shape))))
    return (words >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53


def below(source: np.random.PCG64, limit: int, *shape: int) -> NDArray[np.int64]:
    """Draw whole numbers from 0 to `limit` − 1."""
    return (uniform(source, *shape) * limit).astype(np.int64)


def normal_pairs(source: np.random.PCG64, count: int) -> NDArray[np.float64]:
    """Draw standard normal pairs (count, 2) by the Box-Muller transform.

    The last bits belong to the machine's logarithm, sine and cosine: round before you compare bytes.
    """
    first, second = uniform(source, 2, count)
    radius, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
