import torch

from ganmodels import draws
from ganmodels.draws import Purpose
from ganmodels.family import Latent


def test_uniform_noise_fills_its_interval_and_no_more() -> None:
    noise = draws.noise(Latent("uniform", -1.0, 1.0), 1_000, 10, draws.source(0, 0, 1, Purpose.GENERATOR_NOISE))
    assert noise.shape == (1_000, 10)
    assert -1 <= noise.min() < -0.99
    assert 0.99 < noise.max() <= 1


def test_normal_noise_has_mean_0_and_variance_1() -> None:
    noise = draws.noise(Latent("normal"), 1_000, 10, draws.source(0, 0, 1, Purpose.GENERATOR_NOISE))
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


def test_positions_do_not_depend_on_how_they_are_cut() -> None:
    whole = draws.positions(3, 0, 25, total=10)
    pieces = torch.cat([draws.positions(3, 0, 4, total=10), draws.positions(3, 4, 21, total=10)])
    assert torch.equal(whole, pieces)
    for epoch in range(2):
        assert sorted(whole[10 * epoch : 10 * epoch + 10].tolist()) == list(range(10))


def test_the_order_is_the_seeds_and_new_in_each_epoch() -> None:
    first, second = torch.split(draws.positions(0, 0, 100, total=50), 50)
    assert not torch.equal(first, second)
    assert not torch.equal(first, draws.positions(1, 0, 50, total=50))


def test_a_far_draw_needs_none_of_those_before_it() -> None:
    assert draws.positions(0, 10**9, 3, total=50).shape == (3,)


def test_seeding_for_a_step_leaves_the_global_generator_and_nothing_else_behind() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    queued = len(torch.cuda._queued_calls)
    drawn = []
    for step in (1, 1, 2):
        with draws.seeded(0, 0, step, Purpose.GENERATOR_STEP):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.rand(3), expected)
    assert len(torch.cuda._queued_calls) == queued  # `torch.manual_seed` adds one at every call
