"""How long training takes: a step of each family, the first export, and a checkpoint after it."""

import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as a worker's children have it; read when PyTorch loads

import torch

from ganmodels import checkpoints, precision
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.datasets import digest as digest_of
from ganmodels.export import Exporter
from ganmodels.family import ImageShape
from ganmodels.specs import DATASETS, SPEC
from ganmodels.training import start, train

STEPS = 30
WARM_STEPS = 5
RUNS = 5
T = TypeVar("T")

FAMILIES = ({"family": "cgan"}, {"family": "dcgan", "conditional": True})


def main() -> None:
    """Print a line per family and number of threads. Images are noise of MNIST's shape: speed does not mind."""
    dataset = _noise("mnist")
    print(f"torch {torch.__version__}, {precision.instruction_set()}, {precision.available_cpus()} CPUs")
    print(
        f"{'family':8} {'threads':>7} {'precision':>9} {'ms/step':>8} {'images/s':>9}"
        f" {'export s':>9} {'publish ms':>10}"
    )
    for asked in FAMILIES:
        for threads in range(1, precision.available_cpus() + 1):
            _measure({**asked, "dataset": "mnist", "threads": threads}, dataset)


def _measure(asked: dict[str, object], dataset: Dataset) -> None:
    spec = precision.resolve(SPEC.validate_python({**asked, "total_steps": STEPS}))
    state = start(spec, ImageShape(channels=1, size=28, labels=10), spec.device)
    moments = [time.perf_counter() for _ in train(spec, state, dataset.train)]
    steps = [after - before for before, after in pairwise(moments)][WARM_STEPS:]
    export, exporter = _timed(lambda: Exporter(spec, state))
    publish = statistics.median(
        _timed(lambda: checkpoints.pack(spec, state, dataset, {}, exporter))[0] for _ in range(RUNS)
    )
    step = statistics.mean(steps)  # the mean: a penalty is taken in some steps only
    print(
        f"{spec.family:8} {spec.threads:7} {spec.precision:>9} {step * 1e3:8.1f} {spec.batch_size / step:9.0f} "
        f"{export:9.2f} {publish * 1e3:10.1f}"
    )


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _noise(name: str) -> Dataset:
    facts = DATASETS[name]
    images = torch.randint(0, 256, (2048, facts.channels, facts.size, facts.size), dtype=torch.uint8)
    part = ImageSet(images, torch.arange(2048) % len(facts.label_names), facts.label_names)
    return Dataset(name, facts, part, part, part, digest_of(part))


if __name__ == "__main__":
    main()
