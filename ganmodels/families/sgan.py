"""Semi-supervised GAN (Odena 2016), https://arxiv.org/abs/1606.01583: a discriminator with K classes and a fake one.

The losses are those of Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 5: with the fake class's logit
at 0 and Z = logsumexp of the K others, log p(real) = Z − softplus(Z) and log p(fake) = −softplus(Z), so that Z is the
logit of being real. Unlabeled images are drawn apart from the labeled ones, which have a cross-entropy over K classes
and are not counted again as real ones.

Deviations: no biases before BatchNorm; in `network: mlp` the generator's BatchNorm has scales.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, pad, softplus
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import cached, register_parametrization

from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.losses import logistic, non_saturating
from ganmodels.networks import Noise, draw_as_glorot
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.sgan import SganSpec

LEAK = 0.2
HIDDEN = (1000, 500, 250, 250, 250)  # the discriminator's of `network: mlp`
GENERATOR_HIDDEN = 500
INPUT_NOISE, NOISE = 0.3, 0.5  # standard deviations of what is added to the pixels and between the layers
FIXED, LEARNED = "parametrizations.weight.0.lengths", "parametrizations.weight.original0"  # lengths of weights' rows
DEVIATION = 0.1  # of the first weights of `network: mlp`, whose length decides how fast their rows turn
LANES = 16  # ONNX Runtime rounds the last bit of softplus otherwise where a row's length is no multiple of it


class Judgment(NamedTuple):
    """What the discriminator says of images: logits (B, K) of the classes, (B,) of being real, features (B, F)."""

    classes: Tensor
    realness: Tensor
    features: Tensor


class Discriminator(nn.Module):
    """Images (B, C, H, W), in [−1, 1] for `conv` and [0, 1] for `mlp`, to a judgment. Labels say nothing here."""

    def __init__(self, spec: SganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.fake_unit = spec.fake_class == "unit"
        outputs = shape.labels + self.fake_unit
        conv = spec.network == "conv"
        self.body, self.head = convolutional(shape, outputs, spec.dropout) if conv else perceptron(shape, outputs)

    def forward(self, images: Tensor, labels: Tensor) -> Judgment:
        """Say of which class each image is and how real it looks."""
        features = self.body(images)
        logits = self.head(features).float()
        if not self.fake_unit:
            return Judgment(logits, logits.logsumexp(dim=1), features.float())
        classes, fake = logits[:, :-1], logits[:, -1]
        return Judgment(classes, classes.logsumexp(dim=1) - fake, features.float())


def convolutional(shape: ImageShape, outputs: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    """Make the layers from images (B, C, 28, 28) to features (B, 512), and from these to logits (B, outputs).

    28, 14, 7, 4 and 2 pixels; padded as TensorFlow's SAME does, the odd pixel right and below. The matched features
    are not normalized.
    """
    body = nn.Sequential(
        *(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(shape.channels, 32, 5, 2), nn.LeakyReLU(LEAK), Dropout(dropout)),
        *(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(32, 64, 3, 2, bias=False), _norm(64), nn.LeakyReLU(LEAK)),
        *(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(64, 128, 2, 2, bias=False), _norm(128), nn.LeakyReLU(LEAK)),
        *(Dropout(dropout), nn.Conv2d(128, 128, 2, 2), nn.LeakyReLU(LEAK), nn.Flatten()),
    )
    return initialized(body), initialized(nn.Linear(512, outputs))


def perceptron(shape: ImageShape, outputs: int) -> tuple[nn.Module, nn.Module]:
    """Make the layers from images (B, C, H, W) to features (B, 250), and from these to logits (B, outputs)."""
    widths = [shape.channels * shape.size**2, *HIDDEN]
    layers: list[nn.Module] = [nn.Flatten()]
    for level, (before, after) in enumerate(pairwise(widths)):
        linear = _linear(before, after)
        register_parametrization(linear, "weight", RowNorm(after))
        layers += [Noise(NOISE if level else INPUT_NOISE), linear, nn.ReLU()]
    return nn.Sequential(*layers), nn.Sequential(Noise(NOISE), weight_norm(_linear(widths[-1], outputs)))


def _linear(before: int, after: int) -> nn.Linear:
    layer = nn.Linear(before, after)
    nn.init.normal_(layer.weight, 0, DEVIATION)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def look_first(network: nn.Module, images: Tensor, spec: Any) -> None:
    """Give each unit of `network: mlp` a length and a bias that let it vary by 1 about 0 over images (N, C, H, W).

    Salimans, Kingma 2016, section 3; https://arxiv.org/abs/1602.07868. Layer by layer, as in training, noise and all.
    """
    if spec.network != "mlp":
        return
    features = images
    for layer in (*network.get_submodule("body").children(), *network.get_submodule("head").children()):
        features = layer(features)
        if isinstance(layer, nn.Linear):
            deviation, mean = torch.std_mean(features, dim=0)
            lengths = dict(layer.named_buffers()) | dict(layer.named_parameters())
            lengths[FIXED if FIXED in lengths else LEARNED].div_(deviation[:, None])
            layer.bias.copy_(-mean / deviation)
            features = (features - mean) / deviation


class RowNorm(nn.Module):
    """Weights (out, in) whose rows point anywhere but keep their lengths: no layer can grow to drown the noise."""

    lengths: Tensor

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.register_buffer("lengths", torch.ones(rows, 1))

    def forward(self, weight: Tensor) -> Tensor:
        """Bring each row to its length."""
        scaled: Tensor = weight * (self.lengths / weight.norm(dim=1, keepdim=True))
        return scaled


class Dropout(nn.Module):
    """Leave out a share of the activations in training, none in evaluation: as PyTorch's own, in half the CPU time."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Zero each value with probability `share`; scale the others so that the mean stays."""
        if not self.training:
            return values
        kept = torch.rand_like(values, dtype=torch.float32) >= self.share
        return values * kept.to(values.dtype).div_(1 - self.share)


def generator(spec: SganSpec, shape: ImageShape) -> nn.Module:
    """Make the generator that goes with the discriminator's network."""
    return ConvolutionalGenerator(spec, shape) if spec.network == "conv" else FullyConnectedGenerator(spec, shape)


class ConvolutionalGenerator(nn.Module):
    """Noise (B, Z) to images (B, C, 28, 28) in [−1, 1], by way of 1, 2, 5 and 12 pixels. Labels say nothing here."""

    def __init__(self, spec: SganSpec, shape: ImageShape) -> None:
        super().__init__()
        layers = nn.Sequential(
            nn.Unflatten(1, (spec.latent_size, 1, 1)),
            *(nn.ConvTranspose2d(spec.latent_size, 100, 2, bias=False), _norm(100), nn.ReLU()),
            *(nn.ConvTranspose2d(100, 64, 3, 2, bias=False), _norm(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, 2, bias=False), _norm(32), nn.ReLU()),
            nn.ConvTranspose2d(32, shape.channels, 6, 2),
        )
        self.layers = initialized(layers)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`."""
        images: Tensor = self.layers(z).float().tanh()
        return images


class FullyConnectedGenerator(nn.Module):
    """Noise (B, Z) to images (B, C, H, W) in [0, 1]. Labels say nothing here."""

    def __init__(self, spec: SganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.shape = (shape.channels, shape.size, shape.size)
        widths = [spec.latent_size, GENERATOR_HIDDEN, GENERATOR_HIDDEN]
        self.layers = nn.ModuleList(
            initialized(nn.Linear(before, GENERATOR_HIDDEN, bias=False)) for before in widths[:-1]
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(GENERATOR_HIDDEN) for _ in self.layers)
        self.pixels = weight_norm(initialized(nn.Linear(GENERATOR_HIDDEN, shape.channels * shape.size**2)))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per row of `z`."""
        features = z
        for layer, norm in zip(self.layers, self.norms, strict=True):
            features = _softplus(norm(layer(features)))
        images: Tensor = self.pixels(features).float().sigmoid()
        return images.view(-1, *self.shape)


def _softplus(rows: Tensor) -> Tensor:
    """Take softplus of rows (B, N) as part of rows long enough to be rounded alike in a batch of any size."""
    width = rows.shape[1]
    return softplus(pad(rows, (0, -width % LANES)))[:, :width]


def initialized(network: nn.Module) -> nn.Module:
    """Draw the first weights, and lay the network out for convolutions."""
    draw_as_glorot(network)
    # Faster on a CPU: no layout changes around each convolution. (PyTorch's types forget this overload.)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _norm(channels: int) -> nn.BatchNorm2d:
    """Normalize as TensorFlow does: the running statistics keep 0.99 of what they were."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def score(d: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Give the logits (B,) of being real."""
    judged: Judgment = d(images, labels)
    return judged.realness


def classify(d: nn.Module, images: Tensor) -> Tensor:
    """Give the logits (B, K) of the classes of real images."""
    judged: Judgment = d(images, torch.zeros(len(images), dtype=torch.int64, device=images.device))
    return judged.classes


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: SganSpec) -> tuple[Tensor, Metrics]:
    """Name the labeled images' classes, and score unlabeled real images as real and fakes as fake.

    CE(labeled) + w·(−E log p(real | x) − E log p(fake | G(z))); each of the three has a batch of its own.
    """
    with cached():  # rows are brought to their lengths once for all looks, which saves `network: mlp` a sixth of a step
        real = score(d, batch.real, batch.labels)
        with frozen_statistics(d):
            drawn = score(d, fake, batch.labels)
            named = d(batch.labeled, batch.labeled_labels).classes if len(batch.labeled) else None
    loss, metrics = spec.unlabeled_weight * logistic(real, drawn), {"d_real": real.mean(), "d_fake": drawn.mean()}
    if named is None:
        return loss, metrics
    class_loss = cross_entropy(named, batch.labeled_labels)
    accuracy = agreement(named, batch.labeled_labels)
    return loss + class_loss, {**metrics, "class_loss": class_loss, "batch_accuracy": accuracy}


def agreement(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the share of rows of `logits` (B, K) that are highest at their label (B,)."""
    return (logits.argmax(dim=1) == labels).float().mean()


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: SganSpec) -> tuple[Tensor, Metrics]:
    """Bring the mean features of fakes to those of real images (Salimans 2016, section 3.1), or pass for real."""
    matching = spec.generator_loss != "non_saturating"
    with cached():
        drawn: Judgment = d(fake, batch.labels)
        real: Judgment | None = d(batch.real, batch.labels) if matching else None
    loss = torch.zeros((), device=fake.device)
    if spec.generator_loss != "feature_matching":
        loss = loss + non_saturating(drawn.realness)
    if real is not None:
        loss = loss + mse_loss(drawn.features.mean(dim=0), real.features.mean(dim=0))
    return loss, {}


FAMILY = Family(
    spec=SganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (-1.0, 1.0) if spec.network == "conv" else (0.0, 1.0),
    generator=generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("uniform", -1.0 if spec.network == "conv" else 0.0, 1.0),
    score=score,
    classify=classify,
    first_look=look_first,
)
