"""Conditional GAN (Mirza, Osindero 2014), https://arxiv.org/abs/1411.1784: one-hot labels beside every input.

Deviations: one hidden layer of ReLU in both networks where the paper has maxout and separate hidden layers for image
and label; Adam instead of SGD with momentum; no dropout; noise in [−1, 1] instead of [0, 1].
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.losses import GENERATOR_LOSSES, logistic
from ganmodels.specs.cgan import CganSpec


class Generator(nn.Module):
    """Noise (B, Z) and labels (B,) to images (B, C, H, W) in [0, 1]."""

    def __init__(self, spec: CganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.shape = shape
        pixels = shape.channels * shape.size**2
        self.layers = _layers([spec.latent_size + shape.labels, *spec.hidden, pixels])

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`."""
        images: Tensor = self.layers(_beside(z, labels, self.shape.labels)).sigmoid()
        return images.view(-1, self.shape.channels, self.shape.size, self.shape.size)


class Discriminator(nn.Module):
    """Images (B, C, H, W) in [0, 1] and labels (B,) to logits (B,)."""

    def __init__(self, spec: CganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.labels = shape.labels
        pixels = shape.channels * shape.size**2
        self.layers = _layers([pixels + shape.labels, *spec.hidden, 1])

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge each image as one of its label."""
        logits: Tensor = self.layers(_beside(images.flatten(1), labels, self.labels))
        return logits.flatten()


def _layers(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        linear = nn.Linear(before, after)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _beside(vectors: Tensor, labels: Tensor, count: int) -> Tensor:
    return torch.cat([vectors, one_hot(labels, count).to(vectors.dtype)], dim=1)


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: CganSpec) -> tuple[Tensor, Metrics]:
    """Score each real image as real and each fake, of the same label, as fake."""
    real_logits, fake_logits = d(batch.real, batch.labels), d(fake, batch.labels)
    return logistic(real_logits, fake_logits), {"d_real": real_logits.mean(), "d_fake": fake_logits.mean()}


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: CganSpec) -> tuple[Tensor, Metrics]:
    """Score the fakes by how real they look as images of their label."""
    return GENERATOR_LOSSES[spec.generator_loss](d(fake, batch.labels)), {}


FAMILY = Family(
    spec=CganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (0.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("uniform", -1.0, 1.0),
)
