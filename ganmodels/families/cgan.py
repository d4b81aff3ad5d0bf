"""Conditional GAN (Mirza, Osindero 2014), https://arxiv.org/abs/1411.1784: one-hot labels beside every input.

The losses are those of `gan`, whose discriminator is told the same label beside a real image and a generated one.

Deviations: one hidden layer of ReLU in both networks where the paper has maxout and separate hidden layers for image
and label; Adam instead of SGD with momentum; no dropout; noise in [−1, 1] instead of [0, 1]. In the quick preset also
two layers, a penalty on the discriminator's slope, real images under wrong labels as further fakes, rates that fall to
0 and an averaged generator.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganmodels.families import gan
from ganmodels.families.gan import g_loss
from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.losses import mismatched
from ganmodels.networks import fully_connected
from ganmodels.specs.cgan import CganSpec


class Generator(nn.Module):
    """Noise (B, Z) and labels (B,) to images (B, C, H, W) in [0, 1]."""

    def __init__(self, spec: CganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.shape = shape
        pixels = shape.channels * shape.size**2
        self.layers = fully_connected([spec.latent_size + shape.labels, *spec.hidden, pixels])

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`."""
        images: Tensor = self.layers(_beside(z, labels, self.shape.labels)).float().sigmoid()
        return images.view(-1, self.shape.channels, self.shape.size, self.shape.size)


class Discriminator(nn.Module):
    """Images (B, C, H, W) in [0, 1] and labels (B,) to logits (B,)."""

    def __init__(self, spec: CganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.labels = shape.labels
        pixels = shape.channels * shape.size**2
        self.layers = fully_connected([pixels + shape.labels, *spec.hidden, 1])

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge each image as one of its label."""
        logits: Tensor = self.layers(_beside(images.flatten(1), labels, self.labels))
        return logits.flatten().float()


def _beside(vectors: Tensor, labels: Tensor, count: int) -> Tensor:
    return torch.cat([vectors, one_hot(labels, count).to(vectors.dtype)], dim=1)


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: CganSpec) -> tuple[Tensor, Metrics]:
    """Score as `gan` does; with `mismatch_weight`, a real image under its neighbor's label counts as fake too."""
    loss, metrics = gan.d_loss(d, batch, fake, spec)
    if not spec.mismatch_weight:
        return loss, metrics
    others = batch.labels.roll(1)
    mismatch = mismatched(d(batch.real, others), batch.labels, others)
    return loss + spec.mismatch_weight * mismatch, {**metrics, "d_mismatch": mismatch}


FAMILY = Family(
    spec=CganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (0.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("uniform", -1.0, 1.0),
)
