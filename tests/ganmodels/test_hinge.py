from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ganmodels import checkpoints, training
from ganmodels.export import _still
from ganmodels.families import hinge
from ganmodels.family import Batch, ImageShape
from ganmodels.specs import SPEC
from ganmodels.training import State

SHAPE = ImageShape(1, 8, 10)


class Fixed(nn.Module):
    """Answers what its images hold."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.flatten()


def images(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def asked(**knobs: Any) -> Any:
    small = {"family": "hinge", "dataset": "digits", "width": 8, "batch_size": 4, "precision": "fp32"}
    return SPEC.validate_python(small | knobs)


def batch() -> Batch:
    random = torch.Generator().manual_seed(1)
    return Batch(torch.rand(4, 1, 8, 8, generator=random) * 2 - 1, torch.arange(4))


def estimates(network: nn.Module) -> dict[str, Tensor]:
    """Copy the singular vectors that spectral norm keeps."""
    return {name: buffer.clone() for name, buffer in network.named_buffers() if name.endswith(("_u", "_v"))}


def moved(state: State, before: dict[str, Tensor]) -> bool:
    after = estimates(state.discriminator.network)
    return any(not torch.equal(after[name], vector) for name, vector in before.items())


def test_who_is_right_by_a_margin_of_1_pays_nothing() -> None:
    labels, spec = torch.zeros(2, dtype=torch.int64), asked()
    loss, _ = hinge.d_loss(Fixed(), Batch(images(1.0, 7.0), labels), images(-1.0, -9.0), spec)
    assert loss == 0
    loss, metrics = hinge.d_loss(Fixed(), Batch(images(0.5, 2.0), labels), images(-3.0, 0.0), spec)
    assert loss.item() == pytest.approx(0.5 / 2 + 1 / 2)
    assert metrics["d_real"].item() == pytest.approx(1.25)
    assert metrics["d_fake"].item() == pytest.approx(-1.5)


def test_the_generator_is_pulled_however_well_it_passes() -> None:
    fake = images(9.0, -9.0).requires_grad_()
    loss, _ = hinge.g_loss(Fixed(), Batch(fake, torch.zeros(2, dtype=torch.int64)), fake, asked())
    assert loss == 0
    torch.autograd.backward(loss)
    assert fake.grad is not None
    assert fake.grad.flatten().tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("conditional", [False, True])
def test_every_weight_of_the_discriminator_is_held_to_a_largest_singular_value_of_1(conditional: bool) -> None:
    spec = asked(conditional=conditional, discriminator_learning_rate=0.05, initial_deviation=0.5)
    state = training.start(spec, SHAPE)
    for _ in range(5):
        state.step += 1
        training.discriminator_step(spec, hinge.FAMILY, state, batch())
    network = state.discriminator.network
    for _ in range(50):  # the estimate lags behind the weights that just moved
        network(batch().real, batch().labels)
    normed = [module for module in network.modules() if is_parametrized(module)]
    assert len(normed) == sum(isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding) for module in network.modules())
    for module in normed:
        weight = module.weight
        assert isinstance(weight, Tensor)
        largest = torch.linalg.matrix_norm(weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, rel=1e-3)


def test_real_images_alone_move_the_estimate() -> None:
    state, spec = training.start(asked(), SHAPE), asked()
    before = estimates(state.discriminator.network)
    state.step = 1
    training.generator_step(spec, hinge.FAMILY, state, batch())
    assert not moved(state, before)
    training.discriminator_step(spec, hinge.FAMILY, state, batch())
    assert moved(state, before)


def test_one_update_takes_one_power_iteration() -> None:
    state, other = training.start(asked(), SHAPE), training.start(asked(), SHAPE)
    with torch.no_grad():
        hinge.d_loss(state.discriminator.network, batch(), batch().real, asked())
        other.discriminator.network(batch().real, batch().labels)
    alike = estimates(other.discriminator.network)
    assert not moved(state, alike)


def test_a_checkpoint_holds_the_estimate() -> None:
    state = training.start(asked(), SHAPE)
    stored = checkpoints.tensors(state)
    for name in estimates(state.discriminator.network):
        assert f"discriminator.{name}" in stored


def test_what_is_exported_has_the_norm_baked_in() -> None:
    state = training.start(asked(), SHAPE)
    still = _still(state.discriminator)
    assert not any(is_parametrized(module) for module in still.modules())
    network = state.discriminator.network.eval()
    with torch.no_grad():
        torch.testing.assert_close(still(batch().real, batch().labels), network(batch().real, batch().labels))
    assert any(is_parametrized(module) for module in network.modules())  # the one in training keeps its own
