from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels import checkpoints, training
from ganmodels.augmentation import AUGMENTATIONS, Augmented, Range, augment
from ganmodels.datasets import DATASETS, Dataset, ImageSet
from ganmodels.families import FAMILIES
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC
from ganmodels.training import State

SIGNED, UNIT = (-1.0, 1.0), (0.0, 1.0)
ALL = tuple(AUGMENTATIONS)


def disturbed(images: Tensor, names: Sequence[str], output_range: Range = SIGNED, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return augment(images, names, output_range)


def bright(count: int = 200, size: int = 28, channels: int = 1) -> Tensor:
    return torch.ones(count, channels, size, size)


@pytest.mark.parametrize("name", ALL)
def test_each_image_is_disturbed_in_its_own_way_and_the_same_seed_repeats_it(name: str) -> None:
    images = torch.rand(1, 3, 16, 16).expand(50, -1, -1, -1)
    found = disturbed(images, [name])
    assert found.shape == images.shape
    assert len({tuple(image.flatten().tolist()) for image in found}) > 15
    assert torch.equal(found, disturbed(images, [name]))
    assert not torch.equal(found, disturbed(images, [name], seed=1))


def test_translation_moves_by_up_to_an_eighth_and_leaves_the_background() -> None:
    images = torch.full((400, 1, 28, 28), -1.0)
    images[:, :, 14, 14] = 1.0
    found = disturbed(images, ["translation"])
    lit = (found == 1).nonzero()
    assert len(lit) == 400
    for axis in (2, 3):
        moves = lit[:, axis] - 14
        assert moves.unique().tolist() == list(range(-3, 4))
    assert (found == -1).sum() == images.numel() - 400
    down, right = lit[:, 2], lit[:, 3]
    assert not torch.equal(down, right)


def test_translation_pulls_in_no_pixel_from_the_other_side() -> None:
    images = torch.full((200, 1, 16, 16), -1.0)
    images[:, :, 0] = 1.0
    found = disturbed(images, ["translation"])
    assert (found[:, :, 8:] == -1).all()
    assert sorted({int(n) for n in (found == 1).sum(dim=(1, 2, 3))}) == [0, 14, 15, 16]


@pytest.mark.parametrize("size", [8, 14, 28])
def test_cutout_blanks_half_the_width_around_any_pixel(size: int) -> None:
    hidden = disturbed(bright(3000, size), ["cutout"]) == -1
    rows, columns = hidden.any(dim=3).sum(dim=2).flatten(), hidden.any(dim=2).sum(dim=2).flatten()
    side = size // 2
    for lengths in (rows, columns):
        assert lengths.max() == side
        assert lengths.min() == side // 2 + side % 2  # its center stays inside
    assert torch.equal(hidden.sum(dim=(1, 2, 3)), rows * columns)  # one square and nothing else
    shares = hidden.float().mean(dim=(0, 1))
    torch.testing.assert_close(shares, shares.flip(0), atol=0.05, rtol=0)
    torch.testing.assert_close(shares, shares.flip(1), atol=0.05, rtol=0)


def test_color_changes_brightness_by_up_to_a_quarter_of_any_range() -> None:
    for output_range in (SIGNED, UNIT):
        low, high = output_range
        grey = torch.full((500, 3, 4, 4), (low + high) / 2)  # saturation and contrast leave an even grey alone
        changes = (disturbed(grey, ["color"], output_range) - grey)[:, 0, 0, 0] / (high - low)
        assert changes.abs().max() <= 0.25
        assert changes.min() < -0.2
        assert changes.max() > 0.2


def test_color_keeps_the_mean_of_each_image_but_for_brightness() -> None:
    images = torch.rand(50, 3, 4, 4)
    found = disturbed(images, ["color"])
    means = found.mean(dim=(1, 2, 3)) - images.mean(dim=(1, 2, 3))
    assert means.abs().max() <= 0.5
    spread = found.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert spread.min() < 0.9
    assert 1.1 < spread.max() < 3


@pytest.mark.parametrize("names", [["translation"], ["cutout"], ["translation", "cutout"]])
def test_what_moves_or_hides_pixels_makes_no_new_values(names: list[str]) -> None:
    images = torch.rand(20, 1, 8, 8) * 2 - 1
    found = disturbed(images, names)
    assert set(found.flatten().tolist()) <= {-1.0, *images.flatten().tolist()}


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_the_pixels_that_are_seen(name: str) -> None:
    images = (torch.rand(8, 3, 8, 8) * 2 - 1).requires_grad_()
    found = disturbed(images, [name])
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert (gradient.flatten(1).norm(dim=1) > 0).all()
    if name != "color":
        shown = sum((found == value).sum() for value in images.flatten())
        assert gradient.sum() == shown  # 1 for each pixel that is still there
        assert gradient.max() == 1
        assert gradient.min() == 0


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    images = torch.rand(1, 3, 8, 8, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda pixels: disturbed(pixels, [name]), images)


def test_the_order_of_asking_changes_nothing() -> None:
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(disturbed(images, ["cutout", "color", "translation"]), disturbed(images, ALL))
    assert torch.equal(disturbed(images, ["cutout", "cutout"]), disturbed(images, ["cutout"]))
    assert torch.equal(disturbed(images, []), images)


class Recorder(nn.Module):
    """Remembers what it was shown."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        self.seen.append(images.detach())
        judged: Tensor = self.network(images, labels)
        return judged


def asked(**knobs: Any) -> Any:
    small = {"family": "dcgan", "dataset": "digits", "width": 4, "batch_size": 20, "total_steps": 4, "r1_every": 1}
    machine = {"device": "cpu", "threads": 1, "precision": "fp32"}
    return SPEC.validate_python({**small, **machine, "augment": ["cutout"], **knobs})


@pytest.fixture
def images() -> ImageSet:
    return ImageSet(torch.full((20, 1, 8, 8), 255, dtype=torch.uint8), torch.arange(20) % 10, tuple("0123456789"))


def test_both_sides_are_disturbed_in_both_players_steps(images: ImageSet) -> None:
    spec = asked()
    state, family = training.start(spec, ImageShape(1, 8, 10)), FAMILIES["dcgan"]
    state.discriminator.network = recorder = Recorder(state.discriminator.network)
    state.step = 1
    batch = training.batches.supply(images, spec, SIGNED, "cpu").batch(1)
    training.discriminator_step(spec, family, state, batch)
    training.generator_step(spec, family, state, batch)
    assert len(recorder.seen) == 4  # real, fake, real for the penalty, and the generator's fake
    for shown in recorder.seen:
        blanks = (shown == -1).flatten(1).sum(dim=1)
        assert blanks.min() >= 4
        assert blanks.max() <= 16
        assert len(blanks.unique()) > 1


def test_without_the_knob_nothing_is_disturbed(images: ImageSet) -> None:
    spec = asked(augment=[])
    network = training.start(spec, ImageShape(1, 8, 10)).discriminator.network
    assert training.as_seen(network, spec, FAMILIES["dcgan"]) is network
    wrapped = training.as_seen(network, asked(), FAMILIES["dcgan"])
    assert isinstance(wrapped, Augmented)
    assert wrapped.output_range == SIGNED


class Nothing:
    def files(self) -> dict[str, bytes]:
        return {}


def test_a_run_that_disturbs_its_images_resumes_to_the_bit(digits: Dataset) -> None:
    spec = asked(augment=["cutout", "translation"])
    shape = ImageShape(1, 8, 10)

    def trained(state: State, steps: int) -> State:
        for step, _ in training.train(spec, state, digits.train):
            if step == steps:
                break
        return state

    whole = trained(training.start(spec, shape), 4)
    files = checkpoints.pack(spec, trained(training.start(spec, shape), 2), digits, {}, Nothing())
    resumed = trained(checkpoints.restore(files, spec, shape), 4)
    plain = asked(augment=[])
    assert checkpoints.digest(resumed) == checkpoints.digest(whole)
    undisturbed = training.start(plain, shape)
    for _ in training.train(plain, undisturbed, digits.train):
        pass
    assert checkpoints.digest(undisturbed) != checkpoints.digest(whole)


def test_no_data_set_of_images_is_too_small_to_be_moved() -> None:
    assert all(facts.size >= 8 for facts in DATASETS.values() if facts.kind == "images")
