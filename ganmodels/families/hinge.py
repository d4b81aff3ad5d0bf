"""Hinge loss with spectral norm (SNGAN, Miyato et al. 2018), https://arxiv.org/abs/1802.05957, on DCGAN's networks.

The loss is equations 16 and 17 of the paper. Spectral norm divides each weight of the discriminator by an estimate of
its largest singular value, one power iteration for each batch of real images; the generator's step, generated images
and penalties use the estimate as it is.

Deviations: DCGAN's networks as in `dcgan`, where the paper's discriminator has convolutions of stride 1 between those
of stride 2; in the quick preset a gradient penalty (R1), an averaged generator, one discriminator update in a step,
and learning rates that fall to 0.
"""

from torch import Tensor, nn
from torch.nn.functional import relu

from ganmodels.families.dcgan import Discriminator, Generator
from ganmodels.family import Batch, Family, Latent, Metrics
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.hinge import HingeSpec


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: HingeSpec) -> tuple[Tensor, Metrics]:
    """Take E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))): who is right by a margin of 1 pays nothing."""
    on_real = d(batch.real, batch.labels)
    with frozen_statistics(d):
        on_fake = d(fake, batch.labels)
    loss = relu(1 - on_real).mean() + relu(1 + on_fake).mean()
    return loss, {"d_real": on_real.mean(), "d_fake": on_fake.mean()}


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: HingeSpec) -> tuple[Tensor, Metrics]:
    """Take −E D(G(z))."""
    return -d(fake, batch.labels).mean(), {}


FAMILY = Family(
    spec=HingeSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (-1.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("normal"),
)
