"""Noise and labels as pure functions of a seed and an image's index, by the counter-based generator Philox.

No image depends on how many others were asked for beside it. (Salmon et al. 2011, Parallel Random Numbers.)
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What a draw is for: each purpose has numbers of its own."""

    NOISE = 0
    LABEL = 1


def noise(seed: int, indices: Sequence[int], latent: Mapping[str, Any]) -> NDArray[np.float32]:  # Any: a card's JSON
    """Draw latent vectors (N, Z), one per index, from the distribution that a checkpoint's card names."""
    return _vectors((_source(seed, index, Stream.NOISE) for index in indices), latent)


def candidates(
    seed: int,
    index: int,
    attempts: Sequence[int],
    latent: Mapping[str, Any],  # Any: a card's JSON
) -> NDArray[np.float32]:
    """Draw latent vectors (N, Z), one per attempt at the image of one index; attempt 0 is the image's own noise."""
    return _vectors((_source(seed, index, Stream.NOISE, attempt) for attempt in attempts), latent)


def labels(seed: int, indices: Sequence[int], count: int) -> NDArray[np.int64]:
    """Draw one of `count` labels for each index."""
    return np.array([_source(seed, index, Stream.LABEL).integers(count) for index in indices], np.int64)


def _vectors(
    sources: Iterable[np.random.Generator],
    latent: Mapping[str, Any],  # Any: a card's JSON
) -> NDArray[np.float32]:
    size, low, high = latent["size"], latent["low"], latent["high"]
    if latent["distribution"] == "uniform":
        width, least = np.float32(high - low), np.float32(low)
        return np.stack([source.random(size, np.float32) * width + least for source in sources])
    return np.stack([source.standard_normal(size, np.float32) for source in sources])


def _source(seed: int, index: int, stream: Stream, attempt: int = 0) -> np.random.Generator:
    key = np.array([seed, index], np.uint64)
    counter = np.array([0, 0, attempt, stream], np.uint64)  # the words that no draw ever counts up to
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
