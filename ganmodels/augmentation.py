"""DiffAugment (Zhao et al. 2020), https://arxiv.org/abs/2006.10738: every image the discriminator sees is disturbed.

Real and generated ones alike and differentiably, so that few images are harder to learn by heart and the generator
learns the images, not the disturbances. All draws come from PyTorch's global generator, which the step has seeded.

Deviations: empty space is the lowest value, the background, where the authors leave the middle of the range;
translation stays within an eighth of the size, where they round it to the nearest pixel.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

Range = tuple[float, float]


class Augmented(nn.Module):
    """A discriminator that sees its images (B, C, H, W), in `output_range`, disturbed."""

    def __init__(self, network: nn.Module, names: Sequence[str], output_range: Range) -> None:
        super().__init__()
        self.network, self.names, self.output_range = network, names, output_range

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Disturb each image in its own way, then judge it."""
        judged: Tensor = self.network(augment(images, self.names, self.output_range), labels)
        return judged


def augment(images: Tensor, names: Sequence[str], output_range: Range) -> Tensor:
    """Apply the named disturbances to images (B, C, H, W), in the authors' order: none of asking changes the run."""
    for name, disturbed in AUGMENTATIONS.items():
        if name in names:
            images = disturbed(images, output_range)
    return images


def color(images: Tensor, output_range: Range) -> Tensor:
    """Change brightness by up to a quarter of the range, saturation from none to double, contrast by up to half.

    Values may leave the range, as in the authors' code: cutting them off would cut off gradients too.
    """
    low, high = output_range
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    images = images + (brightness - 0.5) * (high - low) / 2
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    middle: Tensor = images.mean(dim=(1, 2, 3), keepdim=True)
    changed: Tensor = (images - middle) * (contrast + 0.5) + middle
    return changed


def translation(images: Tensor, output_range: Range) -> Tensor:
    """Move each image by up to an eighth of its size along both axes."""
    count, _, height, width = images.shape
    most = height // 8
    down, right = torch.randint(-most, most + 1, (2, count, 1), device=images.device)
    rows = torch.arange(height, device=images.device) - down + most  # (B, H), places in the padded image
    columns = torch.arange(width, device=images.device) - right + most
    padded = pad(images, (most, most, most, most), value=output_range[0])
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor, output_range: Range) -> Tensor:
    """Blank a square half as wide as the image, around a random pixel: at an edge, part of it lies outside."""
    count, _, height, width = images.shape
    side = height // 2
    top, left = torch.randint(height + 1 - side % 2, (2, count, 1), device=images.device) - side // 2
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    within_rows = (rows >= top) & (rows < top + side)  # (B, H)
    within_columns = (columns >= left) & (columns < left + side)
    hidden = (within_rows[:, :, None] & within_columns[:, None, :])[:, None]
    return torch.where(hidden, torch.full_like(images, output_range[0]), images)


AUGMENTATIONS: Mapping[str, Callable[[Tensor, Range], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
