"""Whether generated images look real, and whether every real one has a like among them.

Improved precision and recall (Kynkäänniemi et al. 2019), https://arxiv.org/abs/1904.06991;
density and coverage (Naeem et al. 2020), https://arxiv.org/abs/2002.09797.

Deviation: one number of neighbors serves both pairs; the first paper takes 3, the second 5.
"""

import torch
from torch import Tensor

from ganmodels.measures.distances import pieces

ROUNDING = 1e-12  # of the largest squared length of a feature vector; float64 errs a hundred times less


def manifold(real: Tensor, fake: Tensor, neighbors: int = 5) -> dict[str, float]:
    """Compare features (N, F) of real images with features (M, F) of generated ones.

    Each image stands at the middle of a ball that reaches to its k-th nearest neighbor among its own kind, itself not
    counted; the border belongs to the ball. `precision` is the fraction of generated images in any real ball, `recall`
    that of real images in any generated ball (Kynkäänniemi). `density` is the number of real balls
    that hold a generated image over k, on average: about 1 for real images, more where the fakes crowd in dense places;
    `coverage` is the fraction of real balls that hold a generated image (Naeem).
    Raises ValueError when a set has no k-th neighbor.
    """
    real, fake = real.double(), fake.double()
    real_radii, fake_radii = _radii(real, neighbors), _radii(fake, neighbors)
    slack = ROUNDING * max(float(real.square().sum(1).max()), float(fake.square().sum(1).max()))
    balls_around = []
    recalled, covered = torch.zeros(2, len(real), dtype=torch.bool)
    done = 0
    for part, squared in pieces(fake, real):
        in_real_ball = squared <= real_radii + slack
        in_fake_ball = squared <= fake_radii[done : done + len(part), None] + slack
        balls_around.append(in_real_ball.sum(1))
        covered |= in_real_ball.any(0)
        recalled |= in_fake_ball.any(0)
        done += len(part)
    counts = torch.cat(balls_around).double()
    return {
        "precision": float((counts > 0).double().mean()),
        "recall": float(recalled.double().mean()),
        "density": float(counts.mean() / neighbors),
        "coverage": float(covered.double().mean()),
    }


def _radii(features: Tensor, neighbors: int) -> Tensor:
    """Give the squared distance (N,) of each to its k-th nearest neighbor; the nearest of all is itself."""
    if not 1 <= neighbors < len(features):
        raise ValueError(f"{len(features)} images have no neighbor number {neighbors}")
    return torch.cat(
        [squared.topk(neighbors + 1, largest=False).values[:, -1] for _, squared in pieces(features, features)]
    )
