"""The preview: what the averaged generator makes of the same noise, step after step."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganmodels import draws
from ganmodels.batches import to_bytes, to_unit
from ganmodels.draws import Purpose
from ganmodels.normalization import evaluating
from ganmodels.specs.knobs import AdversarialKnobs
from ganmodels.training import State, family_of, noise

SIDE = 256  # pixels of a picture of points
POINTS = 1_000


@dataclass(frozen=True)
class Preview:
    """A picture, bytes (rows·H, columns·W) with a last axis of channels if there are several, and what D holds of it.

    `score` is the mean over the images of the discriminator's estimate that they are real; None where it has none.
    """

    picture: Tensor
    score: float | None


@torch.no_grad()
def preview(spec: AdversarialKnobs, state: State) -> Preview:
    """Draw the grid that the spec names, or points of the plane where they lie.

    A generator that knows labels gives each its column; the noise of a row is the same for all of them.
    """
    rows, columns = (int(side) for side in spec.preview_grid.split("x"))
    if state.shape.size == 1:
        columns = state.shape.labels
        rows = POINTS // columns
    elif spec.labels_from == "generator":
        columns = min(columns, state.shape.labels)
    assert state.generator is not None
    images, labels = draw(spec, state, state.generator.served, rows, columns)
    unit = to_unit(images, family_of(spec).output_range(spec))
    if state.shape.size == 1:
        return Preview(_scattered(unit.flatten(1).cpu()), _score(spec, state, images, labels))
    grid = to_bytes(unit).cpu().reshape(rows, columns, *images.shape[1:])  # (R, K, C, H, W)
    picture = grid.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # (R·H, K·W, C)
    return Preview(picture if state.shape.channels > 1 else picture.squeeze(-1), _score(spec, state, images, labels))


@torch.no_grad()
def draw(spec: AdversarialKnobs, state: State, generator: nn.Module, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Let a generator draw the fixed noise: images (rows·columns, C, H, W) in the family's range, and their labels."""
    labels = torch.arange(columns).repeat(rows) % state.shape.labels
    random = draws.source(spec.seed, 0, 0, Purpose.PREVIEW)
    if spec.labels_from == "generator":
        z = noise(spec, rows, random).repeat_interleave(columns, dim=0)
    else:
        z = noise(spec, rows * columns, random)
    images: Tensor = generator(z.to(state.device), labels.to(state.device))
    return images, labels.to(state.device)


def _scattered(points: Tensor) -> Tensor:
    """Draw points (N, 2) in [0, 1] as white dots on black, the second coordinate upwards."""
    picture = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    right, up = (points.clamp(0, 1) * (SIDE - 1)).round().long().unbind(1)
    picture[SIDE - 1 - up, right] = 255
    return picture


def _score(spec: AdversarialKnobs, state: State, images: Tensor, labels: Tensor) -> float | None:
    family = family_of(spec)
    if family.score is None or "scores" not in spec.serves or spec.OUTPUT == "score":
        return None
    with evaluating(state.discriminator.served):
        logits = family.score(state.discriminator.served, images, labels)
    return float(logits.float().sigmoid().mean())
