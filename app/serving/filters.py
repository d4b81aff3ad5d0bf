"""Images of a label from a generator that takes none: candidates, of which its own class head chooses.

Each image's candidates are drawn and classified in batches of their own, so that which one is chosen depends on
nothing but the seed and the image's index. A generator has learned to please this very head, which is therefore surer
of its images than of real ones: what counts is how sure it is of the image and of the same image moved a little.
"""

from threading import Event

import numpy as np
from numpy.typing import NDArray

from app.refusals import NoneSureEnough
from app.serving import latents
from app.serving.discriminators import Discriminator
from app.serving.generators import Generator
from app.serving.latents import Key, Latent

MOST_CANDIDATES = 256  # tried for one image
LEAST_CONFIDENCE = 0.99  # p(label) of the first candidate that is taken
BATCH_SIZE = 16  # ten equally likely labels are found in one batch, most of the time
WAYS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))  # where an image is moved to, rows and columns
MOVED_BY_ONE = 28  # pixels of the side for each pixel that an image is moved by: smaller ones stay where they are
# What a choice depends on besides networks and noise.
RULES = (MOST_CANDIDATES, LEAST_CONFIDENCE, BATCH_SIZE, WAYS, MOVED_BY_ONE)

Chosen = tuple[NDArray[np.uint8], float]


class Abandoned(Exception):
    """Nobody waits for the images any more."""


def choose(
    generator: Generator,
    discriminator: Discriminator,
    key: Key,
    label: int,
    latent: Latent,
    truncation: float | None,
    over: Event | None = None,
) -> Chosen:
    """Return the first candidate (H, W, C) that is sure to show the label, and the mean p(label) of its views.

    Raises NoneSureEnough when none of MOST_CANDIDATES is, Abandoned once `over` is set.
    """
    best = 0.0
    for first in range(0, MOST_CANDIDATES, BATCH_SIZE):
        if over is not None and over.is_set():
            raise Abandoned
        attempts = range(first, min(first + BATCH_SIZE, MOST_CANDIDATES))
        drawn = generator.draw(latents.candidates(key, attempts, latent, truncation), None)
        at_first_sight = discriminator.probabilities(drawn)[:, label]
        for candidate in drawn[at_first_sight >= LEAST_CONFIDENCE]:
            confidence = float(discriminator.probabilities(views(candidate))[:, label].mean())
            if confidence >= LEAST_CONFIDENCE:
                return candidate, confidence
        best = max(best, float(at_first_sight.max()))
    seed, index = key
    raise NoneSureEnough(
        f"none of {MOST_CANDIDATES} candidates for image {index} of seed {seed} surely shows label {label}: a "
        f"confidence of {LEAST_CONFIDENCE} is asked for, moved a little too; at first sight the best has {best:.4f}. "
        "Try another seed, or a later checkpoint"
    )


def views(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, C), and the same moved each way (1 or 5, H, W, C), its edges repeated."""
    height, width, _ = image.shape
    reach = height // MOVED_BY_ONE
    if reach == 0:
        return image[np.newaxis]
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    corners = [(reach * (1 + down), reach * (1 + right)) for down, right in WAYS]
    return np.stack([padded[top : top + height, left : left + width] for top, left in corners])
