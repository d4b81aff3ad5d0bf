"""Vanilla GAN (Goodfellow et al. 2014), https://arxiv.org/abs/1406.2661, on fully connected networks.

Deviations: one hidden layer of ReLU in both networks where the paper has several, of maxout in the discriminator; Adam
instead of SGD with momentum; no dropout; the non-saturating loss for the generator unless `minimax` is asked for. In
the quick preset also two layers, a penalty on the discriminator's slope and an averaged generator.
"""

from torch import Tensor, nn

from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.losses import GENERATOR_LOSSES, logistic
from ganmodels.networks import fully_connected
from ganmodels.specs.gan import FullyConnectedKnobs, GanSpec
from ganmodels.specs.knobs import LogisticKnobs


class Generator(nn.Module):
    """Noise (B, Z) to images (B, C, H, W) in [0, 1]; labels are ignored."""

    def __init__(self, spec: FullyConnectedKnobs, shape: ImageShape) -> None:
        super().__init__()
        self.shape = shape
        self.layers = fully_connected([spec.latent_size, *spec.hidden, shape.channels * shape.size**2])

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`."""
        images: Tensor = self.layers(z).float().sigmoid()
        return images.view(-1, self.shape.channels, self.shape.size, self.shape.size)


class Discriminator(nn.Module):
    """Images (B, C, H, W) in [0, 1] to logits (B,); labels are ignored."""

    def __init__(self, spec: FullyConnectedKnobs, shape: ImageShape) -> None:
        super().__init__()
        self.layers = fully_connected([shape.channels * shape.size**2, *spec.hidden, 1])

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge each image."""
        logits: Tensor = self.layers(images.flatten(1))
        return logits.flatten().float()


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: LogisticKnobs) -> tuple[Tensor, Metrics]:
    """Score each real image as real and each fake as fake."""
    real_logits, fake_logits = d(batch.real, batch.labels), d(fake, batch.labels)
    return logistic(real_logits, fake_logits), {"d_real": real_logits.mean(), "d_fake": fake_logits.mean()}


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: LogisticKnobs) -> tuple[Tensor, Metrics]:
    """Score the fakes by how real they look."""
    return GENERATOR_LOSSES[spec.generator_loss](d(fake, batch.labels)), {}


FAMILY = Family(
    spec=GanSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (0.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("uniform", -1.0, 1.0),
)
