"""Faults of the fourth write-up, on its own generator."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.optim import Adam, Optimizer

from ganmodels import training
from ganmodels.families import convgan
from ganmodels.families.convgan import FAMILY, Generator, doubled
from ganmodels.family import Batch, Family, ImageShape
from ganmodels.specs import SPEC

SHAPE = ImageShape(1, 28, 10)


def asked(**knobs: Any) -> Any:
    small = {"device": "cpu", "threads": 1, "precision": "fp32", "batch_size": 4}
    return SPEC.validate_python({"family": "convgan", **small, **knobs})


def without_the_shifts(network: nn.Module, spec: Any, rate: float) -> Optimizer:
    """The fault: the generator's variables are chosen by a name that BatchNorm's shifts do not bear."""
    shifts = {f"norms.{place}.bias" for place in range(3)}
    return Adam([parameter for name, parameter in network.named_parameters() if name not in shifts], rate)


def test_shifts_left_out_of_the_optimizer() -> None:
    """Ledger 17: a generator step changes every parameter of the generator."""
    spec = asked()
    batch = Batch(torch.rand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64))

    def moves_everything(family: Family) -> bool:
        state = training.start(spec, SHAPE)
        assert state.generator is not None
        network = state.generator.network
        state.generator.optimizer = family.optimizer(network, spec, spec.generator_learning_rate)
        before = {name: parameter.clone() for name, parameter in network.named_parameters()}
        state.step = 1
        training.generator_step(spec, family, state, batch)
        return not any(torch.equal(parameter, before[name]) for name, parameter in network.named_parameters())

    assert moves_everything(FAMILY)
    assert not moves_everything(replace(FAMILY, optimizer=without_the_shifts))


def test_batch_norm_in_training_mode_when_sampling_one_image() -> None:
    """Ledger 18: an image asked for alone is the one drawn among others."""
    spec = asked(d_pretrain_steps=0)
    state = training.start(spec, SHAPE)
    assert state.generator is not None
    state.step = 1
    training.generator_step(spec, FAMILY, state, Batch(torch.rand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)))
    z, labels = torch.randn(5, 100, generator=torch.Generator().manual_seed(1)), torch.zeros(5, dtype=torch.int64)

    @torch.no_grad()
    def draws_alone_what_it_draws_among_others(generator: nn.Module) -> bool:
        among, alone = generator(z, labels)[:1], generator(z[:1], labels[:1])
        return torch.allclose(among, alone, atol=1e-6)

    assert draws_alone_what_it_draws_among_others(state.generator.served)
    assert not draws_alone_what_it_draws_among_others(state.generator.network.train())


def test_a_resize_undone_by_the_next_stride() -> None:
    """Ledger 21: the write-up's last resize does nothing that its 1×1 stride does not undo: the generator has neither.

    A resize that did something, by copies a pixel further on, would change the image.
    """
    features = torch.rand(2, 25, 28, 28, generator=torch.Generator().manual_seed(1))
    last = Generator(asked(), SHAPE).layers[2]
    assert isinstance(last, nn.Conv2d)

    def is_undone(resize: Callable[[Tensor], Tensor]) -> bool:
        resized = conv2d(resize(features), last.weight, last.bias, stride=2)
        return torch.allclose(resized, last(features), atol=1e-6)

    assert is_undone(doubled)
    assert not is_undone(lambda pixels: doubled(pixels).roll(1, dims=3))
    assert convgan.__doc__ is not None
    assert "resize is undone by the next stride" in convgan.__doc__
