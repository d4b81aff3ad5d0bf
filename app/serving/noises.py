"""What images are drawn from: noise that belongs to seeds, or latent vectors as they were sent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.serving import latents
from app.serving.latents import Key, Latent


@dataclass(frozen=True)
class Seeded:
    """Noise for each image by its seed and index, none of it farther out than `truncation`."""

    keys: tuple[Key, ...]
    truncation: float | None = None

    @classmethod
    def row(cls, seed: int, index: int, count: int, truncation: float | None = None) -> "Seeded":
        """Take `count` images of one seed, from `index` on."""
        return cls(tuple((seed, index + place) for place in range(count)), truncation)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.keys)

    @property
    def seed(self) -> int | None:
        """Return the one seed of every image; None where they have several."""
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


Noise = Seeded | Given
