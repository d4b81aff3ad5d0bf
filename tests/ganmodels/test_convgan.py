from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import conv2d

from ganmodels import training
from ganmodels.datasets.imagesets import ImageSet
from ganmodels.families import convgan
from ganmodels.families.convgan import FAMILY, Discriminator, Generator, doubled
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC

SHAPE = ImageShape(1, 28, 10)


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "convgan", "device": "cpu", "threads": 1, "precision": "fp32", **knobs})


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_discriminator_has_the_write_ups_3_265_409_parameters() -> None:
    assert parameters(Discriminator(asked(), SHAPE)) == 3_265_409


def test_the_generator_has_a_third_of_a_million() -> None:
    layers = 101 * 3136 + 9 * 50 + 9 * 50 * 25 + 26
    norms = 2 * (1 + 50 + 25)
    assert parameters(Generator(asked(), SHAPE)) == layers + norms == 328_614


def test_the_generator_goes_from_56_pixels_to_28_twice() -> None:
    generator, sizes = Generator(asked(), SHAPE), []
    for layer in generator.layers:
        layer.register_forward_hook(lambda layer, inputs, output: sizes.append((inputs[0].shape[1:], output.shape[1:])))
    images = generator(torch.randn(2, 100), torch.zeros(2, dtype=torch.int64))
    assert sizes == [((1, 57, 57), (50, 28, 28)), ((50, 57, 57), (25, 28, 28)), ((25, 28, 28), (1, 28, 28))]
    assert images.shape == (2, 1, 28, 28)
    assert 0 <= images.min() < images.max() <= 1


def test_doubling_reads_as_tensorflow_1_does() -> None:
    row = torch.tensor([1.0, 3.0, 7.0]).view(1, 1, 1, 3).expand(1, 1, 3, 3)
    torch.testing.assert_close(doubled(row)[0, 0], torch.tensor([1.0, 2, 3, 5, 7, 7]).expand(6, 6))
    torch.testing.assert_close(doubled(row.mT)[0, 0], torch.tensor([1.0, 2, 3, 5, 7, 7]).expand(6, 6).mT)


def test_a_stride_of_two_pads_behind_as_tensorflow_does() -> None:
    """With a kernel that reads its middle, output i is pixel 2i + 1: PyTorch's own padding would give 2i."""
    middle = torch.zeros(1, 1, 3, 3)
    middle[0, 0, 1, 1] = 1
    image = torch.arange(64.0).view(1, 1, 8, 8)
    assert torch.equal(conv2d(convgan._padded(image), middle, stride=2), image[..., 1::2, 1::2])


def test_first_weights_are_normal_and_cut_off_at_two_deviations() -> None:
    torch.manual_seed(0)
    weights = Discriminator(asked(), SHAPE).hidden.weight
    assert 0.039 < weights.abs().max() <= 0.04
    assert weights.std().item() == pytest.approx(0.02 * 0.8796, rel=0.01)  # what the cut leaves of the deviation


@pytest.mark.parametrize("dataset", ["digits", "cifar10", "stacked-mnist", "shapes", "ring"])
def test_other_sizes_more_channels_and_points_are_refused(dataset: str) -> None:
    with pytest.raises(ValidationError, match="draws"):
        asked(dataset=dataset)


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "kmnist"])
def test_grey_images_of_28_pixels_are_taken(dataset: str) -> None:
    assert asked(dataset=dataset).dataset == dataset


def test_the_defaults_are_the_write_ups() -> None:
    for spec in (asked(), asked(preset="paper")):
        assert (spec.d_pretrain_steps, spec.batch_size, spec.preview_every) == (300, 50, 100)
    assert (spec.discriminator_learning_rate, spec.generator_learning_rate) == (3e-4, 1e-4)
    assert (spec.beta1, spec.r1_weight, spec.cooldown) == (0.9, 0, 0)


@pytest.mark.parametrize("updates", [0, 3])
def test_the_discriminator_is_trained_alone_before_the_first_step(updates: int) -> None:
    spec = asked(d_pretrain_steps=updates, batch_size=2, total_steps=1)
    state = training.start(spec, SHAPE)
    images = ImageSet(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.arange(4), tuple("0123456789"))
    seen = list(training.train(spec, state, images))
    assert [step for step, _ in seen] == [0] * updates + [1]
    assert ["g_loss" in metrics for _, metrics in seen] == [False] * updates + [True]
    assert FAMILY.generator is Generator
