"""The first losses of every family, as they must stay: on the CPU, in fp32, on one thread.

Who changes an algorithm on purpose raises `NUMERICS_VERSION` in ganmodels/specs/__init__.py and writes them anew:

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
from ganmodels.specs import DATASETS, NUMERICS_VERSION, SPEC

SLOW = {"generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4}
ASKED = {
    "acgan": {"family": "acgan", "r1_every": 2},
    "acgan, paper": {"family": "acgan", "preset": "paper", "width": 16},
    "hinge": {"family": "hinge", "r1_every": 2},
    "hinge, paper": {"family": "hinge", "preset": "paper", "width": 16},
    "lsgan": {"family": "lsgan", "r1_every": 2},
    "lsgan, paper, of disturbed packs": {"family": "lsgan", "preset": "paper", "packing": 2, "augment": ["cutout"]},
    "r3gan": {"family": "r3gan"},
    "r3gan, conditional": {"family": "r3gan", "conditional": True},
    # At its own rates, rounding alone moves the third loss by 1 %.
    "catgan": {"family": "catgan", "labeled": {"per_class": 2}, **SLOW},
    "catgan, unsupervised": {"family": "catgan", "labeled": "none", "clusters": 12},
    "catgan, convolutional": {"family": "catgan", "labeled": {"per_class": 2}, "network": "conv"},
    "catgan, paper": {"family": "catgan", "labeled": {"per_class": 2}, "network": "conv", "preset": "paper"},
    "cgan": {"family": "cgan"},
    "cgan, paper": {"family": "cgan", "preset": "paper"},
    "dcgan": {"family": "dcgan", "r1_every": 2},
    "dcgan, paper": {"family": "dcgan", "preset": "paper", "width": 16},
    "dcgan, conditional": {"family": "dcgan", "conditional": True, "r1_every": 2},
    "dcgan, conditional by concatenation": {"family": "dcgan", "conditional": True, "conditioning": "concat"},
    "convgan": {"family": "convgan", "dataset": "mnist", "d_pretrain_steps": 2},
    "gan": {"family": "gan"},
    "gan, paper, minimax": {"family": "gan", "preset": "paper", "generator_loss": "minimax"},
    "wgan": {"family": "wgan"},
    "wgan, paper": {"family": "wgan", "preset": "paper"},
    "wgan_gp": {"family": "wgan_gp", "width": 16},
    "wgan_gp, paper": {"family": "wgan_gp", "preset": "paper", "width": 16},
    "wgan_gp, conditional": {"family": "wgan_gp", "width": 16, "conditional": True, "penalty_weight": 1.0},
    "sgan": {"family": "sgan", "dataset": "mnist", "labeled": {"per_class": 2}},
    "sgan, paper": {"family": "sgan", "dataset": "mnist", "labeled": {"per_class": 2}, "preset": "paper"},
    "sgan, fully connected": {"family": "sgan", "labeled": {"per_class": 2}, "network": "mlp"},
    "classifier": {"family": "classifier", "dataset": "mnist", "labeled": {"per_class": 2}},
    "classifier, fully connected": {"family": "classifier", "labeled": {"per_class": 2}, "network": "mlp"},
    "classifier, inception": {"family": "classifier", "labeled": {"per_class": 2}, "network": "googlenet"},
}
RUN = {"dataset": "digits", "batch_size": 16, "device": "cpu", "threads": 1, "precision": "fp32", "total_steps": 4}


def losses() -> dict[str, dict[str, list[float]]]:
    """Train each case for four steps; give its two losses and its penalty, step by step."""
    return {name: _losses(asked) for name, asked in ASKED.items()}


def _losses(asked: dict[str, object]) -> dict[str, list[float]]:
    spec = precision.resolve(SPEC.validate_python({**RUN, **asked}))
    found: dict[str, list[float]] = {"d_loss": [], "g_loss": [], "r1": []}
    size = DATASETS[spec.dataset].size
    for _, metrics in training.train(spec, training.start(spec, ImageShape(1, size, 10)), _images(size)):
        for name in found.keys() & metrics.keys():
            found[name].append(round(metrics[name].item(), 7))
    return found


def _images(size: int) -> ImageSet:
    """Draw soft blobs: smooth as images are, and the same everywhere."""
    random = torch.Generator().manual_seed(5)
    coarse = torch.rand(40, 1, 3, 3, generator=random)
    images = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
    return ImageSet((images * 255).to(torch.uint8), torch.arange(40) % 10, tuple("0123456789"))


if __name__ == "__main__":
    json.dump({"numerics_version": NUMERICS_VERSION, "losses": losses()}, sys.stdout, indent=1)
    sys.stdout.write("\n")
