"""The preview: what the averaged generator makes of the same noise, step after step."""

import torch
from torch import Tensor

from ganmodels import draws
from ganmodels.batches import to_bytes, to_unit
from ganmodels.draws import Purpose
from ganmodels.families import FAMILIES
from ganmodels.specs import Spec
from ganmodels.training import State

ROWS = 8
COLUMNS = 10


@torch.no_grad()
def preview(spec: Spec, state: State) -> Tensor:
    """Draw a grid of bytes (rows·H, columns·W), with a last axis of channels if there are several.

    A conditional family gives each label its column; the noise of a row is the same for all of them.
    """
    family = FAMILIES[spec.family]
    columns = state.shape.labels if spec.serves_labels else COLUMNS
    labels = torch.arange(columns).repeat(ROWS) % state.shape.labels
    random = draws.source(spec.seed, 0, 0, Purpose.PREVIEW)
    if spec.serves_labels:
        z = draws.noise(family.latent, ROWS, spec.latent_size, random).repeat_interleave(columns, dim=0)
    else:
        z = draws.noise(family.latent, ROWS * columns, spec.latent_size, random)
    images = state.averaged(z.to(state.device), labels.to(state.device))
    grid = (
        to_bytes(to_unit(images, family.output_range)).cpu().reshape(ROWS, columns, *images.shape[1:])
    )  # (R, K, C, H, W)
    picture: Tensor = grid.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # (R·H, K·W, C)
    return picture if state.shape.channels > 1 else picture.squeeze(-1)
