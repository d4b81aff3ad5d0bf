"""The supervised baseline: a classifier alone, on the very labels that a semi-supervised GAN is granted.

`same_as_sgan` and `mlp` are the networks of sgan's discriminator with K outputs. `googlenet` has four inception blocks
(Szegedy et al. 2014, https://arxiv.org/abs/1409.4842) on top of a stem for small images. Deviations there: narrower and
fewer blocks, BatchNorm after each convolution, no auxiliary classifiers, no local response normalization.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganmodels.augmentation import augment
from ganmodels.families import sgan
from ganmodels.family import Batch, Family, ImageShape, Metrics
from ganmodels.schedules import Rates, share_left
from ganmodels.specs.classifier import ClassifierSpec

STEM = 32  # channels before the first block
LARGEST = 16  # pixels that the stem halves an image to at most
BLOCKS = (64, 96, 128, 160)  # channels after each block


class Classifier(nn.Module):
    """Images (B, C, H, W) to logits (B, K). Labels say nothing here."""

    def __init__(self, spec: ClassifierSpec, shape: ImageShape) -> None:
        super().__init__()
        if spec.network == "mlp":
            self.body, self.head = sgan.perceptron(shape, shape.labels)
        else:
            network = sgan.convolutional if spec.network == "same_as_sgan" else inception
            self.body, self.head = network(shape, shape.labels, spec.dropout)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Say of which class each image is."""
        logits: Tensor = self.head(self.body(images))
        return logits.float()


def inception(shape: ImageShape, outputs: int, dropout: float) -> tuple[nn.Module, nn.Module]:
    """Make the layers from images (B, C, H, W) to features (B, 160), and from these to logits (B, outputs).

    The stem halves an image until 16 pixels are left at most, 8 at least; the second block sees half of these, the
    last half again.
    """
    halvings = _halvings(shape.size)
    layers = [_convolution(shape.channels, STEM, 3, stride=2 if halvings else 1)]
    layers += [_convolution(STEM, STEM, 3, stride=2) for _ in range(1, halvings)]
    for block, (before, after) in enumerate(pairwise((STEM, *BLOCKS))):
        if block in (1, 3):
            layers.append(nn.MaxPool2d(3, 2, padding=1))
        layers.append(Inception(before, after))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), sgan.Dropout(dropout)]
    return sgan.initialized(nn.Sequential(*layers)), sgan.initialized(nn.Linear(BLOCKS[-1], outputs))


def _halvings(size: int) -> int:
    """Count how often `size` is halved, rounded up, until no more than `LARGEST` are left."""
    return 0 if size <= LARGEST else 1 + _halvings(-(-size // 2))


class Inception(nn.Module):
    """Look at each pixel (B, C, H, W) at four scales at once, and put what is found side by side (B, C', H, W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        eighth = after // 8
        self.branches = nn.ModuleList(
            [
                _convolution(before, 2 * eighth, 1),
                nn.Sequential(_convolution(before, 2 * eighth, 1), _convolution(2 * eighth, 4 * eighth, 3)),
                nn.Sequential(_convolution(before, eighth, 1), _convolution(eighth, eighth, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, padding=1), _convolution(before, eighth, 1)),
            ]
        )

    def forward(self, features: Tensor) -> Tensor:
        """Put the four answers side by side."""
        return torch.cat([branch(features) for branch in self.branches], dim=1)


def _convolution(before: int, after: int, kernel: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)  # BatchNorm has its own
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: ClassifierSpec) -> tuple[Tensor, Metrics]:
    """Name the labeled images' classes. Of the other images it learns nothing, and there are no fakes."""
    images = augment(batch.labeled, spec.augment, output_range(spec)) if d.training else batch.labeled
    logits = d(images, batch.labeled_labels)
    return cross_entropy(logits, batch.labeled_labels), {"batch_accuracy": sgan.agreement(logits, batch.labeled_labels)}


def classify(d: nn.Module, images: Tensor) -> Tensor:
    """Give the logits (B, K) of the classes."""
    logits: Tensor = d(images, torch.zeros(len(images), dtype=torch.int64, device=images.device))
    return logits


def output_range(spec: ClassifierSpec) -> tuple[float, float]:
    """Scale images as sgan does for the same network."""
    return (0.0, 1.0) if spec.network == "mlp" else (-1.0, 1.0)


def schedule(spec: ClassifierSpec, step: int) -> Rates:
    """Keep the rate whole until the cooldown, then let it fall to nothing in a straight line."""
    share = share_left(spec.total_steps, step, spec.cooldown)
    return Rates(spec.learning_rate * share, 0.0, spec.ema_decay)


FAMILY = Family(
    spec=ClassifierSpec,
    discriminator=Classifier,
    d_loss=d_loss,
    output_range=output_range,
    score=None,
    classify=classify,
    first_look=sgan.look_first,
    schedule=schedule,
)
