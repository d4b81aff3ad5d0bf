"""What a generator draws: images as bytes, or points of the plane."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.serving.graphs import Graph

WHITE = np.float32(255)


@dataclass(frozen=True)
class Generator:
    """A checkpoint's generator."""

    graph: Graph

    def draw(self, noise: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        """Turn latent vectors (N, Z), and labels (N,) where it takes any, into images (N, H, W, C)."""
        return to_bytes(self._run(noise, labels))

    def points(self, noise: NDArray[np.float32], labels: NDArray[np.int64] | None, span: float) -> NDArray[np.float32]:
        """Turn latent vectors (N, Z), and labels (N,) where it takes any, into points (N, 2) of [−span, span]²."""
        drawn = self._run(noise, labels).reshape(len(noise), 2)
        return (drawn * np.float32(2) - np.float32(1)) * np.float32(span)

    def _run(self, noise: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.float32]:
        found = self.graph.run(z=noise) if labels is None else self.graph.run(z=noise, label=labels)
        return found["images"]


def to_bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn images (N, C, H, W) in [0, 1] into bytes (N, H, W, C), halves rounded to even."""
    return np.rint(images.clip(0, 1) * WHITE).astype(np.uint8).transpose(0, 2, 3, 1)
