"""Pieces of networks that several families share."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def fully_connected(widths: Sequence[int]) -> nn.Sequential:
    """Stack linear layers with ReLU between them; weights as TensorFlow draws them (Glorot, Bengio 2010, eq. 16)."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [draw_as_glorot(nn.Linear(before, after)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def draw_as_glorot(network: nn.Module) -> nn.Module:
    """Draw the weights of every layer as Glorot, Bengio 2010 do, evenly (eq. 16), and set the biases to 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class Noise(nn.Module):
    """Gaussian noise in training, drawn anew for every number; nothing in evaluation."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, features: Tensor) -> Tensor:
        """Add the noise."""
        if not self.training or self.deviation == 0:
            return features
        # Drawn in float32, which a CPU does in half to three quarters of the time that bfloat16 takes.
        noise = torch.randn_like(features, dtype=torch.float32).to(features.dtype)
        return features.add(noise, alpha=self.deviation)
