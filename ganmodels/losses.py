"""What each network minimizes, as pure functions of logits. Never of probabilities: log(p) loses small ones."""

from torch import Tensor
from torch.nn.functional import softplus


def logistic(real: Tensor, fake: Tensor) -> Tensor:
    """Score the discriminator: softplus(−D(x)) + softplus(D(G(z))), means over (B,) (Goodfellow 2014, eq. 1)."""
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating(fake: Tensor) -> Tensor:
    """Score the generator: softplus(−D(G(z))), which is −log p(real) (Goodfellow 2014, section 3)."""
    return softplus(-fake).mean()


def minimax(fake: Tensor) -> Tensor:
    """Score the generator: −softplus(D(G(z))), which is log p(fake); its gradient fades as the discriminator wins."""
    return -softplus(fake).mean()


def mismatched(logits: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """Score the discriminator on real images of `labels` (B,), judged as ones of `others`: fake where the two differ.

    Reed et al. 2016, algorithm 1; https://arxiv.org/abs/1605.05396.
    """
    return (softplus(logits) * (others != labels)).mean()


GENERATOR_LOSSES = {"non_saturating": non_saturating, "minimax": minimax}
