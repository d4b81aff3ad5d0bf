"""Convolutional GAN of a TensorFlow write-up on MNIST: the discriminator is trained alone before the two alternate.

The losses are those of Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661. The generator draws what the write-up's
does, and is less than it looks: **each resize is undone by the next stride**. An image of 28 pixels is doubled to 56
and halved again at once, so the network never works at 56 pixels but on its noise. In the last layer the undoing is
exact: a 1×1 convolution with stride 2 reads just the pixels that the resize copied. In the one before, the 3×3
convolution reads copies and means of neighbors, which a 2×2 convolution without the resize could as well.

Deviations: the last layer is written without its resize and stride, which leaves every weight and image as it was;
the generator's convolutions have no bias before BatchNorm, which would take it away again, and biases start at 0.
BatchNorm's running statistics follow ten times as fast as TensorFlow's, which after 100 steps still are mostly what
they began as, so that every preview would be grey. In the quick preset also an averaged generator, a penalty on the
discriminator's slope, and rates ten and three times as high that fall to 0.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from ganmodels.families.gan import d_loss, g_loss
from ganmodels.family import Family, ImageShape, Latent
from ganmodels.specs.convgan import ConvganSpec

SIDE = 56
DEVIATION = 0.02


class Generator(nn.Module):
    """Noise (B, Z) to images (B, 1, 28, 28) in [0, 1]; labels are ignored."""

    def __init__(self, spec: ConvganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.first = nn.Linear(spec.latent_size, SIDE**2)
        self.norms = nn.ModuleList(_norm(width) for width in (1, 50, 25))
        self.layers = nn.ModuleList(
            [nn.Conv2d(1, 50, 3, 2, bias=False), nn.Conv2d(50, 25, 3, 2, bias=False), nn.Conv2d(25, 1, 1)]
        )
        _initialize(self)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`."""
        features = self.norms[0](self.first(z).view(-1, 1, SIDE, SIDE)).relu()
        features = self.norms[1](self.layers[0](_padded(features))).relu()
        features = self.norms[2](self.layers[1](_padded(doubled(features)))).relu()
        images: Tensor = self.layers[2](features).float().sigmoid()
        return images


class Discriminator(nn.Module):
    """Images (B, C, 28, 28) in [0, 1] to logits (B,); labels are ignored."""

    def __init__(self, spec: ConvganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(shape.channels, 32, 5, 1, 2), nn.Conv2d(32, 64, 5, 1, 2)])
        self.hidden = nn.Linear(64 * (shape.size // 4) ** 2, 1024)
        self.logit = nn.Linear(1024, 1)
        _initialize(self)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge each image."""
        features = images
        for layer in self.layers:
            features = avg_pool2d(layer(features).relu(), 2)
        logits: Tensor = self.logit(self.hidden(features.flatten(1)).relu())
        return logits.flatten().float()


def doubled(features: Tensor) -> Tensor:
    """Resize (B, C, H, W) to twice the size as TensorFlow 1 does: a pixel, then its mean with the next one.

    Bilinear at 0, ½, 1, …: PyTorch's own factor of 2 would read at −¼, ¼, ¾, … instead. The last pixel is repeated.
    """
    height, width = features.shape[2:]
    between = interpolate(features, size=(2 * height - 1, 2 * width - 1), mode="bilinear", align_corners=True)
    return pad(between, (0, 1, 0, 1), mode="replicate")


def _padded(features: Tensor) -> Tensor:
    """Pad as TensorFlow's SAME does for a kernel of 3 and a stride of 2 on an even size: behind, not in front."""
    return pad(features, (0, 1, 0, 1))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)  # TensorFlow's


def _initialize(network: nn.Module) -> None:
    """Draw weights from N(0, 0.02) cut off at two deviations, as TensorFlow's `truncated_normal` does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, 0, DEVIATION, -2 * DEVIATION, 2 * DEVIATION)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    # Twice as fast on a CPU: no layout changes around each convolution. (PyTorch's types forget this overload.)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


FAMILY = Family(
    spec=ConvganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (0.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("normal"),
)
