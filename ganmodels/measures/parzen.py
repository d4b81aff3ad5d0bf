"""The log-likelihood of real images under a normal density put around each generated one.

Parzen windows as in "Generative adversarial nets" (Goodfellow et al. 2014), https://arxiv.org/abs/1406.2661, after
Breuleux et al. 2011: the width is the best of ten for the validation images. It can be gamed: centroids of k-means
score above real images (Theis et al. 2016), https://arxiv.org/abs/1511.01844, so both are measured beside.

Deviation: the authors' code chooses the width on 1,000 validation images; here it is all that are given.
"""

import math
from collections.abc import Sequence

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from ganmodels.measures.distances import pieces

SIGMAS = tuple(10 ** (-1 + step / 9) for step in range(10))  # from 0.1 to 1, evenly in the logarithm, as the authors'
LEAST_BATCH = 1_024  # images in a step of k-means


def parzen(samples: Tensor, validation: Tensor, test: Tensor, sigmas: Sequence[float] = SIGMAS) -> dict[str, float]:
    """Give the mean log-likelihood of `test` (M, D) under windows around `samples` (N, D), in nats an image.

    `parzen_sigma` is the width that suits `validation` (K, D) best, `parzen_standard_error` that of the mean over the
    test images. Pixels lie in [0, 1]: the figure has meaning in this unit alone, so anything else raises ValueError.
    """
    for images in (samples, validation, test):
        if not (images.min() >= 0 and images.max() <= 1):
            raise ValueError(f"pixels from {float(images.min()):g} to {float(images.max()):g}, expected 0 to 1")
    sigma = choose_sigma(samples, validation, sigmas)
    found = log_likelihood(samples, test, sigma)
    return {
        "parzen_log_likelihood": float(found.mean()),
        "parzen_standard_error": float(found.std(correction=0)) / math.sqrt(len(found)),
        "parzen_sigma": sigma,
    }


def baselines(train: Tensor, validation: Tensor, test: Tensor, count: int, random: torch.Generator) -> dict[str, float]:
    """Measure `count` training images and `count` centroids of all of them (N, D) as if they had been generated."""
    chosen = torch.randperm(len(train), generator=random)[:count]
    return {
        "parzen_real": parzen(train[chosen], validation, test)["parzen_log_likelihood"],
        "parzen_k_means": parzen(_centroids(train, count, random), validation, test)["parzen_log_likelihood"],
    }


def log_likelihood(samples: Tensor, points: Tensor, sigma: float) -> Tensor:
    """Give ln of the mean over `samples` (N, D) of the normal density 𝒩(point; sample, σ²) at `points` (M, D): (M,)."""
    return _log_likelihoods(samples, points, [sigma])[0]


def choose_sigma(samples: Tensor, validation: Tensor, sigmas: Sequence[float] = SIGMAS) -> float:
    """Pick the width under which `validation` (M, D) has the highest mean log-likelihood."""
    return sigmas[int(_log_likelihoods(samples, validation, sigmas).mean(1).argmax())]


def _log_likelihoods(samples: Tensor, points: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Give them for each width, (widths, M), float64; each distance is taken once for all widths."""
    count, dimensions = samples.shape
    found = [
        torch.stack([torch.logsumexp(squared * (-0.5 / sigma**2), 1) for sigma in sigmas])
        for _, squared in pieces(points.double(), samples.double())
    ]
    scales = torch.tensor(sigmas, dtype=torch.float64)[:, None] * math.sqrt(2 * math.pi)
    return torch.cat(found, 1) - dimensions * scales.log() - math.log(count)


def _centroids(images: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Cluster images (N, D) by three passes of mini-batches, from randomly chosen images on."""
    size = max(LEAST_BATCH, count)
    seed = int(torch.randint(2**31, (), generator=random))
    # k-means++ would choose better first centroids, but for 10,000 of them that takes longer than all the rest.
    clustering = MiniBatchKMeans(count, init="random", max_iter=3, batch_size=size, n_init=1, random_state=seed)
    fitted = clustering.fit(images.numpy())
    return torch.from_numpy(fitted.cluster_centers_).clamp(0, 1)  # rounding may put a mean of zeros below 0
