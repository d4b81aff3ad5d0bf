"""One step, written once, and the loop around it: no I/O, no logging, no clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganmodels import averaging, batches, draws, penalties, precision
from ganmodels.datasets import ImageSet
from ganmodels.draws import Purpose
from ganmodels.families import FAMILIES
from ganmodels.family import Batch, Family, ImageShape, Metrics
from ganmodels.normalization import frozen_statistics
from ganmodels.specs import Spec


@dataclass
class State:
    """All that a run has learned; with the spec and the data it decides everything to come."""

    step: int
    rollbacks: int
    shape: ImageShape
    device: str
    generator: nn.Module
    discriminator: nn.Module
    averaged: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam


def start(spec: Spec, shape: ImageShape, device: str = "cpu") -> State:
    """Make the networks that the seed decides, untrained."""
    family = FAMILIES[spec.family]
    with _random_weights(spec, Purpose.GENERATOR_WEIGHTS):
        generator = family.generator(spec, shape)
    with _random_weights(spec, Purpose.DISCRIMINATOR_WEIGHTS):
        discriminator = family.discriminator(spec, shape)
    generator, discriminator = generator.to(device), discriminator.to(device)
    return State(
        step=0,
        rollbacks=0,
        shape=shape,
        device=device,
        generator=generator,
        discriminator=discriminator,
        averaged=averaging.averaged_copy(generator),
        generator_optimizer=_adam(spec, generator, spec.generator_learning_rate),
        discriminator_optimizer=_adam(spec, discriminator, spec.discriminator_learning_rate),
    )


@contextmanager
def _random_weights(spec: Spec, purpose: Purpose) -> Iterator[None]:
    """Let networks initialize themselves from PyTorch's global generator, seeded, and put it back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws.number(spec.seed, 0, 0, purpose))
        yield


def _adam(spec: Spec, network: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(spec.beta1, spec.beta2), fused=True)


def train(spec: Spec, state: State, images: ImageSet) -> Iterator[tuple[int, Metrics]]:
    """Advance `state` step by step to `spec.total_steps`; yield each step's number and metrics, still on the device.

    The spec must be resolved (`precision.resolve`). Sets the number of threads for the whole process.
    """
    precision.apply(spec)
    family = FAMILIES[spec.family]
    real = batches.supply(images, spec.seed, spec.batch_size, family.output_range, state.device)
    while state.step < spec.total_steps:
        yield state.step + 1, step(spec, family, state, real.batch(state.step + 1))


def step(spec: Spec, family: Family, state: State, batch: Batch) -> Metrics:
    """Update the discriminator, then the generator, then the average. Fakes carry the labels of the batch."""
    state.step += 1
    _set_rates(spec, state)
    metrics = discriminator_step(spec, family, state, batch)
    metrics |= generator_step(spec, family, state, batch.labels)
    averaging.update(state.averaged, state.generator, spec.ema_decay)
    return metrics


def _set_rates(spec: Spec, state: State) -> None:
    """Set both learning rates: whole until the cooldown, then falling to nothing in a straight line."""
    left = (spec.total_steps - state.step + 1) / spec.total_steps
    share = min(1.0, left / spec.cooldown) if spec.cooldown > 0 else 1.0
    for optimizer, rate in (
        (state.generator_optimizer, spec.generator_learning_rate),
        (state.discriminator_optimizer, spec.discriminator_learning_rate),
    ):
        for group in optimizer.param_groups:
            group["lr"] = rate * share


def discriminator_step(spec: Spec, family: Family, state: State, batch: Batch) -> Metrics:
    """Update the discriminator alone: no graph is built for the generator, and its statistics stay as they are."""
    d, g = state.discriminator, state.generator
    with torch.no_grad(), frozen_statistics(g), precision.autocast(spec, state.device):
        fake = g(_noise(spec, family, state, Purpose.DISCRIMINATOR_NOISE), batch.labels)
    with precision.autocast(spec, state.device):
        loss, metrics = family.d_loss(d, batch, fake, spec)
    metrics["d_loss"] = loss
    if spec.r1_weight > 0 and state.step % spec.r1_every == 0:
        # In full precision: a squared gradient of half-precision logits is mostly rounding.
        with frozen_statistics(d):
            metrics["r1"] = penalties.zero_centered(d, batch.real, batch.labels)
        loss = loss + spec.r1_weight / 2 * spec.r1_every * metrics["r1"]
    metrics["d_gradient_norm"] = _descend(state.discriminator_optimizer, d, loss)
    return {name: value.detach() for name, value in metrics.items()}


def generator_step(spec: Spec, family: Family, state: State, labels: Tensor) -> Metrics:
    """Update the generator alone: gradients flow through the discriminator but not into it."""
    d, g = state.discriminator, state.generator
    d.requires_grad_(False)
    with frozen_statistics(d), precision.autocast(spec, state.device):
        fake = g(_noise(spec, family, state, Purpose.GENERATOR_NOISE), labels)
        loss, metrics = family.g_loss(d, fake, labels, spec)
    metrics["g_loss"] = loss
    metrics["g_gradient_norm"] = _descend(state.generator_optimizer, g, loss)
    d.requires_grad_(True)
    return {name: value.detach() for name, value in metrics.items()}


def _noise(spec: Spec, family: Family, state: State, purpose: Purpose) -> Tensor:
    random = draws.source(spec.seed, state.rollbacks, state.step, purpose)
    return draws.noise(family.latent, spec.batch_size, spec.latent_size, random).to(state.device)


def _descend(optimizer: torch.optim.Adam, network: nn.Module, loss: Tensor) -> Tensor:
    """Take one step down `loss` and tell the gradient's norm before it."""
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    norm = torch.nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
    optimizer.step()
    return norm
