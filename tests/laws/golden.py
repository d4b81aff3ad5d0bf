"""The first losses of every family, as they must stay: on the CPU, in fp32, on one thread.

Who changes an algorithm on purpose raises `NUMERICS_VERSION` in ganmodels/specs.py and writes them anew:

    python tests/laws/golden.py > tests/laws/golden.json
"""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from ganmodels import precision, training
from ganmodels.datasets import ImageSet
from ganmodels.family import ImageShape
from ganmodels.specs import NUMERICS_VERSION, SPEC

ASKED = {
    "cgan": {"family": "cgan"},
    "cgan, paper": {"family": "cgan", "preset": "paper"},
    "dcgan": {"family": "dcgan", "r1_every": 2},
    "dcgan, paper": {"family": "dcgan", "preset": "paper", "width": 16},
    "dcgan, conditional": {"family": "dcgan", "conditional": True, "r1_every": 2},
    "dcgan, conditional by concatenation": {"family": "dcgan", "conditional": True, "conditioning": "concat"},
}
RUN = {"dataset": "digits", "batch_size": 16, "device": "cpu", "threads": 1, "precision": "fp32", "total_steps": 4}


def losses() -> dict[str, dict[str, list[float]]]:
    """Train each case for four steps; give its two losses and its penalty, step by step."""
    return {name: _losses(asked) for name, asked in ASKED.items()}


def _losses(asked: dict[str, object]) -> dict[str, list[float]]:
    spec = precision.resolve(SPEC.validate_python({**RUN, **asked}))
    found: dict[str, list[float]] = {"d_loss": [], "g_loss": [], "r1": []}
    for _, metrics in training.train(spec, training.start(spec, ImageShape(1, 8, 10)), _images()):
        for name in found.keys() & metrics.keys():
            found[name].append(round(metrics[name].item(), 7))
    return found


def _images() -> ImageSet:
    """Draw soft blobs: smooth as images are, and the same everywhere."""
    random = torch.Generator().manual_seed(5)
    coarse = torch.rand(40, 1, 3, 3, generator=random)
    images = torch.nn.functional.interpolate(coarse, size=8, mode="bilinear", align_corners=True)
    return ImageSet((images * 255).to(torch.uint8), torch.arange(40) % 10, tuple("0123456789"))


if __name__ == "__main__":
    json.dump({"numerics_version": NUMERICS_VERSION, "losses": losses()}, sys.stdout, indent=1)
    sys.stdout.write("\n")
