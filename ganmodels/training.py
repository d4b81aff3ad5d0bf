"""One step, written once, and the loop around it: no I/O, no logging, no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganmodels import averaging, batches, draws, optimizers, penalties, precision
from ganmodels.augmentation import Augmented
from ganmodels.datasets import ImageSet
from ganmodels.draws import Purpose
from ganmodels.families import FAMILIES
from ganmodels.family import Batch, Family, ImageShape, Metrics
from ganmodels.normalization import frozen_statistics
from ganmodels.packing import Packed
from ganmodels.specs.knobs import AdversarialKnobs, Knobs, PenaltyKnobs

FIRST_BATCHES = 5  # of real images, that first weights may be fitted to


@dataclass
class Player:
    """A network in training, what moves it, and the average of its weights where one is kept."""

    network: nn.Module
    optimizer: Optimizer
    averaged: nn.Module | None

    @property
    def served(self) -> nn.Module:
        """The network that answers: the average where there is one."""
        return self.network if self.averaged is None else self.averaged


@dataclass
class State:
    """All that a run has learned; with the spec and the data it decides everything to come.

    `adopted` says that the networks of another run are what it begins with.
    """

    step: int
    rollbacks: int
    shape: ImageShape
    device: str
    discriminator: Player
    generator: Player | None
    adopted: bool = False


def start(spec: Knobs, shape: ImageShape, device: str = "cpu") -> State:
    """Make the networks that the seed decides, untrained. Those that will answer are averaged."""
    family = family_of(spec)
    rates = family.schedule(spec, 1)
    generator = None
    if family.generator is not None:
        with draws.seeded(spec.seed, 0, 0, Purpose.GENERATOR_WEIGHTS):  # the networks initialize themselves
            drawn = family.generator(spec, shape).to(device)
        generator = Player(drawn, family.optimizer(drawn, spec, rates.generator), averaging.averaged_copy(drawn))
    with draws.seeded(spec.seed, 0, 0, Purpose.DISCRIMINATOR_WEIGHTS):
        network = family.discriminator(spec, _as_packed(spec, shape)).to(device)
    averaged = averaging.averaged_copy(network) if family.classify is not None else None
    discriminator = Player(network, family.optimizer(network, spec, rates.discriminator), averaged)
    return State(0, 0, shape, device, discriminator, generator)


def family_of(spec: Knobs) -> Family:
    """Find the family that a spec belongs to."""
    return FAMILIES[spec.family]


def _as_packed(spec: Knobs, shape: ImageShape) -> ImageShape:
    packing = spec.packing if isinstance(spec, AdversarialKnobs) else 1
    return ImageShape(packing * shape.channels, shape.size, shape.labels)


def train(spec: Knobs, state: State, images: ImageSet) -> Iterator[tuple[int, Metrics]]:
    """Advance `state` step by step to `spec.total_steps`; yield each step's number and metrics, still on the device.

    Before the first step, yield step 0 once for each update of the discriminator's pre-training. The spec must be
    resolved (`precision.resolve`). Sets the number of threads for the whole process.
    """
    precision.apply(spec)
    family = family_of(spec)
    supply = batches.supply(images, spec, family.output_range(spec), state.device)
    if state.step == 0 and not state.adopted:
        _look_first(spec, family, state, [supply.batch(update) for update in range(1, 1 + FIRST_BATCHES)])
    if state.step == 0 and isinstance(spec, AdversarialKnobs):
        for update in range(1, spec.d_pretrain_steps + 1):
            yield 0, pretraining_step(spec, family, state, supply.batch(update))
    each = spec.discriminator_steps if isinstance(spec, AdversarialKnobs) else 1
    while state.step < spec.total_steps:
        first = state.step * each + 1
        yield state.step + 1, step(spec, family, state, [supply.batch(first + more) for more in range(each)])


def _look_first(spec: Knobs, family: Family, state: State, batches: Sequence[Batch]) -> None:
    """Let the discriminator fit its first weights to the images that its first steps see, and its average begin there.

    A run without a generator learns of its labeled images alone.
    """
    player = state.discriminator
    with draws.seeded(spec.seed, state.rollbacks, 0, Purpose.FIRST_LOOK, state.device):
        seen = [batch.labeled if state.generator is None else batch.real for batch in batches]
        family.first_look(player.network, torch.cat(seen), spec)
    if player.averaged is not None:
        player.averaged.load_state_dict(player.network.state_dict())


def pretraining_step(spec: Knobs, family: Family, state: State, batch: Batch) -> Metrics:
    """Update the discriminator before the generator's first update."""
    with draws.seeded(spec.seed, state.rollbacks, batch.update, Purpose.PRETRAINING_STEP, state.device):
        return _discriminator_update(spec, family, state, batch, Purpose.PRETRAINING_NOISE)


def step(spec: Knobs, family: Family, state: State, seen: Sequence[Batch]) -> Metrics:
    """Update the discriminator once for each batch, then the generator beside the last one, then the averages."""
    state.step += 1
    rates = family.schedule(spec, state.step)
    optimizers.set_rates(state.discriminator.optimizer, rates.discriminator, rates.beta2)
    metrics: Metrics = {}
    for batch in seen:
        metrics = discriminator_step(spec, family, state, batch)
    if state.generator is not None and rates.generator > 0:
        optimizers.set_rates(state.generator.optimizer, rates.generator, rates.beta2)
        metrics |= generator_step(spec, family, state, seen[-1])
    for player in (state.generator, state.discriminator):
        if player is not None and player.averaged is not None:
            averaging.update(player.averaged, player.network, rates.ema_decay)
    return metrics


def discriminator_step(spec: Knobs, family: Family, state: State, batch: Batch) -> Metrics:
    """Update the discriminator alone: no graph is built for the generator, and its statistics stay as they are."""
    with draws.seeded(spec.seed, state.rollbacks, batch.update, Purpose.DISCRIMINATOR_STEP, state.device):
        return _discriminator_update(spec, family, state, batch, Purpose.DISCRIMINATOR_NOISE)


def _discriminator_update(spec: Knobs, family: Family, state: State, batch: Batch, purpose: Purpose) -> Metrics:
    player = state.discriminator
    d = as_seen(player.network, spec, family)
    fake = batch.real[:0]
    if state.generator is not None:
        g = state.generator.network
        with torch.no_grad(), frozen_statistics(g), precision.autocast(spec, state.device):
            fake = g(_noise(spec, state, batch.update, purpose), batch.labels)
    with precision.autocast(spec, state.device):
        loss, metrics = family.d_loss(d, batch, fake, spec)
    metrics["d_loss"] = loss
    if isinstance(spec, PenaltyKnobs) and spec.r1_weight > 0 and batch.update % spec.r1_every == 0:
        assert family.score is not None
        # In full precision: a squared gradient of half-precision logits is mostly rounding.
        with frozen_statistics(d):
            metrics["r1"] = penalties.zero_centered(d, batch.real, batch.labels, family.score)
        loss = loss + spec.r1_weight / 2 * spec.r1_every * metrics["r1"]
    metrics["d_gradient_norm"] = _descend(player, loss)
    family.after_update(player.network, spec)
    return {name: value.detach() for name, value in metrics.items()}


def generator_step(spec: Knobs, family: Family, state: State, batch: Batch) -> Metrics:
    """Update the generator alone: gradients flow through the discriminator but not into it."""
    assert state.generator is not None
    assert family.g_loss is not None
    player, network = state.generator, state.discriminator.network
    d = as_seen(network, spec, family)
    network.requires_grad_(False)
    with (
        draws.seeded(spec.seed, state.rollbacks, state.step, Purpose.GENERATOR_STEP, state.device),
        frozen_statistics(network),
        precision.autocast(spec, state.device),
    ):
        fake = player.network(_noise(spec, state, state.step, Purpose.GENERATOR_NOISE), batch.labels)
        loss, metrics = family.g_loss(d, batch, fake, spec)
    metrics["g_loss"] = loss
    metrics["g_gradient_norm"] = _descend(player, loss)
    network.requires_grad_(True)
    return {name: value.detach() for name, value in metrics.items()}


def as_seen(network: nn.Module, spec: Knobs, family: Family) -> nn.Module:
    """Give the discriminator as the losses see it: of packs, and of disturbed images, where the spec says so."""
    if isinstance(spec, AdversarialKnobs):
        if spec.packing > 1:
            network = Packed(network, spec.packing)
        if spec.augment:
            network = Augmented(network, spec.augment, family.output_range(spec))
    return network


def noise(spec: AdversarialKnobs, count: int, random: torch.Generator) -> Tensor:
    """Draw what `count` images begin with (count, Z), from the family's distribution, on the CPU."""
    latent = family_of(spec).latent
    assert latent is not None
    return draws.noise(latent(spec), count, spec.latent_size, random)


def _noise(spec: Knobs, state: State, number: int, purpose: Purpose) -> Tensor:
    assert isinstance(spec, AdversarialKnobs)
    random = draws.source(spec.seed, state.rollbacks, number, purpose)
    return noise(spec, spec.batch_size, random).to(state.device)


def _descend(player: Player, loss: Tensor) -> Tensor:
    """Take one step down `loss` and tell the gradient's norm before it."""
    player.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    norm = torch.nn.utils.get_total_norm([p.grad for p in player.network.parameters() if p.grad is not None])
    player.optimizer.step()
    return norm
