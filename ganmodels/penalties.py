"""What keeps a discriminator smooth: penalties on its gradient with respect to images."""

import torch
from torch import Tensor, nn


def zero_centered(discriminator: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Take E‖∇ₓ D(x)‖² over `images` (B, C, H, W), differentiable in D's weights (Mescheder 2018, eq. 9: R1)."""
    images = images.detach().requires_grad_()
    logits = discriminator(images, labels)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
