"""A job's previews one after the other: how the same noise came to mean something."""

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from app.conditional import entity_tag
from app.serving import images
from app.serving.drawings import RUNTIME
from app.serving.graphs import verify
from app.serving.images import Pixels
from store.artifacts import Artifacts
from store.previews import Preview

MOST_FRAMES = 100
MOST_PIXELS = 1 << 23  # of all frames; larger ones are shrunk
FRAME_MILLISECONDS = 200


def tag(previews: Sequence[Preview]) -> str:
    """Return the entity tag of an animation."""
    return entity_tag([preview.sha256 for preview in previews], RUNTIME)


def animate(previews: Sequence[Preview], artifacts: Artifacts) -> bytes:
    """Encode previews as an animated WebP, all as large as the largest. Raises ArtifactNotFound, FileDamaged."""
    size = max(preview.width for preview in previews), max(preview.height for preview in previews)
    shrinkage = math.ceil(math.sqrt(len(previews) * size[0] * size[1] / MOST_PIXELS))
    frames = [_frame(preview, artifacts, size, shrinkage) for preview in previews]
    return images.animation(frames, FRAME_MILLISECONDS)


def _frame(preview: Preview, artifacts: Artifacts, size: tuple[int, int], shrinkage: int) -> Pixels:
    content = artifacts.get(preview.path)
    verify(f"{preview.step}.png", content, preview.sha256, preview.step)
    frame = Image.new("RGB", size)
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        frame.paste(picture)
    return np.asarray(frame.reduce(shrinkage))
