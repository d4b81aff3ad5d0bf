import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels import averaging, checkpoints, draws, precision, training
from ganmodels.datasets import Dataset, DatasetFacts, ImageSet
from ganmodels.draws import Purpose
from ganmodels.family import UNKNOWN, Batch, Family, ImageShape
from ganmodels.training import Player, State
from tests.laws.opinions import OPINIONS, Opinion

Run = Callable[..., State]

CRITICS = {"wgan", "wgan_gp", "hinge"}  # hinge: until an image is beyond the margin
EAGER = {"learning_rate": 5e-3, "discriminator_learning_rate": 5e-3, "generator_learning_rate": 5e-3, "cooldown": 0.0}


class NothingToExport:
    """Stands in for the exporter where a checkpoint's graphs do not matter."""

    def files(self) -> dict[str, bytes]:
        return {}


def copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(network: nn.Module, before: Mapping[str, Tensor]) -> set[str]:
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def same(some: State, other: State) -> bool:
    ours, theirs = checkpoints.tensors(some), checkpoints.tensors(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def eager(spec: Any) -> Any:
    """Learn fast, and nothing but the loss."""
    wanted = EAGER | {"r1_weight": 0.0, "total_steps": 1000}
    return spec.model_copy(update={name: value for name, value in wanted.items() if name in type(spec).model_fields})


def bright_and_dark(spec: Any, family: Family, shape: ImageShape) -> tuple[Batch, Tensor, float]:
    """Give a batch of bright images that tell their labels, as many dark ones, and the middle of the range."""
    low, high = family.output_range(spec)
    count = 2 * getattr(spec, "packing", 1)
    labels = torch.arange(count) % shape.labels
    dark = torch.full((count, shape.channels, shape.size, shape.size), low)
    bright = torch.full_like(dark, high)
    bright.flatten(1)[torch.arange(count), labels % bright[0].numel()] = (low + 2 * high) / 3
    return Batch(bright, labels, bright, labels), dark, (low + high) / 2


def opinion(spec: Any, family: Family, strength: float, middle: float) -> nn.Module:
    plain = spec.model_copy(update={"augment": []})
    return training.as_seen(OPINIONS.get(spec.family, Opinion)(strength, middle), plain, family)


def test_the_discriminator_loses_least_when_it_is_right(spec: Any, family: Family, shape: ImageShape) -> None:
    batch, dark, middle = bright_and_dark(spec, family, shape)

    def loss(strength: float) -> float:
        torch.manual_seed(0)
        value, _ = family.d_loss(opinion(spec, family, strength, middle), batch, dark, spec)
        return value.item()

    assert loss(3.0) < loss(0.0) < loss(-3.0)


def test_the_generator_loses_least_when_its_images_pass_for_real(
    spec: Any, adversarial: Family, shape: ImageShape
) -> None:
    assert adversarial.g_loss is not None
    batch, dark, middle = bright_and_dark(spec, adversarial, shape)
    losses = []
    for images in (batch.real, (batch.real + dark) / 2, dark):
        torch.manual_seed(0)
        value, _ = adversarial.g_loss(opinion(spec, adversarial, 3.0, middle), batch, images, spec)
        losses.append(value.item())
    assert losses[0] < losses[2]
    assert losses == sorted(losses)


def test_the_discriminators_steps_teach_it(spec: Any, family: Family, shape: ImageShape, batch: Batch) -> None:
    fast, losses, gaps = eager(spec), [], []
    state = training.start(fast, shape)
    for update in range(1, 41):
        state.step += 1
        metrics = training.discriminator_step(fast, family, state, replace(batch, update=update))
        losses.append(metrics["d_loss"].item())
        gaps.append((metrics["d_real"] - metrics["d_fake"]).item() if "d_real" in metrics else 1.0)
    assert sum(losses[-5:]) < sum(losses[:5])
    assert sum(gaps[-10:]) > 0


def test_the_generators_steps_teach_it(spec: Any, adversarial: Family, shape: ImageShape, batch: Batch) -> None:
    fast, losses = eager(spec), []
    state = training.start(fast, shape)
    for update in range(1, 31):
        training.discriminator_step(fast, adversarial, state, replace(batch, update=update))
    for _ in range(40):
        state.step += 1
        losses.append(training.generator_step(fast, adversarial, state, batch)["g_loss"].item())
    assert sum(losses[-5:]) < sum(losses[:5])


def test_a_discriminator_step_changes_all_of_the_discriminator_and_nothing_else(
    spec: Any, family: Family, state: State, batch: Batch
) -> None:
    state.step = 1
    ours = copy_of(state.discriminator.network)
    others = copy_of(state.generator.network) if state.generator else {}
    training.discriminator_step(spec, family, state, replace(batch, update=getattr(spec, "r1_every", 1)))
    if state.generator:
        assert changed(state.generator.network, others) == set()
        assert all(parameter.grad is None for parameter in state.generator.network.parameters())
    assert changed(state.discriminator.network, ours) | shifts(spec, state) == ours.keys() - fixed(state)


def fixed(state: State) -> set[str]:
    """Name what the first look sets and nothing ever changes: the lengths of weights' rows."""
    return {name for name in state.discriminator.network.state_dict() if name.endswith(".lengths")}


def shifts(spec: Any, state: State) -> set[str]:
    """Name what a critic's step may leave alone: its output's bias, which cancels where real is held against fake.

    The singular vectors of a single output are 1 and the weights' own direction, known without looking.
    """
    if spec.family not in CRITICS:
        return set()
    tensors = state.discriminator.network.state_dict().items()
    return {name for name, tensor in tensors if tensor.shape == (1,) or name == "logit.parametrizations.weight.0._v"}


def test_a_generator_step_changes_all_of_the_generator_and_nothing_else(
    spec: Any, adversarial: Family, state: State, batch: Batch
) -> None:
    state.step = 1
    generator, discriminator = played(state)
    ours, others = copy_of(generator.network), copy_of(discriminator.network)
    training.generator_step(spec, adversarial, state, batch)
    assert changed(discriminator.network, others) == set()
    assert all(parameter.grad is None for parameter in discriminator.network.parameters())
    assert changed(generator.network, ours) == ours.keys()


def test_each_part_of_a_network_gets_a_gradient(spec: Any, family: Family, state: State, batch: Batch) -> None:
    state.step = 1
    training.discriminator_step(spec, family, state, batch)
    if state.generator:
        training.generator_step(spec, family, state, batch)
    for player in filter(None, (state.discriminator, state.generator)):
        for name, parameter in player.network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0 or name in shifts(spec, state), name


def test_a_discriminator_keeps_statistics_of_real_images_alone(
    spec: Any, family: Family, batch: Batch, shape: ImageShape
) -> None:
    def statistics(batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        network = training.start(spec, shape).discriminator.network
        with draws.seeded(0, 0, 0, Purpose.DISCRIMINATOR_STEP):
            family.d_loss(training.as_seen(network, spec, family), batch, fake, spec)
        return {name: buffer for name, buffer in network.named_buffers() if "running" in name}

    found = statistics(batch, torch.zeros_like(batch.real))
    beside_others = statistics(batch, torch.ones_like(batch.real))
    of_others = statistics(replace(batch, real=batch.real / 2, labeled=batch.labeled / 2), torch.zeros_like(batch.real))
    for name, statistic in found.items():
        assert torch.equal(statistic, beside_others[name]), name
        assert not torch.equal(statistic, of_others[name]), name


def test_a_generators_draws_leave_its_statistics_alone_but_for_its_own_step(
    spec: Any, adversarial: Family, state: State, batch: Batch
) -> None:
    generator, _ = played(state)
    before = copy_of(generator.network)
    training.discriminator_step(spec, adversarial, state, batch)
    assert changed(generator.network, before) == set()


def played(state: State) -> tuple[Player, Player]:
    assert state.generator is not None
    return state.generator, state.discriminator


def test_the_same_seed_gives_the_same_run(spec: Any, run: Run) -> None:
    torch.manual_seed(1)
    first = run(spec)
    torch.manual_seed(2)  # the global generator has no say
    assert same(first, run(spec))


def test_another_seed_gives_another_run(spec: Any, run: Run) -> None:
    other = spec.model_copy(update={"seed": spec.seed + 1})
    assert not same(run(spec), run(other))


def test_a_rollback_gives_fresh_noise(spec: Any, run: Run, adversarial: Family, shape: ImageShape) -> None:
    fresh = training.start(spec, shape)
    fresh.rollbacks = 1
    again = training.start(spec, shape)
    again.rollbacks = 1
    assert not same(run(spec), run(spec, fresh))
    assert same(fresh, run(spec, again))


def test_each_step_draws_its_own_noise(spec: Any, adversarial: Family) -> None:
    assert adversarial.latent is not None
    latent = adversarial.latent(spec)

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


def test_the_networks_see_new_noise_at_each_step(
    spec: Any, adversarial: Family, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    noise = draws.noise

    def remembered(*arguments: Any) -> Tensor:
        seen.append(noise(*arguments))
        return seen[-1]

    monkeypatch.setattr(draws, "noise", remembered)
    run(spec)
    assert len(seen) == (spec.discriminator_steps + 1) * spec.total_steps + spec.d_pretrain_steps
    assert len({tuple(z.flatten().tolist()) for z in seen}) == len(seen)


@pytest.mark.parametrize("interrupted_at", [0, 1, 3])
def test_resuming_changes_nothing(
    spec: Any, run: Run, shape: ImageShape, facts: DatasetFacts, images: ImageSet, interrupted_at: int
) -> None:
    dataset = Dataset(spec.dataset, facts, images, images, images, "0" * 64)
    interrupted = run(spec, until=interrupted_at) if interrupted_at else training.start(spec, shape)
    files = checkpoints.pack(spec, interrupted, dataset, {}, NothingToExport())
    resumed = run(spec, checkpoints.restore(files, spec, shape))
    undisturbed = run(spec)
    assert same(resumed, undisturbed)
    assert resumed.step == undisturbed.step == spec.total_steps
    assert checkpoints.digest(resumed) == checkpoints.digest(undisturbed) != checkpoints.digest(interrupted)


def test_the_average_moves_by_its_decay_with_its_statistics_and_copies_other_buffers(spec: Any, run: Run) -> None:
    state = run(spec, until=2)
    for player in filter(None, (state.generator, state.discriminator)):
        if player.averaged is None:
            continue
        before = copy_of(player.averaged)
        for buffer in player.network.buffers():
            buffer.add_(1)
        averaging.update(player.averaged, player.network, 0.75)
        after = player.averaged.state_dict()
        for name, current in player.network.state_dict().items():
            follows = name in dict(player.network.named_parameters()) or name.endswith(("running_mean", "running_var"))
            if follows:
                torch.testing.assert_close(after[name], 0.75 * before[name] + 0.25 * current, msg=name)
            else:
                assert torch.equal(after[name], current), name


def test_training_averages_what_answers_and_its_statistics(spec: Any, family: Family, run: Run) -> None:
    spec = spec.model_copy(update={"ema_decay": 0.5})
    state = run(spec)
    assert (state.discriminator.averaged is None) == (family.classify is None)
    for player in filter(None, (state.generator, state.discriminator)):
        averaged = dict(player.averaged.named_buffers()) if player.averaged else {}
        for name, buffer in player.network.named_buffers() if averaged else ():
            assert torch.equal(averaged[name], buffer) != name.endswith(("running_mean", "running_var")), name


def test_networks_keep_to_their_shapes_and_ranges(spec: Any, adversarial: Family, run: Run, shape: ImageShape) -> None:
    state = run(spec)
    generator, discriminator = played(state)
    count = 5 * spec.packing
    assert adversarial.latent is not None
    z = 10 * draws.noise(adversarial.latent(spec), count, spec.latent_size, draws.source(0, 0, 0, Purpose.PREVIEW))
    labels = torch.arange(count) % shape.labels
    with torch.no_grad():
        drawn = generator.served(z, labels)
    low, high = adversarial.output_range(spec)
    assert drawn.shape == (count, shape.channels, shape.size, shape.size)
    assert low <= drawn.min() < drawn.max() <= high
    seen = training.as_seen(discriminator.network, spec, adversarial)
    with torch.no_grad():
        if adversarial.score is not None:
            assert adversarial.score(seen, drawn, labels).shape == (5,)
        if adversarial.classify is not None:
            assert adversarial.classify(discriminator.served, drawn).shape[0] == count


def test_every_metric_of_every_step_is_a_finite_number_on_the_device(
    spec: Any, family: Family, state: State, images: ImageSet
) -> None:
    steps = []
    for step, metrics in training.train(spec, state, images):
        steps.append(step)
        expected = {"d_loss", "d_gradient_norm"}
        if step > 0 and family.generator is not None:
            expected |= {"g_loss", "g_gradient_norm"}
        if family.score is not None:
            expected |= {"d_real", "d_fake"}
        assert metrics.keys() >= expected
        for name, value in metrics.items():
            assert value.shape == (), name
            assert not value.requires_grad, name
            assert math.isfinite(value), name
    assert steps == [0] * getattr(spec, "d_pretrain_steps", 0) + list(range(1, spec.total_steps + 1))


def test_losses_and_images_are_in_full_precision_whatever_the_layers_compute_in(
    spec: Any, family: Family, shape: ImageShape, images: ImageSet
) -> None:
    half = spec.model_copy(update={"precision": "bf16"})
    state = training.start(half, shape)
    _, metrics = next(iter(training.train(half, state, images)))
    assert {value.dtype for value in metrics.values()} == {torch.float32}
    if state.generator is not None:
        with torch.no_grad(), precision.autocast(half, "cpu"):
            drawn = state.generator.served(
                training.noise(half, 4, torch.Generator()), torch.zeros(4, dtype=torch.int64)
            )
        assert drawn.dtype == torch.float32


def test_each_epoch_shows_each_image_once(spec: Any, images: ImageSet) -> None:
    size, count = spec.batch_size, len(images)
    supply = training.batches.supply(images, spec, (0.0, 255.0), "cpu")
    shown = torch.cat([supply.batch(update).real for update in range(1, 1 + 2 * count // size)])
    whole = images.images.float() * (1 if images.images.dtype == torch.uint8 else 255)
    seen = sorted(tuple(image.flatten().tolist()) for image in whole)
    for epoch in range(2):
        assert sorted(tuple(image.flatten().tolist()) for image in shown[epoch * count : (epoch + 1) * count]) == seen
    assert not torch.equal(shown[:count], shown[count:])


def test_no_label_is_seen_that_was_not_granted(spec: Any, images: ImageSet) -> None:
    supply = training.batches.supply(images, spec, (0.0, 1.0), "cpu")
    batches = [supply.batch(update) for update in range(1, 30)]
    if hasattr(spec, "labeled"):
        if spec.labeled != "none":
            assert all((batch.labels == UNKNOWN).all() for batch in batches)
            assert all((batch.labeled_labels != UNKNOWN).all() for batch in batches)
        assert supply.labels.ne(UNKNOWN).sum() == len(supply.granted)
    else:
        assert all(len(batch.labeled) == 0 for batch in batches)
        assert all((batch.labels != UNKNOWN).all() for batch in batches)
