"""The ledger's faults of CatGAN: each one, written here, fails the check that the family passes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, elu, nll_loss

from ganmodels.families import catgan
from ganmodels.family import Batch, Family, ImageShape, Metrics
from ganmodels.specs import SPEC
from ganmodels.specs.catgan import CatganSpec

SHAPE = ImageShape(1, 8, 4)
LABELS = torch.arange(4)
Loss = Callable[[nn.Module, Batch, Tensor, CatganSpec], tuple[Tensor, Metrics]]


def asked(**knobs: object) -> CatganSpec:
    spec = SPEC.validate_python({"family": "catgan", "dataset": "digits", **knobs})
    assert isinstance(spec, CatganSpec)
    return spec


class Told(nn.Module):
    """A discriminator that finds its four logits in the four pixels of an image."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.flatten(1)


def loss_of(loss: Loss, labeled: Tensor) -> Tensor:
    """Give the loss of logits (4, 4) for labeled images of the classes 0 to 3, unsure of all others."""
    unsure = torch.zeros(4, 1, 2, 2)
    value, _ = loss(Told(), Batch(unsure, LABELS, labeled.view(4, 1, 2, 2), LABELS), unsure, asked())
    return value


def wrong_labels_cost_more(loss: Loss) -> bool:
    right, wrong = 5 * torch.eye(4), 5 * torch.eye(4).roll(1, 0)
    return bool(loss_of(loss, right) < loss_of(loss, wrong))


def everything_negated(d: nn.Module, batch: Batch, fake: Tensor, spec: CatganSpec) -> tuple[Tensor, Metrics]:
    """Turn the paper's maximum into a minimum by negating what was to be minimized, too."""
    unsupervised, _ = catgan.d_loss(d, Batch(batch.real, batch.labels), fake, spec)
    labeled = cross_entropy(d(batch.labeled, batch.labeled_labels), batch.labeled_labels)
    return unsupervised - spec.label_weight * labeled, {}


def test_a_negated_cross_entropy_rewards_wrong_labels() -> None:
    """Item 1: the objective is negated, the cross-entropy is not."""
    assert wrong_labels_cost_more(catgan.d_loss)
    assert not wrong_labels_cost_more(everything_negated)


def the_confidently_wrong_are_corrected(loss: Loss) -> bool:
    logits = (100 * torch.eye(4).roll(1, 0)).requires_grad_()
    loss_of(loss, logits).backward()
    assert logits.grad is not None
    return bool(logits.grad.abs().max() > 0.1)


def clipped(d: nn.Module, batch: Batch, fake: Tensor, spec: CatganSpec) -> tuple[Tensor, Metrics]:
    """Keep log(p) finite by clipping p."""
    unsupervised, _ = catgan.d_loss(d, Batch(batch.real, batch.labels), fake, spec)
    p = d(batch.labeled, batch.labeled_labels).softmax(dim=1).clamp(1e-7, 1 - 1e-7)
    return unsupervised + spec.label_weight * nll_loss(p.log(), batch.labeled_labels), {}


def test_a_clipped_softmax_never_corrects_who_is_sure_and_wrong() -> None:
    """Item 4: the gradient of a clipped probability is 0."""
    assert the_confidently_wrong_are_corrected(catgan.d_loss)
    assert not the_confidently_wrong_are_corrected(clipped)


class EluLogits(catgan.ConvDiscriminator):
    """Ends in ELU like every other layer."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return elu(super().forward(images, labels))


def classes_can_be_ruled_out(network: catgan.ConvDiscriminator) -> bool:
    assert network.last.bias is not None
    with torch.no_grad():
        network.last.bias[0] = -50.0
        p = network.eval()(torch.rand(4, 1, 8, 8), LABELS).softmax(dim=1)
    return bool(p[:, 0].max() < 1e-6)


def test_elu_on_the_logits_keeps_every_class_possible() -> None:
    """Item 4: an ELU ends at −1, so no class can be ruled out."""
    torch.manual_seed(0)
    spec = asked(network="conv")
    assert classes_can_be_ruled_out(catgan.ConvDiscriminator(spec, SHAPE))
    assert not classes_can_be_ruled_out(EluLogits(spec, SHAPE))


class EluImages(catgan.NoiseImageGenerator):
    """Ends in ELU like every other layer."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return elu(super().forward(z, labels).logit(eps=1e-6))


def stays_in_range(family: Family, spec: CatganSpec, network: nn.Module) -> bool:
    low, high = family.output_range(spec)
    with torch.no_grad():
        images = network(5 * torch.randn(8, spec.latent_size), LABELS.repeat(2))
    return bool(low <= images.min() and images.max() <= high)


@pytest.mark.parametrize("seed", [0, 1])
def test_elu_on_the_images_leaves_the_range_of_the_data(seed: int) -> None:
    """Item 4: what is drawn must look like what the discriminator is shown, numbers from 0 to 1."""
    torch.manual_seed(seed)
    spec = asked(network="conv", generator="noise_image")
    assert stays_in_range(catgan.FAMILY, spec, catgan.NoiseImageGenerator(spec, SHAPE))
    assert not stays_in_range(catgan.FAMILY, spec, EluImages(spec, SHAPE))
