import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels import averaging, checkpoints, draws, training
from ganmodels.datasets import Dataset, DatasetFacts, ImageSet
from ganmodels.draws import Purpose
from ganmodels.families import FAMILIES
from ganmodels.family import Batch, ImageShape
from ganmodels.training import State

Run = Callable[..., State]


class Opinion(nn.Module):
    """A discriminator whose mind is made up: bright images score `strength`, dark ones −`strength`.

    Asked about several labels of an image, it holds that the first is the image's own and the others are wrong.
    """

    def __init__(self, strength: float, middle: float) -> None:
        super().__init__()
        self.strength, self.middle = nn.Parameter(torch.tensor(float(strength))), middle

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        own = self.strength * (images.mean(dim=(1, 2, 3)) - self.middle).sign()
        if labels.dim() == 1:
            return own
        return torch.cat([own[:, None], -own[:, None].expand(-1, labels.shape[1] - 1)], dim=1)


class NothingToExport:
    """Stands in for the exporter where a checkpoint's graphs do not matter."""

    def generator(self) -> bytes:
        return b""

    def discriminator(self) -> bytes:
        return b""


def copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(network: nn.Module, before: Mapping[str, Tensor]) -> set[str]:
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def same(some: State, other: State) -> bool:
    ours, theirs = checkpoints.tensors(some), checkpoints.tensors(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def bright_and_dark(spec: Any, shape: ImageShape) -> tuple[Tensor, Tensor, Tensor, float]:
    """Give the brightest images and the darkest, labels for them, and the middle of the range."""
    low, high = FAMILIES[spec.family].output_range
    bright = torch.full((4, shape.channels, shape.size, shape.size), high)
    return bright, torch.full_like(bright, low), torch.arange(4) % shape.labels, (low + high) / 2


def test_the_discriminator_loses_least_when_it_is_right(spec: Any, shape: ImageShape) -> None:
    real, fake, labels, middle = bright_and_dark(spec, shape)

    def loss(strength: float) -> float:
        value, _ = FAMILIES[spec.family].d_loss(Opinion(strength, middle), Batch(real, labels), fake, spec)
        return value.item()

    assert loss(2) < loss(1) < loss(0) < loss(-1) < loss(-2)


def test_the_generator_loses_least_when_its_images_pass_for_real(spec: Any, shape: ImageShape) -> None:
    bright, dark, labels, middle = bright_and_dark(spec, shape)

    def loss(images: Tensor) -> float:
        value, _ = FAMILIES[spec.family].g_loss(Opinion(2.0, middle), images, labels, spec)
        return value.item()

    assert loss(bright) < loss((bright + dark) / 2) < loss(dark)


def test_the_discriminators_steps_teach_it_to_tell_real_from_fake(spec: Any, shape: ImageShape, batch: Batch) -> None:
    eager = spec.model_copy(update={"discriminator_learning_rate": 5e-3, "r1_weight": 0.0})
    state = training.start(eager, shape)
    for _ in range(30):
        state.step += 1
        metrics = training.discriminator_step(eager, FAMILIES[spec.family], state, batch)
    assert metrics["d_real"] > metrics["d_fake"] + 1
    assert metrics["d_loss"] < math.log(4) - 0.2  # what a discriminator that cannot tell pays


def test_the_generators_steps_teach_it_to_pass_for_real(spec: Any, shape: ImageShape, batch: Batch) -> None:
    eager = spec.model_copy(update={"discriminator_learning_rate": 5e-3, "generator_learning_rate": 5e-3})
    state, family = training.start(eager, shape), FAMILIES[spec.family]
    losses = []
    for _ in range(30):
        state.step += 1
        training.discriminator_step(eager, family, state, batch)
    for _ in range(30):
        state.step += 1
        losses.append(training.generator_step(eager, family, state, batch.labels)["g_loss"].item())
    assert losses[-1] < losses[0] - 0.2


def test_a_discriminator_step_changes_all_of_the_discriminator_and_nothing_else(
    spec: Any, state: State, batch: Batch
) -> None:
    state.step = spec.r1_every
    ours, others = copy_of(state.discriminator), copy_of(state.generator)
    training.discriminator_step(spec, FAMILIES[spec.family], state, batch)
    assert changed(state.generator, others) == set()
    assert all(parameter.grad is None for parameter in state.generator.parameters())
    assert changed(state.discriminator, ours) == ours.keys()


def test_a_generator_step_changes_all_of_the_generator_and_nothing_else(spec: Any, state: State, batch: Batch) -> None:
    state.step = 1
    ours, others = copy_of(state.generator), copy_of(state.discriminator)
    training.generator_step(spec, FAMILIES[spec.family], state, batch.labels)
    assert changed(state.discriminator, others) == set()
    assert all(parameter.grad is None for parameter in state.discriminator.parameters())
    assert changed(state.generator, ours) == ours.keys()


def test_each_part_of_a_network_gets_a_gradient(spec: Any, state: State, batch: Batch) -> None:
    state.step = 1
    training.discriminator_step(spec, FAMILIES[spec.family], state, batch)
    training.generator_step(spec, FAMILIES[spec.family], state, batch.labels)
    for network in (state.discriminator, state.generator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_a_discriminator_keeps_statistics_of_real_images_alone(spec: Any, run: Run, images: ImageSet) -> None:
    ours, dark = run(spec, until=1), run(spec, until=1)
    blackened = ImageSet(torch.zeros_like(images.images), images.labels, images.label_names)
    family = FAMILIES[spec.family]
    for state, seen in ((ours, images), (dark, blackened)):
        batch = training.batches.supply(seen, 0, spec.batch_size, family.output_range, "cpu").batch(2)
        before = copy_of(state.discriminator)
        with torch.no_grad():  # only forwards: what a loss leaves behind in the buffers
            family.d_loss(state.discriminator, batch, torch.randn_like(batch.real), spec)
        buffers = dict(state.discriminator.named_buffers())
        assert changed(state.discriminator, before) == buffers.keys()
        kept = copy_of(state.discriminator)
        state.discriminator.load_state_dict(before)
        with torch.no_grad():
            state.discriminator(batch.real, batch.labels)
        assert changed(state.discriminator, kept) == set()


def test_the_same_seed_gives_the_same_run(spec: Any, run: Run) -> None:
    torch.manual_seed(1)
    first = run(spec)
    torch.manual_seed(2)  # the global generator has no say
    assert same(first, run(spec))


def test_another_seed_gives_another_run(spec: Any, run: Run) -> None:
    other = spec.model_copy(update={"seed": spec.seed + 1})
    assert not same(run(spec), run(other))


def test_each_step_draws_its_own_noise(spec: Any) -> None:
    latent = FAMILIES[spec.family].latent

    def drawn(*coordinates: Any) -> Tensor:
        return draws.noise(latent, 4, spec.latent_size, draws.source(*coordinates))

    here = drawn(0, 0, 1, Purpose.GENERATOR_NOISE)
    assert torch.equal(here, drawn(0, 0, 1, Purpose.GENERATOR_NOISE))
    for elsewhere in (
        (1, 0, 1, Purpose.GENERATOR_NOISE),
        (0, 1, 1, Purpose.GENERATOR_NOISE),
        (0, 0, 2, Purpose.GENERATOR_NOISE),
        (0, 0, 1, Purpose.DISCRIMINATOR_NOISE),
    ):
        assert not torch.equal(here, drawn(*elsewhere))


def test_the_networks_see_new_noise_at_each_step(spec: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    noise = draws.noise

    def remembered(*arguments: Any) -> Tensor:
        seen.append(noise(*arguments))
        return seen[-1]

    monkeypatch.setattr(draws, "noise", remembered)
    run(spec)
    assert len(seen) == 2 * spec.total_steps
    assert len({tuple(z.flatten().tolist()) for z in seen}) == len(seen)


@pytest.mark.parametrize("interrupted_at", [0, 1, 3])
def test_resuming_changes_nothing(
    spec: Any, run: Run, shape: ImageShape, facts: DatasetFacts, images: ImageSet, interrupted_at: int
) -> None:
    dataset = Dataset("digits", facts, images, images, images, "0" * 64)
    interrupted = run(spec, until=interrupted_at) if interrupted_at else training.start(spec, shape)
    files = checkpoints.pack(spec, interrupted, dataset, {}, NothingToExport())
    resumed = run(spec, checkpoints.restore(files, spec, shape))
    undisturbed = run(spec)
    assert same(resumed, undisturbed)
    assert resumed.step == undisturbed.step == spec.total_steps
    assert checkpoints.digest(resumed) == checkpoints.digest(undisturbed) != checkpoints.digest(interrupted)


def test_the_average_moves_by_its_decay_and_copies_the_buffers(spec: Any, run: Run) -> None:
    state = run(spec, until=2)
    before = copy_of(state.averaged)
    for buffer in state.generator.buffers():
        buffer.add_(1)
    averaging.update(state.averaged, state.generator, 0.75)
    after = state.averaged.state_dict()
    for name, buffer in state.generator.named_buffers():
        assert torch.equal(after[name], buffer), name
    for name, parameter in state.generator.named_parameters():
        torch.testing.assert_close(after[name], 0.75 * before[name] + 0.25 * parameter.detach())


def test_training_keeps_the_averages_buffers_at_the_generators(spec: Any, run: Run) -> None:
    state = run(spec)
    averaged = dict(state.averaged.named_buffers())
    for name, buffer in state.generator.named_buffers():
        assert torch.equal(averaged[name], buffer), name


def test_networks_keep_to_their_shapes_and_ranges(spec: Any, run: Run, shape: ImageShape) -> None:
    family, state = FAMILIES[spec.family], run(spec)
    z = 10 * draws.noise(family.latent, 5, spec.latent_size, draws.source(0, 0, 0, Purpose.PREVIEW))
    labels = torch.arange(5) % shape.labels
    with torch.no_grad():
        drawn = state.averaged(z, labels)
        logits = state.discriminator(drawn, labels)
    low, high = family.output_range
    assert drawn.shape == (5, shape.channels, shape.size, shape.size)
    assert low <= drawn.min() < drawn.max() <= high
    assert logits.shape == (5,)


def test_every_metric_of_every_step_is_a_finite_number_on_the_device(spec: Any, state: State, images: ImageSet) -> None:
    for step, metrics in training.train(spec, state, images):
        expected = {"d_loss", "g_loss", "d_real", "d_fake", "d_gradient_norm", "g_gradient_norm"}
        penalized = spec.r1_weight > 0 and step % spec.r1_every == 0
        mismatched = spec.family == "dcgan" and spec.conditional and spec.mismatch_weight > 0
        assert metrics.keys() == expected | ({"r1"} if penalized else set()) | ({"d_mismatch"} if mismatched else set())
        for name, value in metrics.items():
            assert value.shape == (), name
            assert not value.requires_grad, name
            assert math.isfinite(value), name


def test_each_epoch_shows_each_image_once(spec: Any, images: ImageSet) -> None:
    size, count = spec.batch_size, len(images)
    supply = training.batches.supply(images, 0, size, (0.0, 255.0), "cpu")
    shown = torch.cat([supply.batch(step).real for step in range(1, 1 + 2 * count // size)])
    seen = sorted(tuple(image.flatten().tolist()) for image in images.images)
    for epoch in range(2):
        assert sorted(tuple(image.flatten().tolist()) for image in shown[epoch * count : (epoch + 1) * count]) == seen
    assert not torch.equal(shown[:count], shown[count:])
