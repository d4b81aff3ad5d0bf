"""What a discriminator makes of images: the probability of each label, and whether they look real."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.serving.cards import Card
from app.serving.graphs import DISCRIMINATOR, Graph, Graphs
from store.checkpoints import Checkpoint
from store.jobs import Job

WHITE = np.float32(255)


@dataclass(frozen=True)
class Discriminator:
    """A checkpoint's discriminator. `classes` holds the label of each output of its class head, or None."""

    graph: Graph
    classes: Sequence[int | None]
    labels: int

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return p(label) of images (N, H, W, C) for each label (N, labels).

        Outputs that stand for the same label are added up; what is missing to 1 belongs to outputs without a label.
        """
        outputs = softmax(self._run(images, 0)["class_logits"].astype(np.float64))
        found = np.zeros((len(images), self.labels))
        for output, label in enumerate(self.classes):
            if label is not None:
                found[:, label] += outputs[:, output]
        return found

    def logits(self, images: NDArray[np.uint8], label: int) -> NDArray[np.float64]:
        """Return the estimate (N,) that images (N, H, W, C) are real, as images of `label` where it takes one."""
        return self._run(images, label)["logit"].astype(np.float64)

    def _run(self, images: NDArray[np.uint8], label: int) -> dict[str, NDArray[np.float32]]:
        inputs = {"label": np.full(len(images), label, np.int64)} if "label" in self.graph.inputs else {}
        return self.graph.run(images=from_bytes(images), **inputs)


def open_discriminator(graphs: Graphs, job: Job, checkpoint: Checkpoint, card: Card) -> Discriminator:
    """Return the discriminator of a checkpoint; raise FileDamaged unless its file is what the row says."""
    graph = graphs.open(job.id, checkpoint, DISCRIMINATOR)
    return Discriminator(graph, card.classes, len(card.label_names))


def from_bytes(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn bytes (N, H, W, C) into what networks take: (N, C, H, W) in [0, 1]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / WHITE


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits (N, K) into probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits into probabilities, without overflow."""
    small = np.exp(-np.abs(logits))
    found: NDArray[np.float64] = np.where(logits >= 0, 1, small) / (1 + small)
    return found
