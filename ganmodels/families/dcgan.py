"""Deep convolutional GAN (Radford et al. 2015), https://arxiv.org/abs/1511.06434, with labels if asked.

Images of b·2^k pixels, 4 ≤ b ≤ 7: k doublings in the generator, k halvings and one more in the discriminator.

Deviations: kernels of 4 in the generator, so that each output pixel is drawn by equally many weights, and of 3 in the
discriminator, which are faster; one more strided layer and a linear logit in the discriminator. In the quick preset
also: no BatchNorm in the discriminator but a gradient penalty (R1), larger first weights, an averaged generator, and
learning rates that fall to 0.
The labels are not the paper's: a class embedding beside the noise and a projection discriminator (Miyato, Koyama 2018,
https://arxiv.org/abs/1802.05637), or the label beside every layer's input as in the authors' code for MNIST; and real
images under a wrong label as further fakes (Reed et al. 2016, https://arxiv.org/abs/1605.05396), unless switched off.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot
from torch.nn.utils.parametrizations import spectral_norm

from ganmodels.families.gan import g_loss
from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.losses import logistic, mismatched
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.dcgan import DcganSpec
from ganmodels.specs.knobs import ConvolutionalKnobs

MOST_CHANNELS = 512
LEAK = 0.2


class Generator(nn.Module):
    """Noise (B, Z) and labels (B,) to images (B, C, H, W) in [−1, 1]."""

    def __init__(self, spec: ConvolutionalKnobs, shape: ImageShape) -> None:
        super().__init__()
        side, doublings = _doublings(shape.size)
        widths = [*reversed(_widths(spec.generator_width, doublings)), shape.channels]
        self.labels = _labels_beside(spec, shape)
        embedding = spec.embedding_size if spec.conditional and not self.labels else 0
        self.embedding = nn.Embedding(shape.labels, embedding) if embedding else None
        self.side = side
        self.first = nn.Linear(spec.latent_size + embedding + self.labels, widths[0] * side**2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[:-1])
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(before + self.labels, after, 4, 2, 1, bias=level == doublings)  # BatchNorm has its own
            for level, (before, after) in enumerate(pairwise(widths), start=1)
        )
        _initialize(self, spec.initial_deviation)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`."""
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(labels)], dim=1)
        features = self.first(_with_labels(z, labels, self.labels))
        features = features.view(z.shape[0], -1, self.side, self.side)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            features = layer(_with_labels(norm(features).relu(), labels, self.labels))
        images: Tensor = features.float().tanh()
        return images


class Discriminator(nn.Module):
    """Images (B, C, H, W) in [−1, 1] and labels (B,) to logits (B,), or labels (B, L) to logits (B, L)."""

    def __init__(self, spec: ConvolutionalKnobs, shape: ImageShape) -> None:
        super().__init__()
        side, halvings = _doublings(shape.size)
        widths = [shape.channels, *_widths(spec.width, halvings + 1)]
        self.labels = _labels_beside(spec, shape)
        normed = spec.discriminator_norm == "batch"
        self.layers = nn.ModuleList(
            nn.Conv2d(before + self.labels, after, 3, 2, 1, bias=not (normed and level))
            for level, (before, after) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width) if normed and level else nn.Identity() for level, width in enumerate(widths[1:])
        )
        features = widths[-1] * math.ceil(side / 2) ** 2
        self.logit = nn.Linear(features + self.labels, 1)
        self.projection = nn.Embedding(shape.labels, features) if spec.conditional and not self.labels else None
        _initialize(self, spec.initial_deviation)
        if spec.discriminator_norm == "spectral":
            for module in [*self.layers, self.logit, *([self.projection] if self.projection else [])]:
                spectral_norm(module)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge each image, as one of each of its labels when conditional."""
        if labels.dim() == 2 and self.labels:
            each = self(images.repeat_interleave(labels.shape[1], dim=0), labels.flatten())
            return each.view(labels.shape)  # type: ignore[no-any-return]  # a module's call is untyped
        features = images
        for layer, norm in zip(self.layers, self.norms, strict=True):
            features = leaky_relu(norm(layer(_with_labels(features, labels, self.labels))), LEAK)
        features = features.flatten(1)
        logits: Tensor = self.logit(_with_labels(features, labels, self.labels))
        if self.projection is not None:
            logits = logits + (self.projection(labels.view(len(labels), -1)) * features[:, None]).sum(dim=2)
        return (logits if labels.dim() == 2 else logits.flatten()).float()  # of packs: fewer than labels


def _doublings(size: int) -> tuple[int, int]:
    """Split `size` into b and k of b·2^k with 4 ≤ b ≤ 7."""
    side, doublings = size, 0
    while side > 7:
        side, doublings = side // 2, doublings + 1
    return side, doublings


def _widths(width: int, count: int) -> list[int]:
    """Double the channels from the image inwards, up to a cap."""
    return [min(width * 2**level, MOST_CHANNELS) for level in range(count)]


def _labels_beside(spec: ConvolutionalKnobs, shape: ImageShape) -> int:
    return shape.labels if spec.conditional and spec.conditioning == "concat" else 0


def _with_labels(features: Tensor, labels: Tensor, count: int) -> Tensor:
    """Put one-hot labels beside each vector, or beside each pixel."""
    if count == 0:
        return features
    beside = one_hot(labels, count).to(features.dtype)
    if features.dim() == 4:
        beside = beside[:, :, None, None].expand(-1, -1, *features.shape[2:])
    return torch.cat([features, beside], dim=1)


def _initialize(network: nn.Module, deviation: float) -> None:
    """Draw weights from N(0, deviation) and BatchNorm's scales from N(1, 0.02) (Radford 2015, section 4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.02)
    # Twice as fast on a CPU: no layout changes around each convolution. (PyTorch's types forget this overload.)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: DcganSpec) -> tuple[Tensor, Metrics]:
    """Score each real image as real and each fake, of the same label, as fake, in separate batches.

    With `mismatch_weight`, a real image under the label of its neighbor in the batch counts as fake too where the two
    labels differ.
    """
    if not (spec.conditional and spec.mismatch_weight):
        real_logits, mismatch = d(batch.real, batch.labels), None
    else:
        others = batch.labels.roll(1)
        real_logits, other_logits = d(batch.real, torch.stack([batch.labels, others], dim=1)).unbind(1)
        mismatch = mismatched(other_logits, batch.labels, others)
    with frozen_statistics(d):
        fake_logits = d(fake, batch.labels)
    loss, metrics = logistic(real_logits, fake_logits), {"d_real": real_logits.mean(), "d_fake": fake_logits.mean()}
    if mismatch is None:
        return loss, metrics
    return loss + spec.mismatch_weight * mismatch, {**metrics, "d_mismatch": mismatch}


FAMILY = Family(
    spec=DcganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (-1.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("normal"),
)
