import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from ganmodels.datasets import Dataset, ImageSet
from ganmodels.measures import distances
from ganmodels.measures.parzen import SIGMAS, baselines, choose_sigma, log_likelihood, parzen


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(images: ImageSet) -> Tensor:
    return images.images.flatten(1).float() / 255


def test_one_window_is_the_normal_density() -> None:
    middle, points = torch.rand(1, 784, generator=source()), torch.rand(20, 784, generator=source(1))
    expected = Normal(middle.double(), 0.2).log_prob(points.double()).sum(1)
    torch.testing.assert_close(log_likelihood(middle, points, 0.2), expected)


def test_many_windows_are_their_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    middles, points = torch.rand(30, 5, generator=source()).double(), torch.rand(50, 5, generator=source(1)).double()
    windows = MixtureSameFamily(Categorical(torch.ones(30).double()), Independent(Normal(middles, 0.3), 1))
    monkeypatch.setattr(distances, "PIECE_BYTES", 8 * 30 * 7)
    torch.testing.assert_close(log_likelihood(middles, points, 0.3), windows.log_prob(points))


def test_a_point_far_from_every_window_has_a_finite_likelihood() -> None:
    """Its density, exp(−39,200), is 0 in any floating-point number."""
    found = log_likelihood(torch.zeros(3, 784), torch.ones(1, 784), 0.1)
    assert float(found) == pytest.approx(784 * (-0.5 / 0.01 - math.log(0.1 * math.sqrt(2 * math.pi))))


def test_the_width_that_generated_the_data_is_chosen() -> None:
    middles = torch.rand(20, 10, generator=source())
    for width in (SIGMAS[1], SIGMAS[5]):
        points = middles.repeat(50, 1) + width * torch.randn(1_000, 10, generator=source(1))
        assert choose_sigma(middles, points) == width


def test_the_widths_are_the_ten_of_the_authors() -> None:
    torch.testing.assert_close(torch.tensor(SIGMAS), torch.logspace(-1, 0, 10))


def test_the_width_is_chosen_on_validation_and_the_figure_read_on_test(digits: Dataset) -> None:
    samples, validation, test = pixels(digits.train)[:300], pixels(digits.validation), pixels(digits.test)
    found = parzen(samples, validation, test)
    alone = log_likelihood(samples, test, found["parzen_sigma"])
    assert found["parzen_sigma"] == choose_sigma(samples, validation) > SIGMAS[0]
    assert parzen(samples, samples, test)["parzen_sigma"] == SIGMAS[0]
    assert found["parzen_log_likelihood"] == pytest.approx(float(alone.mean()))
    assert found["parzen_standard_error"] == pytest.approx(float(alone.std(correction=0)) / math.sqrt(300))
    assert parzen(samples, validation, samples)["parzen_log_likelihood"] > found["parzen_log_likelihood"]


def test_real_images_score_above_noise_and_the_mean_image(digits: Dataset) -> None:
    train, validation, test = pixels(digits.train), pixels(digits.validation), pixels(digits.test)
    real, noise, mean = (
        parzen(samples, validation, test)["parzen_log_likelihood"]
        for samples in (train[:300], torch.rand(300, 64, generator=source()), train.mean(0, keepdim=True))
    )
    assert real > mean + 5 > noise


@pytest.mark.parametrize("wrong", [torch.tensor([[-1.0, 1.0]]), torch.tensor([[0.0, 255.0]])])
def test_pixels_in_another_unit_are_refused(wrong: Tensor) -> None:
    right = torch.rand(2, 2, generator=source())
    for images in ((wrong, right, right), (right, wrong, right), (right, right, wrong)):
        with pytest.raises(ValueError, match="expected 0 to 1"):
            parzen(*images)


def test_images_that_are_no_numbers_are_refused() -> None:
    right = torch.rand(2, 2, generator=source())
    with pytest.raises(ValueError, match="pixels from nan to nan"):
        parzen(right * torch.nan, right, right)


def test_k_means_scores_above_real_images_which_is_why_both_are_told(digits: Dataset) -> None:
    parts = pixels(digits.train), pixels(digits.validation), pixels(digits.test)
    found = baselines(*parts, count=100, random=source())
    assert found["parzen_k_means"] > found["parzen_real"] + 5
    assert found["parzen_real"] > parzen(torch.rand(100, 64, generator=source()), *parts[1:])["parzen_log_likelihood"]


def test_the_baselines_are_a_function_of_the_generator_handed_in(digits: Dataset) -> None:
    parts = pixels(digits.train), pixels(digits.validation), pixels(digits.test)
    first = baselines(*parts, count=50, random=source())
    torch.manual_seed(5)
    assert baselines(*parts, count=50, random=source()) == first
    other = baselines(*parts, count=50, random=source(1))
    assert other["parzen_real"] != first["parzen_real"]
    assert other["parzen_k_means"] != first["parzen_k_means"]
