"""How many modes of the real distribution a generator meets, and how evenly.

Classes of a classifier as modes, and KL(generated ‖ real) over them: unrolled GAN (Metz et al. 2017),
https://arxiv.org/abs/1611.02163. Normal distributions in the plane: VEEGAN (Srivastava et al. 2017),
https://arxiv.org/abs/1705.07761.
"""

import math

import torch
from torch import Tensor

from ganmodels.measures.distances import nearest

REACH = 3  # standard deviations from a center within which a sample is of high quality


def modes_and_kl(read: Tensor, classes: int, real: Tensor | None = None) -> dict[str, float]:
    """Count the classes that generated images are read as, (N,) int64, and compare how often with `real`.

    `mode_kl` is KL(generated ‖ real) in nats, at most ln `classes` when `real` is None: then every class is as likely;
    otherwise it holds the class of each real image (M,), int64. `least_class_share` is the share of the rarest class.
    Raises ValueError when `real` never is what a generated image is read as: the divergence is then infinite.
    """
    shares = _shares(read, classes)
    expected = torch.full_like(shares, 1 / classes) if real is None else _shares(real, classes)
    return {
        "modes": float(shares.count_nonzero()),
        "mode_kl": _divergence(shares, expected),
        "least_class_share": float(shares.min()),
    }


def gaussian_modes(points: Tensor, centers: Tensor, deviation: float) -> dict[str, float]:
    """Count the modes that `points` (N, 2) find of equal normal distributions around `centers` (K, 2).

    The rule is VEEGAN's: a sample is of high quality when it lies within three standard deviations of the
    nearest center, and a mode is found when it is the nearest to at least one such sample. The paper draws 2,500.
    `mode_kl` is KL(high-quality samples by mode ‖ uniform) in nats, over the samples that PacGAN's code counts
    (Lin et al. 2018), https://arxiv.org/abs/1712.04086; it is ln K, the most it can be, when there are none.
    """
    distances, positions = nearest(points, centers)
    good = positions[distances <= REACH * deviation]
    found = modes_and_kl(good, len(centers)) if len(good) else {"modes": 0.0, "mode_kl": math.log(len(centers))}
    return {
        "modes": found["modes"],
        "high_quality_fraction": len(good) / len(points),
        "mode_kl": found["mode_kl"],
    }


def _shares(classes_met: Tensor, classes: int) -> Tensor:
    counts = torch.bincount(classes_met, minlength=classes)
    if len(counts) > classes:
        raise ValueError(f"class {len(counts) - 1} found, expected 0 to {classes - 1}")
    return counts.double() / len(classes_met)


def _divergence(shares: Tensor, expected: Tensor) -> float:
    """Take Σ p ln(p/q) over the classes with p > 0."""
    met = shares > 0
    if (expected[met] == 0).any():
        absent = torch.nonzero(met & (expected == 0)).flatten().tolist()
        raise ValueError(f"generated images of classes {absent}, of which there is no real one")
    return float((shares[met] * (shares[met] / expected[met]).log()).sum())
