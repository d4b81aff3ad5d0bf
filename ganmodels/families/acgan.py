"""Auxiliary classifier GAN (Odena, Olah, Shlens 2017), https://arxiv.org/abs/1610.09585, on DCGAN's networks.

The generator is told a label; the discriminator is not, but reads it, beside judging whether the image is real. Both
players want the label read rightly: on real and generated images the discriminator, on its own images the generator.

Deviations: `label_weight` before the cross-entropies, 1 in the paper; DCGAN's networks as in `dcgan`, where the paper's
have no strides in every second layer; dropout in the discriminator, but no noise between its layers. In the quick
preset a gradient penalty (R1) on the logit, averaged networks, and learning rates that fall to 0.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, leaky_relu

from ganmodels.families import dcgan
from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.losses import logistic, non_saturating
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.acgan import AcganSpec


class Discriminator(dcgan.Discriminator):
    """Images (B, C, H, W) in [−1, 1] to logits (B,) of being real and class logits (B, K); labels are not looked at."""

    def __init__(self, spec: AcganSpec, shape: ImageShape) -> None:
        super().__init__(spec.model_copy(update={"conditional": False}), shape)
        self.dropout = spec.dropout
        self.classes = nn.Linear(self.logit.in_features, shape.labels)
        nn.init.normal_(self.classes.weight, 0, spec.initial_deviation)
        nn.init.zeros_(self.classes.bias)

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # says more
        """Judge each image and read its label."""
        features = images
        for layer, norm in zip(self.layers, self.norms, strict=True):
            features = leaky_relu(norm(layer(features)), dcgan.LEAK)
            features = dropout(features, self.dropout, self.training)
        features = features.flatten(1)
        return self.logit(features).flatten().float(), self.classes(features).float()


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: AcganSpec) -> tuple[Tensor, Metrics]:
    """Judge real and fake, and read the labels of both: −L_S − λ·L_C (equations 2 and 3).

    `d_accuracy` is the share of the real images whose label is read rightly.
    """
    real_logits, real_classes = d(batch.real, batch.labels)
    with frozen_statistics(d):
        fake_logits, fake_classes = d(fake, batch.labels)
    reading = cross_entropy(real_classes, batch.labels) + cross_entropy(fake_classes, batch.labels)
    accuracy = (real_classes.argmax(dim=1) == batch.labels).float().mean()
    metrics = {"d_real": real_logits.mean(), "d_fake": fake_logits.mean(), "d_accuracy": accuracy}
    return logistic(real_logits, fake_logits) + spec.label_weight * reading, metrics


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: AcganSpec) -> tuple[Tensor, Metrics]:
    """Pass for real and be read as the label asked for: the generator's part of L_S, non-saturating, − λ·L_C."""
    logits, classes = d(fake, batch.labels)
    return non_saturating(logits) + spec.label_weight * cross_entropy(classes, batch.labels), {}


def score(discriminator: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Give the logits (B,) of being real."""
    logits: Tensor = discriminator(images, labels)[0]
    return logits


def classify(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Give the class logits (B, K)."""
    unread = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    classes: Tensor = discriminator(images, unread)[1]
    return classes


FAMILY = Family(
    spec=AcganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (-1.0, 1.0),
    generator=dcgan.Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("normal"),
    score=score,
    classify=classify,
)
