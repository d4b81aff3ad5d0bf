"""Wasserstein GAN (Arjovsky et al. 2017), https://arxiv.org/abs/1701.07875, on the networks of `gan`.

The discriminator is a critic: its logits are no log-odds, and only differences between them mean anything.
The losses of either player say nothing by themselves; `wasserstein_estimate` is what falls as the images get better.

Deviations: fully connected networks with one hidden layer of 128 where the paper has DCGAN's or four layers of 512,
and the same five critic steps from the first step on. RMSProp's decay is 0.99, as in the authors' code; TensorFlow's
is 0.9. In the quick preset also two hidden layers of 512, parameters clipped to ±0.03, six times the rates, which fall
to 0, and an averaged generator.
"""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, RMSprop

from ganmodels.families.gan import Discriminator, Generator
from ganmodels.family import Batch, Family, Latent, Metrics
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.wgan import WganSpec


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: WganSpec) -> tuple[Tensor, Metrics]:
    """Score mean D(fake) − mean D(real): the critic looks for the largest difference (algorithm 1)."""
    found = critique(d, batch.real, fake, batch.labels)
    return -found["wasserstein_estimate"], found


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: WganSpec) -> tuple[Tensor, Metrics]:
    """Score −mean D(fake)."""
    return -d(fake, batch.labels).mean(), {}


def critique(d: nn.Module, real: Tensor, fake: Tensor, labels: Tensor) -> Metrics:
    """Give mean D(real), mean D(fake) and their difference; `labels` (B,) are those of both."""
    d_real = d(real, labels).mean()
    with frozen_statistics(d):
        d_fake = d(fake, labels).mean()
    return {"d_real": d_real, "d_fake": d_fake, "wasserstein_estimate": d_real - d_fake}


def rmsprop(network: nn.Module, spec: WganSpec, rate: float) -> Optimizer:
    """Make RMSProp: the paper saw Adam's momentum make the critic's training unstable (section 4.3)."""
    return RMSprop(network.parameters(), lr=rate, alpha=0.99)


@torch.no_grad()
def clip(network: nn.Module, spec: WganSpec) -> None:
    """Cut every parameter of the critic, biases too, to [−clip, clip]: that bounds its slope."""
    for parameter in network.parameters():
        parameter.clamp_(-spec.clip, spec.clip)


FAMILY = Family(
    spec=WganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (0.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("uniform", -1.0, 1.0),
    optimizer=rmsprop,
    after_update=clip,
)
