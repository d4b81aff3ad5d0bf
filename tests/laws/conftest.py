"""Small runs of every listed family, for the laws that all of them obey."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ganmodels import datasets, precision, training
from ganmodels.datasets import DatasetFacts, ImageSet
from ganmodels.families import FAMILIES
from ganmodels.family import Family, ImageShape
from ganmodels.specs import SPEC

SMALL = {"dataset": "digits", "total_steps": 6, "batch_size": 8, "threads": 1, "precision": "fp32", "device": "cpu"}

# What a family can be besides its defaults; a family that is not named here is tested as it comes.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "acgan": [{"width": 8}, {"width": 8, "preset": "paper"}],
    "hinge": [{"width": 8}, {"width": 8, "conditional": True}],
    "lsgan": [{"width": 8, "augment": ["translation", "cutout"]}, {"width": 8, "preset": "paper", "packing": 2}],
    "r3gan": [{"width": 8, "conditional": True}, {"dataset": "ring"}],
    "catgan": [
        {"labeled": {"per_class": 1}},
        {"labeled": "none", "clusters": 12, "network": "conv"},
        {"labeled": {"per_class": 1}, "network": "conv", "generator": "noise_image"},
    ],
    "cgan": [{}, {"preset": "paper"}],
    "convgan": [{"dataset": "mnist", "d_pretrain_steps": 2}],
    "dcgan": [
        {"width": 8},
        {"width": 8, "preset": "paper"},
        {"width": 8, "conditional": True},
        {"width": 8, "conditional": True, "conditioning": "concat"},
    ],
    "gan": [{}, {"preset": "paper", "generator_loss": "minimax"}, {"dataset": "ring"}],
    "wgan": [{}, {"preset": "paper"}],
    "wgan_gp": [
        {"width": 8},
        {"width": 8, "conditional": True},
        {"width": 8, "discriminator_norm": "spectral"},
    ],
    "sgan": [
        {"labeled": {"per_class": 1}, "dataset": "mnist"},
        {"labeled": {"per_class": 1}, "dataset": "mnist", "preset": "paper", "fake_class": "unit", "batch_size": 10},
        {"labeled": {"per_class": 1}, "network": "mlp"},
        {"labeled": "none", "network": "mlp"},
    ],
    "classifier": [
        {"labeled": {"per_class": 1}, "dataset": "mnist"},
        {"labeled": {"per_class": 1}, "network": "mlp"},
        {"labeled": {"per_class": 1}, "network": "googlenet"},
    ],
}


def _name(asked: dict[str, Any]) -> str:
    return "-".join(str(value) for key, value in asked.items() if key not in SMALL and key != "width")


CASES = [SMALL | {"family": name} | variant for name in FAMILIES for variant in VARIANTS.get(name, [{}])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each law for each case it is about; the paper's settings export the same graphs, which takes seconds."""
    if "asked" in metafunc.fixturenames:
        exporting = "published" in metafunc.fixturenames
        cases = [case for case in CASES if not (exporting and case.get("preset") == "paper")]
        if "adversarial" in metafunc.fixturenames:
            cases = [case for case in cases if FAMILIES[case["family"]].generator is not None]
        metafunc.parametrize("asked", cases, ids=_name, indirect=True, scope="session")


@pytest.fixture(scope="session")
def asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One way a family can be asked for."""
    return request.param


@pytest.fixture(scope="session")
def spec(asked: dict[str, Any]) -> Any:
    return precision.resolve(SPEC.validate_python(asked))


@pytest.fixture(scope="session")
def facts(spec: Any) -> DatasetFacts:
    return datasets.DATASETS[spec.dataset]


@pytest.fixture(scope="session")
def shape(facts: DatasetFacts) -> ImageShape:
    return ImageShape(facts.channels, facts.size, len(facts.label_names))


@pytest.fixture(scope="session")
def images(facts: DatasetFacts) -> ImageSet:
    """Bytes that look like nothing in particular: laws hold for any images. 20 of them, so that epochs end early."""
    random = torch.Generator().manual_seed(1)
    shape = (20, facts.channels, facts.size, facts.size)
    pixels = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    if facts.kind == "points":
        pixels = torch.rand(shape, generator=random)
    return ImageSet(pixels, torch.arange(20) % len(facts.label_names), facts.label_names)


@pytest.fixture(scope="session")
def family(spec: Any) -> Family:
    return FAMILIES[spec.family]


@pytest.fixture(scope="session")
def adversarial(family: Family) -> Family:
    """Say that the law is about a generator; families without one are left out."""
    return family


@pytest.fixture
def state(spec: Any, shape: ImageShape) -> training.State:
    return training.start(spec, shape)


@pytest.fixture
def batch(spec: Any, images: ImageSet) -> Any:
    """Cut the batch of the first step."""
    family = FAMILIES[spec.family]
    return training.batches.supply(images, spec, family.output_range(spec), "cpu").batch(1)


@pytest.fixture
def run(shape: ImageShape, images: ImageSet) -> Callable[..., training.State]:
    """Train a spec from the start, or onwards from a state, up to a step."""

    def train(spec: Any, state: training.State | None = None, until: int | None = None) -> training.State:
        state = state or training.start(spec, shape)
        for step, _ in _until(training.train(spec, state, images), until):
            assert step == state.step
        return state

    return train


def _until(steps: Iterator[Any], last: int | None) -> Iterator[Any]:
    for step, metrics in steps:
        yield step, metrics
        if step == last:
            return
