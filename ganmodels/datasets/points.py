"""The ring and the grid: points of the plane around known centers, where a lost mode can be counted.

Srivastava et al.: VEEGAN, 2017, section 4.1, https://arxiv.org/abs/1705.07761. Centers and deviations as PacGAN's
authors set them (Lin et al. 2018), https://github.com/fjxmlzn/PacGAN, `synthetic_data_experiments/*/config.py`.

Deviation: every center has equally many points, where they draw the center of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
import torch
from torch import Tensor

from ganmodels.datasets import fixed_draws

# Coordinates are rounded to so many steps, which float32 holds. All 130,000 points lie at least 1e-8 of a step from
# where one would round the other way, twenty times what the last bit of float64 moves: every machine gets the same.
STEPS = 2**22


@dataclass(frozen=True)
class Mixture:
    """Gaussians of the plane, all equally wide and equally likely."""

    centers: tuple[tuple[float, float], ...]
    deviation: float


MIXTURES: Mapping[str, Mixture] = {
    "ring": Mixture(tuple((cos(2 * pi * k / 8), sin(2 * pi * k / 8)) for k in range(8)), 0.01),
    "grid": Mixture(tuple((float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)), 0.05),
}


def centers(name: str) -> Tensor:
    """Give the centers (K, 2) of a data set's Gaussians, float32 coordinates; a label is a position among them."""
    return torch.tensor(MIXTURES[name].centers)


def deviation(name: str) -> float:
    """Give the standard deviation that each Gaussian has in each coordinate."""
    return MIXTURES[name].deviation


def to_plane(unit: Tensor, span: float) -> Tensor:
    """Turn points in [0, 1], (N, 2, 1, 1) or (N, 2), into coordinates (N, 2) from −`span` to `span`."""
    return (unit.flatten(1) * 2 - 1) * span


def draw(name: str, part: str, count: int, span: float) -> tuple[Tensor, Tensor]:
    """Draw one part's points (N, 2, 1, 1), float32 in [0, 1], and the Gaussian (N,) that each belongs to."""
    mixture = MIXTURES[name]
    labels = np.arange(count) % len(mixture.centers)
    around = fixed_draws.normal_pairs(fixed_draws.bits(f"{name}/{part}"), count)
    coordinates = np.asarray(mixture.centers)[labels] + mixture.deviation * around
    unit = np.round((coordinates / span + 1) / 2 * STEPS) / STEPS
    return torch.from_numpy(unit.astype(np.float32))[:, :, None, None], torch.from_numpy(labels.astype(np.int64))
