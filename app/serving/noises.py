"""What images are drawn from: noise of seeds, latent vectors as they were sent, or the way between two seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from app.serving import latents
from app.serving.latents import Key, Latent

Vector = NDArray[np.float64]

STRAIGHT = 1e-6  # the sine of an angle from which two vectors count as lying on one line


@dataclass(frozen=True)
class Row(Sequence[Key]):
    """The keys of one seed's images, made as they are looked at: there may be many."""

    seed: int
    indices: range

    def __len__(self) -> int:
        """Count the images."""
        return len(self.indices)

    @overload
    def __getitem__(self, place: int) -> Key: ...

    @overload
    def __getitem__(self, place: slice) -> "Row": ...

    def __getitem__(self, place: int | slice) -> "Key | Row":
        """Return the key at a place, or the row of some places."""
        some = self.indices[place]
        return Row(self.seed, some) if isinstance(some, range) else (self.seed, some)


@dataclass(frozen=True)
class Seeded:
    """Noise for each image by its seed and index, none of it farther out than `truncation`."""

    keys: Sequence[Key]
    truncation: float | None = None

    @classmethod
    def row(cls, seed: int, index: int, count: int, truncation: float | None = None) -> "Seeded":
        """Take `count` images of one seed, from `index` on."""
        return cls(Row(seed, range(index, index + count)), truncation)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.keys)

    @property
    def seed(self) -> int | None:
        """Return the one seed of every image; None where they have several."""
        if isinstance(self.keys, Row):
            return self.keys.seed
        (seed, _), *others = self.keys
        return seed if all(other == seed for other, _ in others) else None

    def vectors(self, latent: Latent) -> NDArray[np.float32]:
        """Return the latent vectors (N, Z)."""
        return latents.noise(self.keys, latent, self.truncation)

    def labels(self, count: int) -> NDArray[np.int64]:
        """Draw one of `count` labels for each image (N,)."""
        return latents.labels(self.keys, count)


@dataclass(frozen=True)
class Given:
    """Latent vectors as they were sent, one for each image."""

    sent: Sequence[Sequence[float]]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.sent)

    def vectors(self, latent: Latent) -> NDArray[np.float32]:
        """Return the latent vectors (N, Z)."""
        return np.array(self.sent, np.float32)


@dataclass(frozen=True)
class Between:
    """Noise on the way from that of one seed to that of another, both included, for each of `frames` images."""

    from_seed: int
    to_seed: int
    frames: int

    def __len__(self) -> int:
        """Count the images."""
        return self.frames

    def vectors(self, latent: Latent) -> NDArray[np.float32]:
        """Return the latent vectors (N, Z)."""
        start, end = latents.noise([(self.from_seed, 0), (self.to_seed, 0)], latent).astype(np.float64)
        walk = slerp if latent["distribution"] == "normal" else lerp
        parts = [frame / (self.frames - 1) for frame in range(self.frames)]
        return np.stack([walk(start, end, part) for part in parts]).astype(np.float32)

    def labels(self, count: int) -> NDArray[np.int64]:
        """Draw one of `count` labels for all images (N,): that of the first."""
        return latents.labels([(self.from_seed, 0)], count).repeat(self.frames)


Noise = Seeded | Given | Between


def lerp(start: Vector, end: Vector, part: float) -> Vector:
    """Go a part of the way from one vector to another, straight ahead."""
    return (1 - part) * start + part * end


def slerp(start: Vector, end: Vector, part: float) -> Vector:
    """Go a part of the way on a great circle, so that the length stays usual (White 2016, arxiv.org/abs/1609.04468).

    Between vectors of one line, where there is no such circle or are many, the way is straight.
    """
    cosine = float(start @ end) / (math.sqrt(float(start @ start)) * math.sqrt(float(end @ end)) or 1)
    angle = math.acos(min(1, max(-1, cosine)))
    if math.sin(angle) < STRAIGHT:
        return lerp(start, end, part)
    return (math.sin((1 - part) * angle) * start + math.sin(part * angle) * end) / math.sin(angle)
