"""Stacked MNIST: three random digits as the channels of one image, 1,000 classes that can be counted.

Metz et al.: Unrolled GAN, 2016, https://arxiv.org/abs/1611.02163; Srivastava et al.: VEEGAN, 2017; of the size that
PacGAN's authors use (Lin et al. 2018), https://github.com/fjxmlzn/PacGAN, `stacked_MNIST_experiments`.
"""

import torch
from torch import Tensor

from ganmodels.datasets import fixed_draws
from ganmodels.datasets.imagesets import ImageSet

PLACES = (100, 10, 1)  # what a digit in the red, the green and the blue channel counts


def draw(digits: ImageSet, part: str, count: int) -> tuple[Tensor, Tensor]:
    """Stack digits of one part: images (N, 3, H, W), uint8, and labels (N,) from 0 to 999, each digit drawn evenly."""
    source = fixed_draws.bits(f"stacked-mnist/{part}")
    chosen = torch.from_numpy(fixed_draws.below(source, len(digits), count, len(PLACES)))
    labels = (digits.labels[chosen] * torch.tensor(PLACES)).sum(dim=1)
    return digits.images[chosen].squeeze(2), labels
