"""Least squares GAN (Mao et al. 2017), https://arxiv.org/abs/1611.04076, on DCGAN's networks.

Its 0/1 coding (equation 9): the discriminator is drawn to 1 on real and 0 on generated images, the generator draws it
to 1. Neither output is squashed. At its best D(x) = p(real | x) (equation 5 with a = 0, b = 1).

Deviations: DCGAN's networks as in `dcgan`; labels, if asked for, by its projection or concatenation, where the paper
embeds them for a data set of thousands of classes. R1, which the quick preset has, is taken of `score`, the output on
the scale of log-odds, so that a weight means what it means elsewhere: 16 times what it would of the output itself.
"""

from torch import Tensor, nn

from ganmodels.families.dcgan import Discriminator, Generator
from ganmodels.family import Batch, Family, Latent, Metrics
from ganmodels.normalization import frozen_statistics
from ganmodels.specs.lsgan import LsganSpec

REAL, FAKE = 1.0, 0.0


def d_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: LsganSpec) -> tuple[Tensor, Metrics]:
    """Take ½E(D(x) − 1)² + ½E D(G(z))²."""
    on_real = d(batch.real, batch.labels)
    with frozen_statistics(d):
        on_fake = d(fake, batch.labels)
    loss = ((on_real - REAL).square().mean() + (on_fake - FAKE).square().mean()) / 2
    return loss, {"d_real": on_real.mean(), "d_fake": on_fake.mean()}


def g_loss(d: nn.Module, batch: Batch, fake: Tensor, spec: LsganSpec) -> tuple[Tensor, Metrics]:
    """Take ½E(D(G(z)) − 1)²."""
    return (d(fake, batch.labels) - REAL).square().mean() / 2, {}


def score(discriminator: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Give logits (B,) that agree with D(x) = p(real | x), to first order, where it cannot tell: 4 (D(x) − ½)."""
    estimate: Tensor = discriminator(images, labels)
    return 4 * (estimate - (REAL + FAKE) / 2)


FAMILY = Family(
    spec=LsganSpec,
    discriminator=Discriminator,
    d_loss=d_loss,
    output_range=lambda spec: (-1.0, 1.0),
    generator=Generator,
    g_loss=g_loss,
    latent=lambda spec: Latent("normal"),
    score=score,
)
