"""Images of a label from a generator that takes none: candidates, of which its own class head chooses.

Each image's candidates are drawn and classified in batches of their own, so that which one is chosen depends on
nothing but the seed and the image's index.
"""

import numpy as np
from numpy.typing import NDArray

from app.refusals import NoneSureEnough
from app.serving import latents
from app.serving.discriminators import Discriminator
from app.serving.generators import Generator
from app.serving.latents import Key, Latent

MOST_CANDIDATES = 64  # tried for one image
LEAST_CONFIDENCE = 0.9  # p(label) of the first candidate that is taken
BATCH_SIZE = 16  # ten equally likely labels are found in one batch, most of the time
RULES = (MOST_CANDIDATES, LEAST_CONFIDENCE, BATCH_SIZE)  # what a choice depends on besides networks and noise

Chosen = tuple[NDArray[np.uint8], float]


def choose(
    generator: Generator,
    discriminator: Discriminator,
    key: Key,
    label: int,
    latent: Latent,
    truncation: float | None,
) -> Chosen:
    """Return the first candidate (H, W, C) for an image that is sure to show the label, and p(label).

    Raises NoneSureEnough when none of MOST_CANDIDATES is.
    """
    best = 0.0
    for first in range(0, MOST_CANDIDATES, BATCH_SIZE):
        attempts = range(first, min(first + BATCH_SIZE, MOST_CANDIDATES))
        drawn = generator.draw(latents.candidates(key, attempts, latent, truncation), None)
        confidences = discriminator.probabilities(drawn)[:, label]
        sure = np.flatnonzero(confidences >= LEAST_CONFIDENCE)
        if len(sure):
            return drawn[sure[0]], float(confidences[sure[0]])
        best = max(best, float(confidences.max()))
    seed, index = key
    raise NoneSureEnough(
        f"none of {MOST_CANDIDATES} candidates for image {index} of seed {seed} shows label {label} with a confidence "
        f"of {LEAST_CONFIDENCE}; the best has {best:.4f}. Try another seed, or a later checkpoint"
    )
