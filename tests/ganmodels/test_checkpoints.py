import json
from typing import Any

import pytest

from ganmodels import checkpoints, precision, training
from ganmodels.checkpoints import CheckpointDamaged
from ganmodels.datasets import Dataset
from ganmodels.family import ImageShape
from ganmodels.specs import NUMERICS_VERSION, SPEC

SHAPE = ImageShape(1, 8, 10)


class TwoGraphs:
    """Stands in for the exporter: a checkpoint does not look into its graphs."""

    def files(self) -> dict[str, bytes]:
        return {"generator.onnx": b"how to draw", "discriminator.onnx": b"how to judge"}


@pytest.fixture(scope="module")
def spec() -> Any:
    asked = {"family": "dcgan", "dataset": "digits", "conditional": True, "width": 8, "threads": 1, "device": "cpu"}
    return precision.resolve(SPEC.validate_python(asked))


@pytest.fixture
def files(spec: Any, digits: Dataset) -> dict[str, bytes]:
    state = training.start(spec, SHAPE)
    return checkpoints.pack(spec, state, digits, {"g_loss": 0.5}, TwoGraphs())


def test_the_card_tells_all_that_serving_needs(files: dict[str, bytes], spec: Any, digits: Dataset) -> None:
    card = json.loads(files["card.json"])
    listed = card.pop("files")
    assert files.keys() == {"state.safetensors", "generator.onnx", "discriminator.onnx", "card.json"}
    assert listed.keys() == files.keys() - {"card.json"}
    assert listed["generator.onnx"]["size"] == len(b"how to draw")
    assert SPEC.validate_python(card.pop("spec")) == spec
    assert card == {
        "format": 2,
        "family": "dcgan",
        "step": 0,
        "rollbacks": 0,
        "numerics_version": NUMERICS_VERSION,
        "dataset": {"name": "digits", "digest": digits.digest, "license": "CC BY 4.0"},
        "label_names": list("0123456789"),
        "latent": {"size": 100, "distribution": "normal", "low": None, "high": None},
        "kind": "images",
        "span": 1.0,
        "image": {"size": 8, "channels": 1},
        "serves": ["labels", "images", "scores"],
        "labels_from": "generator",
        "score_needs_label": True,
        "scores_are_odds": True,
        "classes": None,
        "metrics": {"g_loss": 0.5},
        "progress": {},
    }


def test_packing_twice_gives_the_same_bytes(spec: Any, digits: Dataset, files: dict[str, bytes]) -> None:
    assert checkpoints.pack(spec, training.start(spec, SHAPE), digits, {"g_loss": 0.5}, TwoGraphs()) == files


def test_one_flipped_bit_is_found(files: dict[str, bytes], spec: Any) -> None:
    for name in files.keys() - {"card.json"}:
        content = bytearray(files[name])
        content[len(content) // 2] ^= 1
        with pytest.raises(CheckpointDamaged, match=f"{name}.*expected") as damage:
            checkpoints.restore({**files, name: bytes(content)}, spec, SHAPE)
        assert damage.value.found != damage.value.expected


def test_another_format_is_refused_by_name(files: dict[str, bytes], spec: Any) -> None:
    card = json.loads(files["card.json"]) | {"format": 3}
    with pytest.raises(CheckpointDamaged, match="checkpoint format 3, expected 2"):
        checkpoints.restore({**files, "card.json": json.dumps(card).encode()}, spec, SHAPE)


@pytest.mark.parametrize("card", [b"", b"[]", b"{}", b'{"format": 1}', b"\xff"])
def test_a_card_that_cannot_be_read_is_damage(files: dict[str, bytes], spec: Any, card: bytes) -> None:
    with pytest.raises(CheckpointDamaged, match=r"no readable card\.json"):
        checkpoints.restore({**files, "card.json": card}, spec, SHAPE)


def test_a_missing_file_is_damage(files: dict[str, bytes], spec: Any) -> None:
    del files["generator.onnx"]
    with pytest.raises(CheckpointDamaged, match=r"no generator\.onnx"):
        checkpoints.restore(files, spec, SHAPE)


def test_the_tensors_of_another_network_are_refused(files: dict[str, bytes], spec: Any) -> None:
    for other in ({"width": 16}, {"conditional": False}):
        with pytest.raises(CheckpointDamaged):
            checkpoints.restore(files, spec.model_copy(update=other), SHAPE)
