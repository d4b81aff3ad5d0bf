"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), https://arxiv.org/abs/1704.00028.

On DCGAN's networks, with a critic without BatchNorm, which would make the slope at one image depend on the others.
As in `wgan`, the critic's logits are no log-odds, and `wasserstein_estimate` is what falls as the images get better.

Deviations: DCGAN's networks instead of the paper's for MNIST or its residual ones, and no layer norm in the critic.
In the quick preset also narrower networks, an averaged generator, and higher learning rates that fall to 0.
The labels are not the paper's: they come with DCGAN's networks.
"""

import torch
from torch import Tensor, nn

from ganmodels import penalties
from ganmodels.families.dcgan import Discriminator, Generator
from ganmodels.families.wgan import critique, g_loss
from ganmodels.family import Batch, Family, Latent, Metrics
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.wgan_gp import WganGpSpec


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: WganGpSpec) -> tuple[Tensor, Metrics]:
    """Score mean D(fake) − mean D(real), and slopes other than 1 between the two (algorithm 1)."""
    found = critique(d, batch.real, fake, batch.labels)
    # In full precision: a squared gradient of half-precision logits is mostly rounding.
    with frozen_statistics(d), torch.autocast(batch.real.device.type, enabled=False):
        penalty = penalties.interpolated(d, batch.real, fake, batch.labels)
    return spec.penalty_weight * penalty - found["wasserstein_estimate"], {**found, "gradient_penalty": penalty}


FAMILY = Family(
    spec=WganGpSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (-1.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("normal"),
)
