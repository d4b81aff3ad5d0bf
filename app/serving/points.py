"""Points of the plane as a picture."""

import numpy as np
from numpy.typing import NDArray

from app.serving.images import Pixels

SIDE = 256  # pixels
DOT = 1  # pixels on each side of a dot's middle
WHITE = 255


def scatter(points: NDArray[np.float32], span: float) -> Pixels:
    """Draw points (N, 2) of [−span, span]² as white dots on black (256, 256, 1); x to the right, y upwards."""
    inner = SIDE - 1 - 2 * DOT  # dots at the edge are whole
    places = np.rint((points / np.float32(2 * span) + np.float32(0.5)).clip(0, 1) * np.float32(inner)).astype(np.int64)
    columns, rows = places[:, 0] + DOT, SIDE - 1 - DOT - places[:, 1]
    picture = np.zeros((SIDE, SIDE, 1), np.uint8)
    for down in range(-DOT, DOT + 1):
        for right in range(-DOT, DOT + 1):
            picture[rows + down, columns + right] = WHITE
    return picture
