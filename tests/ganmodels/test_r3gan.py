import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganmodels import precision, training
from ganmodels.datasets import ImageSet
from ganmodels.families import r3gan
from ganmodels.family import Batch, ImageShape
from ganmodels.specs import SPEC

POINTS = ImageShape(2, 1, 8)
LABELS = torch.zeros(2, dtype=torch.int64)


class Slope(nn.Module):
    """A discriminator whose gradient is known: `slope` for every pixel, from `level` up."""

    def __init__(self, slope: float = 1.0, level: float = 0.0) -> None:
        super().__init__()
        self.slope, self.level = slope, level

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.slope * images.sum(dim=(1, 2, 3)) + self.level


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "r3gan", **knobs})


def pixels(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def test_each_real_image_is_to_score_above_the_fake_beside_it() -> None:
    spec = asked(penalty_weight=0.0, final_penalty_weight=0.0)
    real, fake = pixels(1.0, 5.0), pixels(0.0, 7.0)
    pairs = torch.tensor([-1.0, 2.0])
    loss, metrics = r3gan.d_loss(Slope(), Batch(real, LABELS), fake, spec)
    assert loss.item() == pytest.approx(softplus(pairs).mean().item())
    assert (metrics["d_real"], metrics["d_fake"]) == (3.0, 3.5)
    loss, _ = r3gan.g_loss(Slope(), Batch(real, LABELS), fake, spec)
    assert loss.item() == pytest.approx(softplus(-pairs).mean().item())
    swapped, _ = r3gan.d_loss(Slope(), Batch(real, LABELS), fake.flip(0), spec)
    assert swapped.item() == pytest.approx(softplus(torch.tensor([6.0, -5.0])).mean().item())


def test_both_sides_pay_half_of_gamma_for_the_discriminators_slope() -> None:
    images = torch.zeros(2, 1, 2, 2)
    loss, metrics = r3gan.d_loss(Slope(slope=3.0), Batch(images, LABELS), images, asked(penalty_weight=0.5))
    assert metrics["r1"] == metrics["r2"] == 4 * 3.0**2
    assert loss.item() == pytest.approx(math.log(2) + 0.5 / 2 * (36 + 36))


def test_the_penalties_move_the_discriminators_weights() -> None:
    spec = asked(dataset="digits", width=4)
    network = r3gan.discriminator(spec, ImageShape(1, 8, 10))
    random = torch.Generator().manual_seed(0)
    batch = Batch(torch.randn(4, 1, 8, 8, generator=random), torch.zeros(4, dtype=torch.int64))
    _, metrics = r3gan.d_loss(network, batch, torch.randn(4, 1, 8, 8, generator=random), spec)
    for penalty in (metrics["r1"], metrics["r2"]):
        gradients = torch.autograd.grad(penalty, list(network.parameters()), retain_graph=True, allow_unused=True)
        assert sum(gradient.abs().sum().item() for gradient in gradients if gradient is not None) > 0


def test_a_level_common_to_all_images_changes_nothing_so_no_weight_is_spent_on_it() -> None:
    batch, fake, spec = Batch(pixels(1.0, 2.0), LABELS), pixels(0.0, 0.0), asked()
    here, there = (r3gan.d_loss(Slope(level=level), batch, fake, spec)[0].item() for level in (0.0, 100.0))
    assert here == pytest.approx(there)
    assert r3gan.Discriminator(asked(dataset="digits"), ImageShape(1, 8, 10)).logit.bias is None
    assert r3gan.PointDiscriminator(asked(dataset="ring"), POINTS).layers[-1].bias is None


def test_a_logit_alone_says_nothing_and_is_not_served() -> None:
    assert asked().serves == ("images",)
    assert asked(conditional=True).serves == ("labels", "images")


def test_the_penalties_are_taken_in_full_precision() -> None:
    spec = asked(dataset="digits", width=4, precision="bf16")
    network = r3gan.discriminator(spec, ImageShape(1, 8, 10))
    random = torch.Generator().manual_seed(0)
    images = torch.randn(2, 4, 1, 8, 8, generator=random)
    batch = Batch(images[0], torch.zeros(4, dtype=torch.int64))
    _, expected = r3gan.d_loss(network, batch, images[1], spec)
    with precision.autocast(spec, "cpu"):
        _, found = r3gan.d_loss(network, batch, images[1], spec)
        assert network(images[0], batch.labels)[0] != expected["d_real"]  # half precision was on all the time
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_papers_settings_move_as_the_authors_do() -> None:
    """Their `cosine_decay_with_warmup` over 20 million images, 512 at a time, with the values for CIFAR-10."""
    spec = asked(preset="paper")
    first, middle, last = (r3gan.schedule(spec, 1 + step) for step in (0, spec.total_steps / 2, spec.total_steps))
    assert (first.generator, first.beta2, first.ema_decay) == (2e-4, 0.9, 0.0)
    assert middle.generator == pytest.approx((2e-4 + 5e-5) / 2)
    assert middle.beta2 == pytest.approx(0.945)
    assert 512 * math.log(0.5) / math.log(middle.ema_decay) == pytest.approx(2.5e6)
    assert (last.generator, last.discriminator) == pytest.approx((5e-5, 5e-5))
    assert last.beta2 == pytest.approx(0.99)
    assert 512 * math.log(0.5) / math.log(last.ema_decay) == pytest.approx(5e6)
    weights = [r3gan.penalty_weight(spec, 1 + update) for update in (0, spec.total_steps // 4, spec.total_steps)]
    gone = (1 - math.cos(math.pi / 4)) / 2
    assert weights == pytest.approx([0.05, 0.05 - gone * 0.045, 0.005], rel=1e-3)
    assert spec.total_steps * 512 == pytest.approx(20e6, rel=1e-4)


def test_after_the_burn_in_the_last_values_stay() -> None:
    spec = asked(total_steps=1000, burn_in=0.5, cooldown=0.0)
    at_its_end, later = r3gan.schedule(spec, 501), r3gan.schedule(spec, 900)
    assert at_its_end == later
    assert later.beta2 == pytest.approx(spec.final_beta2)
    assert later.ema_decay == pytest.approx(spec.ema_decay)
    assert r3gan.schedule(asked(burn_in=0.0), 1).ema_decay == asked().ema_decay


def test_gamma_follows_the_generators_steps_when_the_discriminator_takes_several() -> None:
    spec = asked(total_steps=1000, discriminator_steps=5, burn_in=1.0)
    ours = [r3gan.penalty_weight(spec, update) for update in (1, 5, 6, 5000)]
    alone = [r3gan.penalty_weight(asked(total_steps=1000, burn_in=1.0), step) for step in (1, 1, 2, 1000)]
    assert ours == alone
    assert alone[0] > alone[2] > alone[3]


def test_the_optimizers_take_the_rates_and_the_decay_of_each_step() -> None:
    spec = precision.resolve(asked(dataset="ring", total_steps=4, batch_size=4, hidden=[4], device="cpu", threads=1))
    state, images = training.start(spec, POINTS), ImageSet(torch.rand(8, 2, 1, 1), torch.arange(8), tuple("01234567"))
    assert state.generator is not None
    for step, metrics in training.train(spec, state, images):
        rates = r3gan.schedule(spec, step)
        for player, rate in ((state.discriminator, rates.discriminator), (state.generator, rates.generator)):
            (group,) = player.optimizer.param_groups
            assert (group["lr"], group["betas"]) == (rate, (spec.beta1, rates.beta2))
        assert metrics.keys() >= {"r1", "r2", "d_real", "d_fake"}
    assert rates.beta2 is not None
    assert rates.beta2 > spec.beta2


@pytest.mark.parametrize("conditional", [False, True])
def test_points_have_small_networks_of_their_own(conditional: bool) -> None:
    spec = asked(dataset="ring", hidden=[16, 32], latent_size=3, conditional=conditional)
    generator, discriminator = r3gan.generator(spec, POINTS), r3gan.discriminator(spec, POINTS)
    labels, each = torch.arange(8), 8 * conditional
    drawn = generator(10 * torch.randn(8, 3), labels)
    assert drawn.shape == (8, 2, 1, 1)
    assert -1 <= drawn.min() < drawn.max() <= 1
    assert discriminator(drawn, labels).shape == (8,)
    sizes = [sum(weight.numel() for weight in network.parameters()) for network in (generator, discriminator)]
    hidden = 16 + 16 * 32 + 32
    assert sizes == [16 * (3 + each) + hidden + 33 * 2, 16 * (2 + each) + hidden + 32]


def test_a_label_chooses_the_point_when_asked_to() -> None:
    spec = asked(dataset="ring", conditional=True)
    network, z = r3gan.PointGenerator(spec, POINTS), torch.randn(1, spec.latent_size).expand(2, -1)
    ones, twos = network(z, torch.tensor([1, 2]))
    assert not torch.equal(ones, twos)
    plain = r3gan.PointGenerator(asked(dataset="ring"), POINTS)
    ones, twos = plain(z[:, : asked(dataset="ring").latent_size], torch.tensor([1, 2]))
    assert torch.equal(ones, twos)


def test_points_take_other_settings_than_images() -> None:
    images, points = asked(dataset="mnist"), asked(dataset="grid")
    for name, value in type(points).POINTS.items():
        assert getattr(points, name) == value
    assert points.batch_size != images.batch_size
    assert asked(dataset="grid", batch_size=8).batch_size == 8
    with pytest.raises(ValueError, match="dataset"):
        asked(dataset=["grid"])
