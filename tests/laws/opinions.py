"""Stand-ins for discriminators whose mind is made up: what the losses must make of those who are right or wrong."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganmodels.families.sgan import Judgment


class Opinion(nn.Module):
    """Bright images score `strength`, dark ones −`strength`.

    Asked about several labels of an image, it holds that the first is the image's own and the others are wrong.
    """

    def __init__(self, strength: float, middle: float) -> None:
        super().__init__()
        self.strength, self.middle = nn.Parameter(torch.tensor(float(strength))), middle

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        own = self.strength * (images.mean(dim=(1, 2, 3)) - self.middle).sign()
        if labels.dim() == 1:
            return own
        return torch.cat([own[:, None], -own[:, None].expand(-1, labels.shape[1] - 1)], dim=1)


def told_labels(images: Tensor) -> Tensor:
    """Read the label (B,) that the laws write into an image: the place of its darkest pixel."""
    return images.flatten(1).argmin(dim=1)


class Certainty(nn.Module):
    """CatGAN's: the greater `strength`, the surer of the label told by a bright image, the less sure of dark ones."""

    def __init__(self, strength: float, middle: float) -> None:
        super().__init__()
        self.strength, self.middle = nn.Parameter(torch.tensor(float(strength))), middle

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        sure = (self.strength * (images.mean(dim=(1, 2, 3)) - self.middle).sign()).exp()
        return sure[:, None] * torch.nn.functional.one_hot(told_labels(images) % 10, 10)


class Names(nn.Module):
    """The classifier's: right about the label told by an image, by `strength`."""

    def __init__(self, strength: float, middle: float) -> None:
        super().__init__()
        self.strength, self.middle = nn.Parameter(torch.tensor(float(strength))), middle

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.strength * torch.nn.functional.one_hot(told_labels(images) % 10, 10)


class RealAndNamed(Names):
    """SGAN's: right about what is real too; its one feature is an image's brightness."""

    def forward(self, images: Tensor, labels: Tensor) -> Judgment:
        brightness = images.mean(dim=(1, 2, 3)) - self.middle
        return Judgment(super().forward(images, labels), self.strength * brightness.sign(), brightness[:, None])


class Coded(Opinion):
    """LSGAN's: drawn to 1 and 0, undecided halfway."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().forward(images, labels) / 6 + 0.5


class RealAndRead(Names):
    """AC-GAN's: one logit of being real beside the label read."""

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # says more
        real = self.strength * (images.mean(dim=(1, 2, 3)) - self.middle).sign()
        return real, super().forward(images, labels)


# By family, for those whose discriminators answer more than one logit: called with (strength, middle of the range).
# A strength of 3 must be right, −3 wrong, 0 undecided; images brighter than the middle are the
# real ones, and `told_labels` tells the label of each.
OPINIONS: dict[str, Callable[[float, float], nn.Module]] = {
    "acgan": RealAndRead,
    "lsgan": Coded,
    "catgan": Certainty,
    "classifier": Names,
    "sgan": RealAndNamed,
}
