"""Names for clusters that were found without labels, and what is wrong once they have them.

By majority where there may be more clusters than classes, as in CatGAN (Springenberg 2016),
https://arxiv.org/abs/1511.06390; one to one by the Hungarian method (Kuhn 1955). Names are chosen on labeled
validation images and the error is read on others: a vote on the images that are judged flatters itself.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def majority(assigned: Tensor, labels: Tensor, clusters: int, classes: int) -> Tensor:
    """Name each cluster (clusters,), int64, after most of its images, the lower label on a tie, or −1 if it has none.

    `assigned` (N,) and `labels` (N,) are int64.
    """
    counts = _counts(assigned, labels, clusters, classes)
    return torch.where(counts.sum(1) > 0, counts.argmax(1), -1)


def hungarian(assigned: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Name as many clusters as there are classes, (classes,) int64, each differently, with the most images right."""
    _, names = linear_sum_assignment(_counts(assigned, labels, classes, classes).numpy(), maximize=True)
    return torch.from_numpy(names)


def error(assigned: Tensor, labels: Tensor, names: Tensor) -> float:
    """Give the fraction of images (N,) whose cluster has another name than their label; without a name it is wrong."""
    return float((names[assigned] != labels).double().mean())


def _counts(assigned: Tensor, labels: Tensor, clusters: int, classes: int) -> Tensor:
    return torch.bincount(assigned * classes + labels, minlength=clusters * classes).view(clusters, classes)
