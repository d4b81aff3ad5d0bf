"""Categorical GAN (Springenberg 2016), https://arxiv.org/abs/1511.06390: K classes, none of which means "fake".

The discriminator is sure of each real image and unsure of each generated one, and gives real images evenly to its
classes; the generator wants sure answers, evenly spread. Both minimize: what the paper maximizes is negated here, but
never the cross-entropy on labeled images, which it adds to what is minimized.

Deviations: the generator of `conv` that doubles its image (`strided`). In the quick preset of `mlp` also more noise, on
the images too; images translated before the discriminator sees them, each real one twice, and answers that ought to
agree (as Hu et al. 2017, https://arxiv.org/abs/1702.08720, ask of clusters); larger learning rates that fall to 0; and
an averaged discriminator that answers: the paper reports the raw one. `conv` follows a write-up's networks for pictures
of 256 pixels, with the paper's BatchNorm in all layers of the discriminator and all but the last of the generator, and
pools only while the image stays 4 pixels wide.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, elu, leaky_relu, log_softmax, pad
from torch.optim import Adam, Optimizer

from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.networks import Noise, draw_as_glorot
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.catgan import CatganSpec

LEAK = 0.1
GENERATOR_WIDTHS = (500, 500, 1000)
DISCRIMINATOR_WIDTHS = (1000, 500, 250, 250, 250)
SMALLEST_SIDE = 4  # no pool of `conv` makes an image smaller
MOST_CHANNELS = 256


class MlpGenerator(nn.Module):
    """Noise (B, Z) to images (B, C, H, W) in [0, 1]."""

    def __init__(self, spec: CatganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.shape = shape
        widths = (spec.latent_size, *GENERATOR_WIDTHS)
        self.hidden = nn.ModuleList(nn.Linear(before, after, bias=False) for before, after in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.last = nn.Linear(widths[-1], shape.channels * shape.size**2)
        draw_as_glorot(self)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`; it knows no labels."""
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            z = leaky_relu(norm(layer(z)), LEAK)
        images: Tensor = self.last(z).float().sigmoid()
        return images.view(-1, self.shape.channels, self.shape.size, self.shape.size)


class MlpDiscriminator(nn.Module):
    """Images (B, C, H, W) in [0, 1] to class logits (B, K)."""

    def __init__(self, spec: CatganSpec, shape: ImageShape) -> None:
        super().__init__()
        widths = (shape.channels * shape.size**2, *DISCRIMINATOR_WIDTHS)
        self.hidden = nn.ModuleList(nn.Linear(before, after, bias=False) for before, after in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.last = nn.Linear(widths[-1], spec.clusters or shape.labels)
        self.input_noise, self.layer_noise = Noise(spec.input_noise), Noise(spec.layer_noise)
        draw_as_glorot(self)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Classify each image; labels say nothing here."""
        features = self.input_noise(images.flatten(1))
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            features = self.layer_noise(leaky_relu(norm(layer(features)), LEAK))
        logits: Tensor = self.last(features)
        return logits.float()


class StridedGenerator(nn.Module):
    """Noise (B, Z) to images (B, C, H, W) in [0, 1], H of 4 to 7 pixels doubled until it is large enough."""

    def __init__(self, spec: CatganSpec, shape: ImageShape) -> None:
        super().__init__()
        doublings = math.ceil(math.log2(shape.size / 7))
        self.side = shape.size >> doublings
        inwards = [min(spec.width * 2**level, MOST_CHANNELS) for level in range(doublings)]
        widths = [*reversed(inwards), shape.channels]
        self.first = nn.Linear(spec.latent_size, widths[0] * self.side**2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[:-1])
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, 2, 1, bias=level == doublings)  # BatchNorm has its own
            for level, (before, after) in enumerate(pairwise(widths), start=1)
        )
        draw_as_glorot(self)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`; it knows no labels."""
        features = self.first(z).view(len(z), -1, self.side, self.side)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            features = layer(leaky_relu(norm(features), LEAK))
        images: Tensor = features.float().sigmoid()
        return images


class NoiseImageGenerator(nn.Module):
    """Noise (B, H·W), one number per pixel, to images (B, C, H, W) in [0, 1], their last row and column black.

    The first kernel is even: as TensorFlow's SAME does, its window reaches 3 pixels back and 4 ahead.
    """

    def __init__(self, spec: CatganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.size = shape.size
        first, second, third = 6 * spec.width, 4 * spec.width, 4 * spec.width
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, first, 8, bias=False),
                nn.Conv2d(first, second, 5, padding=2, bias=False),
                nn.Conv2d(second, third, 5, padding=2, bias=False),
            ]
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in (first, second, third))
        self.last = nn.Conv2d(third, shape.channels, 5, padding=2)
        draw_as_glorot(self)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`; it knows no labels."""
        features = pad(z.view(-1, 1, self.size, self.size), (3, 4, 3, 4))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            features = elu(norm(layer(features)))
        images: Tensor = self.last(features).float().sigmoid()
        return pad(images[:, :, :-1, :-1], (0, 1, 0, 1))


class ConvDiscriminator(nn.Module):
    """Images (B, C, H, W) in [0, 1] to class logits (B, K): the mean of linear answers at every place."""

    def __init__(self, spec: CatganSpec, shape: ImageShape) -> None:
        super().__init__()
        widths = [shape.channels, *(spec.width * 2**level for level in range(5))]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
            for (before, after), kernel in zip(pairwise(widths), (5, 3, 3, 3, 3), strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.last = nn.Conv2d(widths[-1], spec.clusters or shape.labels, 3, padding=1)
        self.input_noise, self.layer_noise = Noise(spec.input_noise), Noise(spec.layer_noise)
        draw_as_glorot(self)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Classify each image; labels say nothing here."""
        features = self.input_noise(images)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            features = self.layer_noise(elu(norm(layer(features))))
            if features.shape[-1] >= 2 * SMALLEST_SIDE:
                features = avg_pool2d(features, 2)
        logits: Tensor = self.last(features).float()  # no ELU: it would keep every logit above −1
        # Not `mean`: over an odd side ONNX Runtime sums it in an order that depends on the batch.
        return avg_pool2d(logits, logits.shape[-1]).flatten(1)


def generator(spec: CatganSpec, shape: ImageShape) -> nn.Module:
    """Make the generator that the spec names."""
    if spec.network == "mlp":
        return MlpGenerator(spec, shape)
    return {"strided": StridedGenerator, "noise_image": NoiseImageGenerator}[spec.generator](spec, shape)


def discriminator(spec: CatganSpec, shape: ImageShape) -> nn.Module:
    """Make the discriminator that the spec names."""
    return {"mlp": MlpDiscriminator, "conv": ConvDiscriminator}[spec.network](spec, shape)


def entropy(logits: Tensor) -> Tensor:
    """Take E H(p(y | x)) of logits (B, K), in nats: how unsure the answers are one by one."""
    log_p = log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()


def marginal_entropy(logits: Tensor) -> Tensor:
    """Take H(E p(y | x)) of logits (B, K), in nats: how even the classes are over the batch."""
    log_p = log_softmax(logits, dim=1).logsumexp(dim=0) - math.log(len(logits))
    return -(log_p.exp() * log_p).sum()


def disagreement(logits: Tensor, others: Tensor) -> Tensor:
    """Take the mean of KL(p ‖ q) and KL(q ‖ p) between answers (B, K) to the same images, in nats."""
    log_p, log_q = log_softmax(logits, dim=1), log_softmax(others, dim=1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=1).mean() / 2


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: CatganSpec) -> tuple[Tensor, Metrics]:
    """Be sure of each real image, even over all of them, unsure of each fake, and right about the labeled ones.

    With a `consistency_weight`, real images are looked at twice in training, disturbed anew, and the answers ought to
    agree.
    """
    looks = [d(batch.real, batch.labels) for _ in range(2 if spec.consistency_weight > 0 and d.training else 1)]
    real_logits = torch.cat(looks)
    with frozen_statistics(d):
        fake_logits = d(fake, batch.labels)
    metrics = {
        "entropy_real": entropy(real_logits),
        "entropy_fake": entropy(fake_logits),
        "marginal_entropy": marginal_entropy(real_logits),
    }
    even = spec.marginal_weight * metrics["marginal_entropy"]
    loss = metrics["entropy_real"] - even - metrics["entropy_fake"]
    if len(looks) > 1:
        metrics["disagreement"] = disagreement(*looks)
        loss = loss + spec.consistency_weight * metrics["disagreement"]
    if len(batch.labeled) == 0:
        return loss, metrics
    with frozen_statistics(d):
        labeled_logits = d(batch.labeled, batch.labeled_labels)
    metrics["class_loss"] = cross_entropy(labeled_logits, batch.labeled_labels)
    metrics["batch_accuracy"] = (labeled_logits.argmax(1) == batch.labeled_labels).float().mean()
    return loss + spec.label_weight * metrics["class_loss"], metrics


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: CatganSpec) -> tuple[Tensor, Metrics]:
    """Draw images of which the discriminator is sure, evenly over its classes."""
    logits = d(fake, batch.labels)
    marginal = marginal_entropy(logits)
    return entropy(logits) - marginal, {"marginal_entropy_fake": marginal}


def classify(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Give the class logits (B, K) of images (B, C, H, W)."""
    logits: Tensor = discriminator(images, torch.zeros(len(images), dtype=torch.int64, device=images.device))
    return logits


def decaying_adam(network: nn.Module, spec: CatganSpec, rate: float) -> Optimizer:
    """Make Adam with an L2 penalty in its gradients: at these rates, decay apart from them would do nothing."""
    decays = (spec.beta1, spec.beta2)
    return Adam(network.parameters(), lr=rate, betas=decays, weight_decay=spec.weight_decay, fused=True)


FAMILY = Family(
    spec=CatganSpec,
    discriminator=discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (0.0, 1.0),
    generator=generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("uniform", 0.0, 1.0),
    score=None,
    classify=classify,
    optimizer=decaying_adam,
)
