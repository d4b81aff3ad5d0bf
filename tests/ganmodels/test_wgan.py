from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import RMSprop

from ganmodels import training
from ganmodels.families import gan, wgan
from ganmodels.families.wgan import FAMILY
from ganmodels.family import Batch, ImageShape
from ganmodels.specs import SPEC

SHAPE = ImageShape(1, 8, 10)


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "wgan", "dataset": "digits", "device": "cpu", "precision": "fp32", **knobs})


def first_pixel(images: Tensor, labels: Tensor) -> Tensor:
    """Stand in for a critic: the logit is the first pixel's value."""
    return images.flatten(1)[:, 0]


def one_each(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def batches_of(count: int) -> list[Batch]:
    random = torch.Generator().manual_seed(3)
    return [
        Batch(torch.rand(64, 1, 8, 8, generator=random), torch.zeros(64, dtype=torch.int64), update=update)
        for update in range(1, count + 1)
    ]


def test_the_networks_are_those_of_gan() -> None:
    assert (FAMILY.generator, FAMILY.discriminator) == (gan.Generator, gan.Discriminator)


def test_the_losses_are_differences_of_means_without_a_sigmoid_or_a_logarithm() -> None:
    batch = Batch(one_each(3.0, -5.0), torch.zeros(2, dtype=torch.int64))
    fake = one_each(10.0, 4.0)
    critic: Any = torch.nn.Identity()
    critic.forward = first_pixel
    found, metrics = FAMILY.d_loss(critic, batch, fake, asked())
    assert found.item() == 7 - (-1)
    assert metrics["wasserstein_estimate"].item() == -8
    assert (metrics["d_real"].item(), metrics["d_fake"].item()) == (-1, 7)
    assert FAMILY.g_loss is not None
    assert FAMILY.g_loss(critic, batch, fake, asked())[0].item() == -7


def test_the_estimate_of_many_images_is_that_of_the_loss() -> None:
    torch.manual_seed(0)
    critic = gan.Discriminator(asked(), SHAPE)
    real, fake, labels = torch.rand(20, 1, 8, 8), torch.rand(20, 1, 8, 8), torch.zeros(20, dtype=torch.int64)
    estimate = wgan.critique(critic, real, fake, labels)["wasserstein_estimate"]
    loss, _ = FAMILY.d_loss(critic, Batch(real, labels), fake, asked())
    assert estimate.item() == -loss.item() != 0
    swapped = wgan.critique(critic, fake, real, labels)["wasserstein_estimate"]
    torch.testing.assert_close(swapped, -estimate)


def test_the_paper_takes_five_critic_steps_and_rmsprop_at_its_rates() -> None:
    spec = asked(preset="paper")
    assert (spec.discriminator_steps, spec.clip) == (5, 0.01)
    state = training.start(spec, SHAPE)
    assert state.generator is not None
    for player in (state.generator, state.discriminator):
        assert isinstance(player.optimizer, RMSprop)
        (group,) = player.optimizer.param_groups
        assert (group["lr"], group["alpha"], group["momentum"]) == (5e-5, 0.99, 0)


@pytest.mark.parametrize("clip", [0.01, 0.1])
def test_the_clip_is_a_knob(clip: float) -> None:
    spec = asked(clip=clip, discriminator_learning_rate=1e-2)
    state = training.start(spec, SHAPE)
    training.step(spec, FAMILY, state, batches_of(5))
    largest = max(parameter.abs().max().item() for parameter in state.discriminator.network.parameters())
    assert largest == pytest.approx(clip)


def test_the_generator_is_not_clipped() -> None:
    spec = asked()
    state = training.start(spec, SHAPE)
    training.step(spec, FAMILY, state, batches_of(5))
    assert state.generator is not None
    assert max(parameter.abs().max().item() for parameter in state.generator.network.parameters()) > 0.1
