"""What keeps a discriminator smooth: penalties on its gradient with respect to images."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganmodels.family import realness

Score = Callable[[nn.Module, Tensor, Tensor], Tensor]


def zero_centered(discriminator: nn.Module, images: Tensor, labels: Tensor, score: Score = realness) -> Tensor:
    """Take E‖∇ₓ D(x)‖² over `images` (B, C, H, W), differentiable in D's weights (Mescheder 2018, eq. 9: R1)."""
    images = images.detach().requires_grad_()
    logits = score(discriminator, images, labels)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return squared_norm(gradient, logits)


def squared_norm(gradient: Tensor, logits: Tensor) -> Tensor:
    """Take the mean over `logits` (L,) of ‖∇ₓ D‖², each over its image or its pack; the gradient is (B, C, H, W)."""
    return gradient.reshape(len(logits), -1).square().sum(dim=1).mean()


def interpolated(
    discriminator: nn.Module, real: Tensor, fake: Tensor, labels: Tensor, score: Score = realness
) -> Tensor:
    """Take E(‖∇ₓ D(x)‖ − 1)² at random points x between each real image (B, C, H, W) and the fake beside it.

    Differentiable in D's weights (Gulrajani 2017, algorithm 1). Each norm is one logit's: over an image, or over all
    of those that are judged together. The points come from PyTorch's global generator.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    logits = score(discriminator, between, labels)
    (gradient,) = torch.autograd.grad(logits.sum(), between, create_graph=True)
    norms: Tensor = gradient.reshape(len(logits), -1).norm(dim=1)
    return (norms - 1).square().mean()
