"""Circles and squares of 256 pixels, drawn by code: two classes for networks that learn large grey images.

A circle and a square of one size cover the same area, filled or hollow, so that brightness does not tell them apart.
Drawn with sums, products and roots alone, which every machine rounds alike.
"""

from math import pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmodels.datasets import fixed_draws

SIZE = 256
RADII = (40.0, 88.0)  # of the circle, in pixels; the square is as large in area
REACH = 1.26  # a square's corner lies sqrt(pi / 2) radii from its center
TILTS = (-0.13, 0.13)  # tangents of half the angle: 15 degrees either way; any angle is not learned from 400 images
HOLES = (0.5, 0.8)  # how far out a hollow shape's hole reaches
DARK, BRIGHT = (8, 72), (144, 247)  # gray levels of the ground and of the shape
NOISE = 8  # gray levels, up or down


def draw(part: str, count: int) -> tuple[Tensor, Tensor]:
    """Draw one part's images (N, 1, 256, 256), uint8, and labels (N,): by turns 0, a circle, and 1, a square."""
    source = fixed_draws.bits(f"shapes/{part}")
    labels = torch.arange(count) % 2
    knobs = fixed_draws.uniform(source, count, 8)
    images = fixed_draws.random_bytes(source, count * SIZE * SIZE).reshape(count, 1, SIZE, SIZE)
    images %= 2 * NOISE + 1
    for image, label, knob in zip(images, labels.tolist(), knobs, strict=True):
        image += _levels(label == 1, knob) - NOISE  # never below 0 nor above 255: DARK and BRIGHT leave room
    return torch.from_numpy(images), labels


def _levels(square: bool, knob: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Draw one shape without noise, (256, 256); `knob` has eight numbers in [0, 1)."""
    radius = _between(RADII, knob[0])
    hole = _between(HOLES, knob[1]) if knob[2] < 0.5 else 0.0
    outwards = _outwards(square, radius, knob[3:6])
    inside = (outwards >= hole) & (outwards <= 1)
    dark, bright = int(_between(DARK, knob[6])), int(_between(BRIGHT, knob[7]))
    return np.where(inside, bright, dark).astype(np.uint8)


def _outwards(square: bool, radius: float, knob: NDArray[np.float64]) -> NDArray[np.float64]:
    """Say how far out of the shape each pixel lies: 0 at its center, 1 at its edge."""
    room = (REACH * radius, SIZE - REACH * radius)
    pixels = np.arange(SIZE) + 0.5
    x, y = pixels[None, :] - _between(room, knob[0]), pixels[:, None] - _between(room, knob[1])
    if square:
        cosine, sine = _turn(knob[2])
        half_sides = np.maximum(np.abs(cosine * x + sine * y), np.abs(cosine * y - sine * x))
        return np.asarray(half_sides / (radius * sqrt(pi) / 2))
    return np.asarray(np.sqrt(x * x + y * y) / radius)


def _turn(knob: float) -> tuple[float, float]:
    """Give the cosine and sine of the angle whose half has the tangent that `knob` chooses."""
    half = _between(TILTS, knob)
    return (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)


def _between(limits: tuple[float, float], knob: float) -> float:
    low, high = limits
    return low + (high - low) * knob
