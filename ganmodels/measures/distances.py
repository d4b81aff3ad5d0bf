"""Euclidean distances between two sets, a piece of the matrix at a time: all of it would not fit into memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

PIECE_BYTES = 64 * 2**20  # callers hold up to three tensors of a piece's size


def pieces(points: Tensor, others: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give `points` (N, D) a few at a time, (n, D), beside their squared distances to all `others` (M, D): (n, M).

    They are |a|² + |b|² − 2ab, of the inputs' type. Rounding moves them by about 1e-7 of the squared lengths in
    float32 and 1e-16 in float64, so that they may fall below 0.
    """
    lengths = others.square().sum(1)
    rows = max(1, PIECE_BYTES // (len(others) * others.element_size()))
    for part in torch.split(points, rows):
        squared = torch.addmm(lengths, part, others.T, alpha=-2)
        yield part, squared.add_(part.square().sum(1, keepdim=True))


def nearest(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Give the distance (N,), float64, of each of `points` (N, D) to the nearest of `others` (M, D), and which it is.

    Which one is decided in float32, the middle of `others` moved to the origin, where rounding is least. The distance
    to it is then taken directly: that of a copy is exactly 0.
    """
    middle = others.float().mean(0)
    points, others = points.float() - middle, others.float() - middle
    distances, positions = [], []
    for part, squared in pieces(points, others):
        position = squared.argmin(1)
        distances.append((part.double() - others[position].double()).norm(dim=1))
        positions.append(position)
    return torch.cat(distances), torch.cat(positions)
