"""Noise and labels as pure functions of a seed and an image's index, by the counter-based generator Philox.

No image depends on how many others were asked for beside it. (Salmon et al. 2011, Parallel Random Numbers.)
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, int]  # a seed and an image's index
Latent = Mapping[str, Any]  # Any: a card's JSON


class Stream(IntEnum):
    """What a draw is for: each purpose has numbers of its own."""

    NOISE = 0
    LABEL = 1


def noise(keys: Iterable[Key], latent: Latent, truncation: float | None = None) -> NDArray[np.float32]:
    """Draw latent vectors (N, Z), one per key, from the distribution that a checkpoint's card names.

    `truncation`, for normal ones: no number is farther from 0, as in Brock et al. 2018, https://arxiv.org/abs/1809.11096,
    section 3.1; one that is, is drawn anew until it is not, and the others stay.
    """
    return _vectors((_source(key, Stream.NOISE) for key in keys), latent, truncation)


def candidates(
    key: Key, attempts: Sequence[int], latent: Latent, truncation: float | None = None
) -> NDArray[np.float32]:
    """Draw latent vectors (N, Z), one per attempt at one image; attempt 0 is the image's own noise."""
    return _vectors((_source(key, Stream.NOISE, attempt) for attempt in attempts), latent, truncation)


def labels(keys: Iterable[Key], count: int) -> NDArray[np.int64]:
    """Draw one of `count` labels for each key."""
    return np.array([_source(key, Stream.LABEL).integers(count) for key in keys], np.int64)


def _vectors(sources: Iterable[np.random.Generator], latent: Latent, truncation: float | None) -> NDArray[np.float32]:
    size, low, high = latent["size"], latent["low"], latent["high"]
    if latent["distribution"] == "uniform":
        width, least = np.float32(high - low), np.float32(low)
        return np.stack([source.random(size, np.float32) * width + least for source in sources])
    return np.stack([_normal(source, size, truncation) for source in sources])


def _normal(source: np.random.Generator, size: int, truncation: float | None) -> NDArray[np.float32]:
    drawn = source.standard_normal(size, np.float32)
    if truncation is None:
        return drawn
    far = np.flatnonzero(np.abs(drawn) > truncation)
    while len(far):
        again = source.standard_normal(size, np.float32)
        near = again[np.abs(again) <= truncation][: len(far)]
        drawn[far[: len(near)]] = near
        far = far[len(near) :]
    return drawn


def _source(key: Key, stream: Stream, attempt: int = 0) -> np.random.Generator:
    counter = np.array([0, 0, attempt, stream], np.uint64)  # the words that no draw ever counts up to
    return np.random.Generator(np.random.Philox(key=np.array(key, np.uint64), counter=counter))
