from typing import Any

import pytest
import torch
from torch import nn

from ganmodels.families.dcgan import MOST_CHANNELS, Discriminator, Generator
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "dcgan", "dataset": "digits", "width": 4, **knobs})


@pytest.mark.parametrize("size", [8, 10, 14, 20, 28, 32, 112, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_can_be_drawn_and_judged(channels: int, size: int) -> None:
    spec, shape = asked(conditional=True), ImageShape(channels, size, 3)
    labels = torch.tensor([0, 2])
    with torch.no_grad():
        images = Generator(spec, shape).eval()(torch.randn(2, spec.latent_size), labels)
        logits = Discriminator(spec, shape)(images, labels)
    assert images.shape == (2, channels, size, size)
    assert logits.shape == (2,)


def test_channels_double_inwards_up_to_a_cap() -> None:
    generator = Generator(asked(width=200), ImageShape(1, 64, 10))
    assert [norm.num_features for norm in generator.norms] == [MOST_CHANNELS, MOST_CHANNELS, 400, 200]


def test_the_paper_normalizes_all_but_the_discriminators_first_layer_and_the_generators_last() -> None:
    spec, shape = asked(preset="paper", width=4), ImageShape(1, 28, 10)
    norms = Discriminator(spec, shape).norms
    assert [type(norm) for norm in norms] == [nn.Identity, nn.BatchNorm2d, nn.BatchNorm2d]
    generator = Generator(spec, shape)
    assert len(generator.norms) == len(generator.layers)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in Discriminator(asked(), shape).modules())


@pytest.mark.parametrize("conditioning", ["projection", "concat"])
def test_both_networks_see_the_label(conditioning: str) -> None:
    torch.manual_seed(0)
    spec, shape = asked(conditional=True, conditioning=conditioning), ImageShape(1, 28, 10)
    z, labels = torch.randn(1, spec.latent_size).expand(2, -1), torch.tensor([3, 4])
    with torch.no_grad():
        images = Generator(spec, shape).eval()(z, labels)
        logits = Discriminator(spec, shape)(images[:1].expand(2, -1, -1, -1), labels)
    assert not torch.equal(images[0], images[1])
    assert logits[0] != logits[1]


def test_without_labels_they_change_nothing() -> None:
    torch.manual_seed(0)
    spec, shape = asked(), ImageShape(1, 28, 10)
    z = torch.randn(1, spec.latent_size).expand(2, -1)
    with torch.no_grad():
        images = Generator(spec, shape).eval()(z, torch.tensor([3, 4]))
    assert torch.equal(images[0], images[1])
