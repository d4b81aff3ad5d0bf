"""R3GAN's loss (Huang et al. 2024), https://arxiv.org/abs/2501.05441, of images and of points of the plane.

Each real image is to score above the generated one beside it, of the same label, and D's gradient to vanish on either
side (R1 and R2). Logits mean something in pairs only, so none is served, and the last layer has no bias, as in the
authors' code (https://github.com/brownvc/R3GAN, commit 19a7ddf). There `R3GAN/Trainer.py` has the loss,
`training/training_loop.py` the cosine and the average's half-life, `train.py` the values for each data set.

Deviations: the loss and the schedules only, on DCGAN's networks and initialization, and on fully connected ones for
points; no augmentation unless asked for, where theirs grows along the same cosine.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot, softplus

from ganmodels.families import dcgan
from ganmodels.family import Batch, Family, ImageShape, Latent, Metrics
from ganmodels.normalization import frozen_statistics
from ganmodels.penalties import squared_norm
from ganmodels.schedules import Rates, share_left
from ganmodels.specs.r3gan import R3ganSpec

POINT = 1  # pixels


class Discriminator(dcgan.Discriminator):
    """DCGAN's, without the one weight that a difference of logits cannot move."""

    def __init__(self, spec: R3ganSpec, shape: ImageShape) -> None:
        super().__init__(spec, shape)
        self.logit.register_parameter("bias", None)


class PointGenerator(nn.Module):
    """Noise (B, Z) and labels (B,) to points (B, C, 1, 1) in [−1, 1]."""

    def __init__(self, spec: R3ganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.labels = shape.labels if spec.conditional else 0
        self.layers = _layers([spec.latent_size + self.labels, *spec.hidden, shape.channels])

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Draw one point per row of `z`."""
        points = _through(self.layers, _beside(z, labels, self.labels)).float().tanh()
        return points[:, :, None, None]


class PointDiscriminator(nn.Module):
    """Points (B, C, 1, 1) in [−1, 1] and labels (B,) to logits (B,)."""

    def __init__(self, spec: R3ganSpec, shape: ImageShape) -> None:
        super().__init__()
        self.labels = shape.labels if spec.conditional else 0
        self.layers = _layers([shape.channels + self.labels, *spec.hidden, 1])
        self.layers[-1].register_parameter("bias", None)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """Judge each point, as one of its label when conditional."""
        return _through(self.layers, _beside(points.flatten(1), labels, self.labels)).flatten().float()


def _layers(widths: list[int]) -> nn.ModuleList:
    layers = [nn.Linear(before, after) for before, after in pairwise(widths)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, dcgan.LEAK)
        nn.init.uniform_(layer.bias, -1, 1)  # spreads the kinks over the plane: at 0 all would pass through its middle
    return nn.ModuleList(layers)


def _through(layers: nn.ModuleList, features: Tensor) -> Tensor:
    for layer in layers[:-1]:
        features = leaky_relu(layer(features), dcgan.LEAK)
    last: Tensor = layers[-1](features)
    return last


def _beside(vectors: Tensor, labels: Tensor, count: int) -> Tensor:
    return torch.cat([vectors, one_hot(labels, count).to(vectors.dtype)], dim=1) if count else vectors


def generator(spec: R3ganSpec, shape: ImageShape) -> nn.Module:
    """Choose the network by what it draws."""
    return PointGenerator(spec, shape) if shape.size == POINT else dcgan.Generator(spec, shape)


def discriminator(spec: R3ganSpec, shape: ImageShape) -> nn.Module:
    """Choose the network by what it judges."""
    return PointDiscriminator(spec, shape) if shape.size == POINT else Discriminator(spec, shape)


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: R3ganSpec) -> tuple[Tensor, Metrics]:
    """Take E softplus(D(G(z)) − D(x)) + γ/2 (E‖∇D(x)‖² + E‖∇D(G(z))‖²) (equation 2 and section 2.2).

    In full precision throughout: a squared gradient of half-precision logits is mostly rounding.
    """
    real, fake = batch.real.detach().requires_grad_(), fake.detach().requires_grad_()
    with torch.autocast(real.device.type, enabled=False):
        on_real = d(real, batch.labels)
        with frozen_statistics(d):
            on_fake = d(fake, batch.labels)
        r1, r2 = _penalty(on_real, real), _penalty(on_fake, fake)
        loss = softplus(on_fake - on_real).mean() + penalty_weight(spec, batch.update) / 2 * (r1 + r2)
    return loss, {"d_real": on_real.mean(), "d_fake": on_fake.mean(), "r1": r1, "r2": r2}


def _penalty(logits: Tensor, images: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return squared_norm(gradient, logits)


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: R3ganSpec) -> tuple[Tensor, Metrics]:
    """Take E softplus(D(x) − D(G(z))): score above the real image beside."""
    with torch.no_grad():
        on_real = d(batch.real, batch.labels)
    return softplus(on_real - d(fake, batch.labels)).mean(), {}


def penalty_weight(spec: R3ganSpec, update: int) -> float:
    """Give γ at one of the discriminator's updates, counted from 1."""
    gone = share_gone(spec, -(-update // spec.discriminator_steps))
    return spec.penalty_weight + gone * (spec.final_penalty_weight - spec.penalty_weight)


def schedule(spec: R3ganSpec, step: int) -> Rates:
    """Move every rate along the cosine; the average's half-life grows from nothing to that of `ema_decay`."""
    gone = share_gone(spec, step)
    left = (1 + gone * (spec.final_rate_share - 1)) * share_left(spec.total_steps, step, spec.cooldown)
    return Rates(
        spec.discriminator_learning_rate * left,
        spec.generator_learning_rate * left,
        spec.ema_decay ** (1 / gone) if gone > 0 else 0.0,
        spec.beta2 + gone * (spec.final_beta2 - spec.beta2),
    )


def share_gone(spec: R3ganSpec, step: int) -> float:
    """Say how far along its cosine the burn-in is, from 0 at the first step to 1 at its end."""
    steps = spec.burn_in * spec.total_steps
    return (1 - math.cos(math.pi * min(1.0, (step - 1) / steps))) / 2 if steps > 0 else 1.0


FAMILY = Family(
    spec=R3ganSpec,
    discriminator=discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (-1.0, 1.0),
    generator=generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("normal"),
    schedule=schedule,
)
