from typing import Any

import torch
from torch import Tensor, nn

from ganmodels import precision, previews, training
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC


def started(channels: int = 1, **knobs: Any) -> tuple[Any, training.State]:
    spec = precision.resolve(
        SPEC.validate_python({"family": "dcgan", "dataset": "digits", "width": 8, "device": "cpu", **knobs})
    )
    return spec, training.start(spec, ImageShape(channels, 8, 10))


def test_a_preview_is_a_grid_of_bytes_with_a_column_per_label() -> None:
    grid = previews.preview(*started(conditional=True)).picture
    assert grid.dtype == torch.uint8
    assert grid.shape == (8 * 8, 10 * 8)
    assert previews.preview(*started(preview_grid="2x3")).picture.shape == (2 * 8, 3 * 8)


def test_color_images_keep_their_channels_last() -> None:
    assert previews.preview(*started(channels=3)).picture.shape == (8 * 8, 10 * 8, 3)


def test_each_cell_is_the_image_drawn_for_it() -> None:
    spec, state = started()
    seen: list[torch.Tensor] = []
    state.generator.averaged.register_forward_hook(lambda network, inputs, output: seen.append(output))
    grid = previews.preview(spec, state).picture
    cell = ((seen[0][13] + 1) / 2 * 255).round().to(torch.uint8)  # row 1, column 3
    assert torch.equal(grid[8:16, 24:32], cell[0])


def test_the_noise_is_the_same_at_every_step_and_draws_nothing_from_the_run() -> None:
    spec, state = started()
    before = previews.preview(spec, state).picture
    state.step, state.rollbacks = 500, 2
    assert torch.equal(previews.preview(spec, state).picture, before)


def test_a_preview_tells_how_real_its_images_look_where_a_score_is_a_probability() -> None:
    for knobs, told in (
        ({}, True),
        ({"conditional": True}, True),
        ({"family": "hinge"}, False),
        ({"packing": 2}, False),
    ):
        score = previews.preview(*started(**knobs)).score
        assert (score is not None) == told
        assert score is None or 0 < score < 1


def test_points_are_drawn_where_they_lie() -> None:
    spec = precision.resolve(SPEC.validate_python({"family": "gan", "dataset": "ring", "device": "cpu"}))
    picture = previews.preview(spec, training.start(spec, ImageShape(2, 1, 8))).picture
    assert picture.shape == (previews.SIDE, previews.SIDE)
    assert 0 < picture.count_nonzero() <= previews.POINTS
    corners = previews._scattered(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
    assert corners.nonzero().tolist() == [[127, 255], [255, 0]]


class Corners(nn.Module):
    """Draws each label at a place of its own, whatever the noise."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.stack([labels / 4 - 1, labels / 4 - 1], dim=1).view(-1, 2, 1, 1)


def test_points_of_every_label_are_drawn() -> None:
    spec = precision.resolve(
        SPEC.validate_python({"family": "r3gan", "dataset": "ring", "conditional": True, "device": "cpu"})
    )
    state = training.start(spec, ImageShape(2, 1, 8))
    assert state.generator is not None
    state.generator.averaged = Corners()
    assert previews.preview(spec, state).picture.count_nonzero() == 8
