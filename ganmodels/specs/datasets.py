"""The data sets by name, with what can be said of each before a byte of it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DatasetFacts:
    """Images are square, `size` pixels, `channels` deep; points of the plane are 1 pixel of 2 channels.

    A point's coordinates reach from −`span` to `span`.
    """

    title: str
    size: int
    channels: int
    label_names: tuple[str, ...]
    license: str
    kind: Literal["images", "points"] = "images"
    span: float = 1.0
    judged_as: str | None = None  # the data set whose classifier reads each channel, where that is not its own


DatasetName = Literal[
    "mnist", "fashion-mnist", "kmnist", "cifar10", "digits", "stacked-mnist", "ring", "grid", "shapes"
]

DIGITS = tuple("0123456789")
CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MADE_HERE = "CC0 1.0, made by this code"

DATASETS: Mapping[str, DatasetFacts] = {
    "mnist": DatasetFacts("MNIST handwritten digits (LeCun, Cortes, Burges)", 28, 1, DIGITS, "CC BY-SA 3.0"),
    "fashion-mnist": DatasetFacts("Fashion-MNIST, clothes (Xiao, Rasul, Vollgraf, Zalando)", 28, 1, CLOTHES, "MIT"),
    "kmnist": DatasetFacts(
        "Kuzushiji-MNIST, cursive Japanese (ROIS-CODH, from NIJL's Kuzushiji data set)",
        28,
        1,
        KUZUSHIJI,
        "CC BY-SA 4.0",
    ),
    "cifar10": DatasetFacts(
        "CIFAR-10, ten kinds of objects (Krizhevsky, Nair, Hinton)", 32, 3, OBJECTS, "not stated by the authors"
    ),
    "digits": DatasetFacts(
        "Optical recognition of handwritten digits (Alpaydin, Kaynak), as scikit-learn ships it",
        8,
        1,
        DIGITS,
        "CC BY 4.0",
    ),
    "stacked-mnist": DatasetFacts(
        "Stacked MNIST: three random MNIST digits as the three channels (Srivastava et al. 2017)",
        28,
        3,
        tuple(f"{stack:03}" for stack in range(1000)),
        "CC BY-SA 3.0",
        judged_as="mnist",
    ),
    "ring": DatasetFacts(
        "Eight Gaussians on a circle (Srivastava et al. 2017)",
        1,
        2,
        tuple(str(center) for center in range(8)),
        MADE_HERE,
        kind="points",
        span=1.25,
    ),
    "grid": DatasetFacts(
        "Twenty-five Gaussians on a grid (Srivastava et al. 2017)",
        1,
        2,
        tuple(str(center) for center in range(25)),
        MADE_HERE,
        kind="points",
        span=5.0,
    ),
    "shapes": DatasetFacts("Circles and squares, drawn by code", 256, 1, ("circle", "square"), MADE_HERE),
}
