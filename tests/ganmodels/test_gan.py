from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from ganmodels.families.gan import FAMILY, Discriminator, Generator
from ganmodels.family import Batch, ImageShape
from ganmodels.specs import SPEC


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "gan", **knobs})


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def first_pixel(images: Tensor, labels: Tensor) -> Tensor:
    """Stand in for a discriminator: the logit is the first pixel's value."""
    return images.flatten(1)[:, 0]


def batch_of(*logits: float) -> Batch:
    return Batch(torch.tensor(logits).view(-1, 1, 1, 1), torch.zeros(len(logits), dtype=torch.int64))


def test_the_networks_are_the_write_ups() -> None:
    shape = ImageShape(1, 28, 10)
    spec = asked(preset="paper")
    assert parameters(Generator(spec, shape)) == 100 * 128 + 128 + 128 * 784 + 784
    assert parameters(Discriminator(spec, shape)) == 784 * 128 + 128 + 128 + 1


def test_hidden_layers_come_in_the_order_asked_for() -> None:
    generator = Generator(asked(hidden=[20, 30]), ImageShape(3, 8, 10))
    linear = [module for module in generator.layers if isinstance(module, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(100, 20), (20, 30), (30, 192)]


def test_first_weights_are_uniform_between_glorots_bounds_and_biases_are_zero() -> None:
    torch.manual_seed(0)
    for layer in Generator(asked(), ImageShape(1, 28, 10)).layers[::2]:
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
        assert not layer.bias.any()


def test_the_losses_are_the_papers_and_the_generators_can_be_chosen() -> None:
    fake = torch.tensor([-0.7, 2.0]).view(-1, 1, 1, 1)
    found, metrics = FAMILY.d_loss(first_pixel, batch_of(0.3, -1.2), fake, asked())  # type: ignore[arg-type]
    real_probability, fake_probability = torch.tensor([0.3, -1.2]).sigmoid(), torch.tensor([-0.7, 2.0]).sigmoid()
    torch.testing.assert_close(found, -real_probability.log().mean() - (1 - fake_probability).log().mean())
    assert metrics["d_real"].item() == pytest.approx(-0.45)
    assert metrics["d_fake"].item() == pytest.approx(0.65)

    def g_loss(name: str) -> Tensor:
        assert FAMILY.g_loss is not None
        return FAMILY.g_loss(first_pixel, batch_of(0.0), fake, asked(generator_loss=name))[0]  # type: ignore[arg-type]

    torch.testing.assert_close(g_loss("non_saturating"), -fake_probability.log().mean())
    torch.testing.assert_close(g_loss("minimax"), (1 - fake_probability).log().mean())


def test_noise_is_uniform_between_minus_one_and_one_and_images_between_zero_and_one() -> None:
    assert FAMILY.latent is not None
    latent = FAMILY.latent(asked())
    assert (latent.distribution, latent.low, latent.high) == ("uniform", -1.0, 1.0)
    assert FAMILY.output_range(asked()) == (0.0, 1.0)
    generator = Generator(asked(), ImageShape(1, 28, 10))
    with torch.no_grad():
        drawn = generator(100 * torch.ones(3, 100), torch.zeros(3, dtype=torch.int64))
    assert 0 <= drawn.min() < 0.01 < 0.99 < drawn.max() <= 1


@pytest.mark.parametrize("dataset", ["digits", "mnist", "cifar10", "ring", "grid"])
def test_any_image_can_be_learned_and_points_too(dataset: str) -> None:
    assert asked(dataset=dataset).dataset == dataset


def test_labels_change_nothing_even_where_they_are_not_known() -> None:
    spec, shape = asked(), ImageShape(2, 1, 8)
    generator, discriminator = Generator(spec, shape), Discriminator(spec, shape)
    z, known, unknown = torch.rand(3, 100), torch.tensor([0, 1, 2]), torch.full((3,), -1)
    assert torch.equal(generator(z, known), generator(z, unknown))
    points = torch.rand(3, 2, 1, 1)
    assert torch.equal(discriminator(points, known), discriminator(points, unknown))


def test_a_discriminator_that_cannot_tell_pays_log_4() -> None:
    found, _ = FAMILY.d_loss(first_pixel, batch_of(0.0), torch.zeros(1, 1, 1, 1), asked())  # type: ignore[arg-type]
    assert found.item() == pytest.approx(log(4))
