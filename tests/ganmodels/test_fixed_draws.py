import numpy as np

from ganmodels.datasets.fixed_draws import below, bits, normal_pairs, random_bytes, uniform

RAW_BITS = [17198757658480132697, 16101095048851986401, 10221975093221973180]


def test_numpys_raw_bits_are_what_they_were() -> None:
    assert bits("a test").random_raw(3).tolist() == RAW_BITS
    assert uniform(bits("a test"), 3).tolist() == [(word >> 11) / 2**53 for word in RAW_BITS]
    assert random_bytes(bits("a test"), 9).tolist() == [*RAW_BITS[0].to_bytes(8, "little"), RAW_BITS[1] % 256]


def test_two_purposes_share_nothing() -> None:
    first, second = (bits(f"ring/{part}").random_raw(1000).tolist() for part in ("train", "test"))
    assert not set(first) & set(second)


def test_numbers_fill_their_range_evenly() -> None:
    numbers = uniform(bits("even"), 300, 400)
    assert numbers.shape == (300, 400)
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    for counts in (
        np.histogram(numbers, 10, (0, 1))[0],
        np.bincount(below(bits("whole"), 10, 120_000), minlength=10),
        np.bincount(random_bytes(bits("bytes"), 120_000) % 10, minlength=10),  # 256 is no multiple of 10: 1 % more low
    ):
        assert counts.shape == (10,)
        assert 11_500 < counts.min() < counts.max() < 12_500


def test_normal_pairs_are_normal() -> None:
    pairs = normal_pairs(bits("normal"), 100_000)
    assert np.abs(pairs.mean(axis=0)).max() < 0.01
    assert np.abs(np.cov(pairs.T) - np.eye(2)).max() < 0.015
    within = [(np.linalg.norm(pairs, axis=1) < radius).mean() for radius in (1, 2, 3)]
    assert np.abs(np.array(within) - (1 - np.exp([-0.5, -2, -4.5]))).max() < 0.005


def test_the_smallest_draw_has_a_logarithm() -> None:
    class Ones:
        def random_raw(self, count: int) -> np.ndarray:
            return np.full(count, 2**64 - 1, np.uint64)

    pairs = normal_pairs(Ones(), 2)  # type: ignore[arg-type]
    assert 8 < np.abs(pairs).max() < 9
