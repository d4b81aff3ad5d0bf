"""What the nearest image says: whether generated ones teach a nearest-neighbor classifier, and whether they are copies.

Nearest-neighbor classification from generated images: DCGAN (Radford et al. 2016),
https://arxiv.org/abs/1511.06434. Copies: the distances of generated and of held-out images to the training images,
as "A non-parametric test to detect data-copying" compares them (Meehan et al. 2020), https://arxiv.org/abs/2004.05675.

Deviation from the latter: the two medians and a quantile in pixel space, without its test statistic or its cells.
"""

from torch import Tensor

from ganmodels.measures.distances import nearest


def nearest_neighbor_error(images: Tensor, labels: Tensor, test_images: Tensor, test_labels: Tensor) -> float:
    """Give the fraction of `test_images` (M, D) whose nearest of `images` (N, D) has another label."""
    _, positions = nearest(test_images, images)
    return float((labels[positions] != test_labels).double().mean())


def memorization(fake: Tensor, train: Tensor, held_out: Tensor) -> dict[str, float]:
    """Compare how far generated images (N, D) and held-out real ones (K, D) lie from the training images (M, D).

    `nearest_train_distance` is the median distance of the generated to their nearest training image over that of the
    held-out ones: about 1 for fresh real images, far below for copies. `copied_fraction` is the share of the generated
    no farther from a training image than the nearest hundredth of the held-out ones: .01 for fresh real images.
    Raises ValueError when half of the held-out images are training images, with which nothing can be compared.
    """
    distances, _ = nearest(fake, train)
    usual, _ = nearest(held_out, train)
    if usual.median() == 0:
        raise ValueError("half of the held-out images lie among the training images, expected fresh ones")
    return {
        "nearest_train_distance": float(distances.median() / usual.median()),
        "copied_fraction": float((distances <= usual.quantile(0.01)).double().mean()),
    }
