"""What `/classify` and `/score` say of a thousand digits is what PyTorch says of them."""

import base64
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from ganmodels import checkpoints, datasets, heads, precision, training
from ganmodels.batches import to_range
from ganmodels.datasets import Dataset
from ganmodels.export import Exporter
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC
from ganmodels.training import State, family_of
from store import claims
from tests.app.world import World

pytestmark = [pytest.mark.integration, pytest.mark.mnist]

COUNT, TOGETHER = 1_000, 50
SMALL = {"dataset": "mnist", "total_steps": 5, "batch_size": 16, "threads": 1, "device": "cpu", "precision": "fp32"}
ASKED: list[dict[str, Any]] = [
    {"family": "sgan", "labeled": {"per_class": 10}},
    {"family": "acgan", "width": 8},
    {"family": "dcgan", "width": 8, "conditional": True},
    {"family": "wgan_gp", "width": 8},
    {"family": "classifier"},
]


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return datasets.load("mnist", Path(os.environ["GANYMEDE_DATA_DIR"]))


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked["family"])
def test_of_1000_digits(client: TestClient, world: World, mnist: Dataset, asked: dict[str, Any]) -> None:
    spec, state = trained(world, SMALL | asked, mnist)
    test = mnist.test.take(torch.arange(COUNT))
    if "classes" in spec.serves:
        expected = torch.softmax(heads.class_logits(spec, state, test).double(), 1).numpy()
        found = [list(one["probabilities"].values()) for one in ask(client, "/classify", test.images)]
        assert np.abs(np.array(found) - expected[:, :10]).max() < 1e-4
    if "scores" in spec.serves:
        for label in range(10):
            digits = test.images[test.labels == label]
            path = f"/score?label={label}" if spec.score_needs_label else "/score"
            found = [one["logit"] for one in ask(client, path, digits)]
            assert np.abs(np.array(found) - scores(spec, state, digits, label)).max() < 1e-4


def trained(world: World, knobs: dict[str, Any], data: Dataset) -> tuple[Any, State]:
    """Train a job for as long as it asks, publish its checkpoint, and return its spec and networks."""
    held = world.start(**knobs)
    spec = precision.resolve(SPEC.validate_python(knobs))
    state = training.start(spec, ImageShape(data.facts.channels, data.facts.size, len(data.facts.label_names)))
    for _ in training.train(spec, state, data.train):
        pass
    publish(world, held, checkpoints.pack(spec, state, data, {}, Exporter(spec, state)))
    return spec, state


def scores(spec: Any, state: State, images: torch.Tensor, label: int) -> np.ndarray:
    family, network = family_of(spec), state.discriminator.served.eval()
    assert family.score is not None
    with torch.no_grad():
        given = to_range(images, family.output_range(spec))
        return family.score(network, given, torch.full((len(images),), label)).double().numpy()


def ask(client: TestClient, path: str, images: torch.Tensor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for some in images.split(TOGETHER):
        answer = client.post(path, json={"images": [png(image) for image in some]})
        assert answer.status_code == 200, answer.text
        found += answer.json()["results"]
    assert len(found) == len(images)
    return found


def png(image: torch.Tensor) -> str:
    target = io.BytesIO()
    Image.fromarray(image[0].numpy()).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


def publish(world: World, held: Any, files: dict[str, bytes]) -> None:
    folder, step = f"jobs/{held.job.id}/1/5", 5
    for name, content in files.items():
        world.artifacts.put(f"{folder}/{name}", content)
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    with world.database.write() as connection:
        claims.checkpoint(connection, held, step, folder, listed, json.loads(files["card.json"]))
