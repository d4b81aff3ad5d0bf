"""Faults that any GAN can have, shown on the families that are quickest to train."""

from collections.abc import Callable
from dataclasses import replace
from math import exp, log
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from ganmodels import batches, datasets, evaluation, optimizers, training
from ganmodels.datasets.imagesets import ImageSet
from ganmodels.families import FAMILIES
from ganmodels.family import Batch, Family, ImageShape, Metrics
from ganmodels.losses import logistic
from ganmodels.schedules import Rates, cooldown
from ganmodels.specs import SPEC
from ganmodels.training import State

SHAPE = ImageShape(1, 8, 10)
Loss = Callable[[nn.Module, Batch, Tensor, Any], tuple[Tensor, Metrics]]
Step = Callable[[Any, Family, State, Batch], Metrics]


def asked(family: str = "gan", **knobs: Any) -> Any:
    small = {"dataset": "digits", "device": "cpu", "threads": 1, "precision": "fp32", "batch_size": 16}
    return SPEC.validate_python({"family": family, **small, **knobs})


def batch_for(spec: Any) -> Batch:
    random = torch.Generator().manual_seed(3)
    images = torch.rand(spec.batch_size, 1, 8, 8, generator=random)
    return Batch(batches.to_range(images, FAMILIES[spec.family].output_range(spec)), torch.arange(spec.batch_size) % 10)


def first_pixel() -> nn.Module:
    """Make a stand-in for a discriminator: the logit is the first pixel's value."""
    network: Any = nn.Identity()
    network.forward = lambda images, labels: images.flatten(1)[:, 0]
    return network  # type: ignore[no-any-return]


def of_logits(*logits: float) -> Tensor:
    return torch.tensor(logits).view(-1, 1, 1, 1)


def judged(loss: Loss, real: float, fake: Tensor) -> Tensor:
    found, _ = loss(first_pixel(), Batch(of_logits(real), torch.zeros(1, dtype=torch.int64)), fake, asked())
    return found


def copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def unchanged(network: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def furthest(network: nn.Module, before: dict[str, Tensor]) -> float:
    return max((parameter - before[name]).abs().max().item() for name, parameter in network.named_parameters())


class Recorder(nn.Module):
    """Notes the parameters that each judgment came from."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.judges = network, []

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.network(images, labels)
        found = torch.autograd.grad(logits.sum(), list(self.network.parameters()), retain_graph=True, allow_unused=True)
        named = zip(self.network.named_parameters(), found, strict=True)
        self.judges.append({name for (name, _), gradient in named if gradient is not None})
        return logits


class OneForEach(nn.Module):
    """The fault: two calls under two name scopes make two discriminators."""

    def __init__(self, spec: Any) -> None:
        super().__init__()
        self.scopes = nn.ModuleList(FAMILIES["gan"].discriminator(spec, SHAPE) for _ in range(2))
        self.calls = 0

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        self.calls += 1
        logits: Tensor = self.scopes[(self.calls - 1) % 2](images, labels)
        return logits


def test_two_discriminators_where_one_was_meant() -> None:
    """Ledger 2: the very parameters that judge real images must judge the fakes."""
    spec = asked()

    def is_one_discriminator(network: nn.Module) -> bool:
        recorder, batch = Recorder(network), batch_for(spec)
        FAMILIES["gan"].d_loss(recorder, batch, torch.rand_like(batch.real), spec)
        real, fake = recorder.judges
        return real == fake == {name for name, _ in network.named_parameters()}

    assert is_one_discriminator(training.start(spec, SHAPE).discriminator.network)
    assert not is_one_discriminator(OneForEach(spec))


def without_lists(spec: Any, family: Family, state: State, batch: Batch) -> Metrics:
    """The fault: each loss is minimized over every variable there is, on fakes whose graph is kept."""
    assert state.generator is not None
    both = [*state.generator.network.parameters(), *state.discriminator.network.parameters()]
    fake = state.generator.network(torch.randn(spec.batch_size, spec.latent_size), batch.labels)
    loss, metrics = family.d_loss(state.discriminator.network, batch, fake, spec)
    torch.autograd.backward(loss)
    Adam(both, 1e-3).step()
    return metrics


def without_lists_for_the_generator(spec: Any, family: Family, state: State, batch: Batch) -> Metrics:
    """The fault, in the generator's step."""
    assert state.generator is not None
    assert family.g_loss is not None
    both = [*state.generator.network.parameters(), *state.discriminator.network.parameters()]
    fake = state.generator.network(torch.randn(spec.batch_size, spec.latent_size), batch.labels)
    loss, metrics = family.g_loss(state.discriminator.network, batch, fake, spec)
    torch.autograd.backward(loss)
    Adam(both, 1e-3).step()
    return metrics


def test_no_parameter_lists() -> None:
    """Ledger 3: a step of one player leaves the other's parameters and buffers as they were."""
    spec = asked("dcgan", width=4, preset="paper", batch_size=16)  # both networks keep BatchNorm's statistics
    family, batch = FAMILIES["dcgan"], batch_for(spec)

    def leaves_the_other_alone(step: Step, discriminators: bool) -> bool:
        state = training.start(spec, SHAPE)
        assert state.generator is not None
        mine, other = state.discriminator.network, state.generator.network
        if not discriminators:
            mine, other = other, mine
        ours, theirs = copy_of(mine), copy_of(other)
        state.step = 1
        step(spec, family, state, batch)
        assert not unchanged(mine, ours)
        return unchanged(other, theirs)

    assert leaves_the_other_alone(training.discriminator_step, discriminators=True)
    assert not leaves_the_other_alone(without_lists, discriminators=True)
    assert leaves_the_other_alone(training.generator_step, discriminators=False)
    assert not leaves_the_other_alone(without_lists_for_the_generator, discriminators=False)


def of_probabilities(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Metrics]:
    """The fault: a sigmoid before a loss that expects logits."""
    return logistic(d(batch.real, batch.labels).sigmoid(), d(fake, batch.labels).sigmoid()), {}


def test_probabilities_fed_as_logits() -> None:
    """Ledger 6: a discriminator that is right and sure pays nothing; of probabilities, never less than 1.006."""

    def lets_the_best_pay_nothing(loss: Loss) -> bool:
        return judged(loss, 50.0, of_logits(-50.0)).item() < 1e-6

    assert lets_the_best_pay_nothing(FAMILIES["gan"].d_loss)
    assert not lets_the_best_pay_nothing(of_probabilities)
    least = judged(of_probabilities, 50.0, of_logits(-50.0)).item()
    assert least == pytest.approx(log(1 + exp(-1)) + log(2))
    assert least == pytest.approx(1.006, abs=1e-3)


def taught(spec: Any, digits: ImageSet) -> tuple[State, Tensor]:
    """Give cgan's generator the weights of one that has learned each digit's mean, and those means (10, 64)."""
    state = training.start(spec, SHAPE)
    assert state.generator is not None
    means = torch.stack([digits.images[digits.labels == label].float().mean(0).flatten() for label in range(10)])
    first, _, last = state.generator.served.layers  # type: ignore[union-attr, misc]  # modules have no types
    with torch.no_grad():
        for tensor in (first.weight, last.weight):
            tensor.zero_()
        first.weight[:10, spec.latent_size :] = torch.eye(10)
        last.weight[:, :10] = (means / 255).clamp(0.01, 0.99).logit().T
    return state, means


def test_the_label_written_into_the_code() -> None:
    """Ledger 7: who asks for a label gets that digit, as one reads it who only ever saw real ones."""
    spec, digits = asked("cgan", hidden=[128]), datasets.load("digits", Path("nowhere")).train
    state, means = taught(spec, digits)

    def draws_what_is_asked_for(draw: Callable[[Tensor], Tensor]) -> bool:
        labels = torch.arange(50) % 10
        read = torch.cdist(draw(labels).flatten(1).float(), means).argmin(1)
        return torch.equal(read, labels)

    def draw(labels: Tensor) -> Tensor:
        return evaluation.generate(spec, state, labels).images

    assert draws_what_is_asked_for(draw)
    assert not draws_what_is_asked_for(lambda labels: draw(torch.full_like(labels, 7)))


def scaled_twice(images: Tensor, output_range: tuple[float, float]) -> Tensor:
    """The fault: the loader had already divided by 255."""
    return (images.float() - 127.5) / 127.5


def test_data_scaled_twice() -> None:
    """Ledger 9: black and white span the range of the generator's output; scaled twice, 0.008 of it is left."""

    def spans_the_range(scale: Callable[[Tensor, tuple[float, float]], Tensor], images: Tensor) -> bool:
        scaled = scale(images, (-1.0, 1.0))
        return (scaled.min().item(), scaled.max().item()) == (-1.0, 1.0)

    unit = torch.tensor([0.0, 1.0])
    assert spans_the_range(batches.to_range, unit)
    assert spans_the_range(batches.to_range, (255 * unit).to(torch.uint8))
    assert not spans_the_range(scaled_twice, unit)
    contrast = scaled_twice(unit, (-1.0, 1.0)).diff().item()
    assert contrast == pytest.approx(0.008, abs=2e-4)


def swapped(spec: Any, step: int) -> Rates:
    """The fault: two rates handed over in the wrong order."""
    right = cooldown(spec, step)
    return replace(right, discriminator=right.generator, generator=right.discriminator)


def test_swapped_learning_rates() -> None:
    """Ledger 12: Adam's first step moves a weight by its network's rate, so each network tells which one it got."""
    spec = asked(generator_learning_rate=1e-4, discriminator_learning_rate=3e-4)

    def gives_each_its_own_rate(family: Family) -> bool:
        state = training.start(spec, SHAPE)
        assert state.generator is not None
        players = (state.discriminator.network, state.generator.network)
        before = [copy_of(network) for network in players]
        training.step(spec, family, state, [batch_for(spec)])
        moved = [furthest(network, ago) for network, ago in zip(players, before, strict=True)]
        return moved == pytest.approx([3e-4, 1e-4], rel=0.01)

    assert gives_each_its_own_rate(FAMILIES["gan"])
    assert not gives_each_its_own_rate(replace(FAMILIES["gan"], schedule=swapped))


def of_one_class(d: nn.Module, batch: Batch, fake: Tensor, spec: Any) -> tuple[Tensor, Metrics]:
    """The fault: a softmax over one output is 1, whatever the output."""
    logits = torch.cat([d(batch.real, batch.labels), d(fake, batch.labels)])[:, None]
    return cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64)), {}


def test_softmax_cross_entropy_over_a_single_output() -> None:
    """Ledger 16: a discriminator that cannot tell must pay, and learn from it."""

    def teaches(loss: Loss) -> bool:
        fake = of_logits(0.0).requires_grad_()
        found = judged(loss, 0.0, fake)
        found.backward()
        assert fake.grad is not None
        return found.item() > 0.1 and fake.grad.abs().sum().item() > 0.1

    assert teaches(FAMILIES["gan"].d_loss)
    assert not teaches(of_one_class)
    assert judged(of_one_class, 3.0, of_logits(3.0)).item() == 0


def two_trainers(spec: Any, family: Family, state: State, batch: Batch) -> Metrics:
    """The fault: one optimizer for the real images and another for the fakes, each with moments of its own."""
    d = state.discriminator.network
    fake = torch.rand_like(batch.real)
    for sign, images in ((-1, batch.real), (1, fake)):
        trainer = Adam(d.parameters(), spec.discriminator_learning_rate)
        trainer.zero_grad()
        torch.autograd.backward(torch.nn.functional.softplus(sign * d(images, batch.labels)).mean())
        trainer.step()
    return {}


def test_several_optimizers_for_one_network() -> None:
    """Ledger 19: one update is one step of one Adam, whose first moves most weights by the rate.

    Two of them pull each weight up and down by as much.
    """
    spec = asked()
    rate = spec.discriminator_learning_rate

    def takes_one_step(step: Step) -> bool:
        state = training.start(spec, SHAPE)
        before = copy_of(state.discriminator.network)
        step(spec, FAMILIES["gan"], state, batch_for(spec))
        after = state.discriminator.network.state_dict()
        moved = torch.cat([(after[name] - before[name]).abs().flatten() for name in before])
        return ((moved / rate - 1).abs() < 0.05).float().mean().item() > 0.5

    assert takes_one_step(training.discriminator_step)
    assert not takes_one_step(two_trainers)
    player = training.start(spec, SHAPE).discriminator
    kept = [name for name, _ in optimizers.moments(player.optimizer, player.network)]
    assert len(kept) == len(set(kept)) == 3 * len(list(player.network.parameters()))


def without_the_penalty(spec: Any, family: Family, state: State, batch: Batch) -> Metrics:
    """The fault: the penalty is declared, computed and reported, and never added to the loss."""
    return training.discriminator_step(spec.model_copy(update={"r1_weight": 0.0}), family, state, batch)


@pytest.mark.parametrize("name", ["gan", "wgan", "wgan_gp", "cgan", "dcgan"])
def test_a_penalty_that_is_declared_and_never_added(name: str) -> None:
    """Ledger 20: a penalty's weight must change what the discriminator learns."""

    def is_felt(step: Step) -> bool:
        learned = []
        for weight in (0.0, 10.0):
            spec = asked(name, r1_weight=weight, r1_every=1)
            state = training.start(spec, SHAPE)
            step(spec, FAMILIES[name], state, batch_for(spec))
            learned.append(copy_of(state.discriminator.network))
        return any(not torch.equal(learned[0][key], learned[1][key]) for key in learned[0])

    assert is_felt(training.discriminator_step)
    assert not is_felt(without_the_penalty)
