"""What a family says that it can draw, it draws: from 8 to 256 pixels, grey or in color."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from ganmodels import training
from ganmodels.datasets import DatasetFacts, ImageSet
from ganmodels.family import Family, ImageShape

SHAPES = [(8, 1), (8, 3), (28, 1), (28, 3), (40, 3), (256, 1)]


@pytest.mark.parametrize(("size", "channels"), SHAPES)
def test_a_family_learns_from_and_draws_every_shape_that_it_claims(
    spec: Any, family: Family, facts: DatasetFacts, size: int, channels: int
) -> None:
    unfit = spec.why_unfit(replace(facts, kind="images", size=size, channels=channels))
    if unfit is not None:
        assert (size, channels) != (facts.size, facts.channels), "it is tested with what it refuses"
        return
    count = 2 * getattr(spec, "packing", 1)
    small = spec.model_copy(update={"batch_size": count, "total_steps": 1})
    if getattr(spec, "generator", None) == "noise_image":  # one number per pixel
        small = small.model_copy(update={"latent_size": size**2})
    pixels = torch.randint(0, 256, (20, channels, size, size), dtype=torch.uint8)
    images = ImageSet(pixels, torch.arange(20) % len(facts.label_names), facts.label_names)
    state = training.start(small, ImageShape(channels, size, len(facts.label_names)))
    *_, (_, metrics) = training.train(small, state, images)
    assert all(bool(torch.isfinite(value)) for value in metrics.values())
    if state.generator is None:
        return
    z = training.noise(small, count, torch.Generator().manual_seed(1))
    with torch.no_grad():
        drawn = state.generator.served(z, torch.zeros(count, dtype=torch.int64))
    low, high = family.output_range(spec)
    assert drawn.shape == (count, channels, size, size)
    assert low <= drawn.min() < drawn.max() <= high
