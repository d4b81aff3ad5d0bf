"""What is exported is what was trained: in ONNX Runtime as it serves, on one thread."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmodels import draws, training
from ganmodels.batches import to_range, to_unit
from ganmodels.datasets import ImageSet
from ganmodels.draws import Purpose
from ganmodels.export import Exporter
from ganmodels.family import Family, ImageShape
from ganmodels.training import State

COUNT = 16
GENERATOR, DISCRIMINATOR = "generator.onnx", "discriminator.onnx"

Answers = Mapping[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def published(spec: Any, shape: ImageShape, images: ImageSet) -> tuple[State, Exporter, dict[str, bytes]]:
    """Export an untrained run, then train it: only the weights have been swapped since."""
    state = training.start(spec, shape)
    exporter = Exporter(spec, state)
    untrained = exporter.files()
    for _ in training.train(spec, state, images):
        pass
    return state, exporter, untrained


@pytest.fixture(scope="module")
def inputs(spec: Any, family: Family, shape: ImageShape) -> dict[str, Tensor]:
    """Give noise and images in [0, 1], and labels for them."""
    given = {
        "images": torch.rand(COUNT, shape.channels, shape.size, shape.size, generator=torch.Generator().manual_seed(3)),
        "label": torch.arange(COUNT) % shape.labels,
    }
    if family.latent is None:
        return given
    noise = draws.noise(family.latent(spec), COUNT, spec.latent_size, draws.source(0, 0, 9, Purpose.PREVIEW))
    return {**given, "z": noise}


def answer(graph: bytes, given: Mapping[str, Tensor]) -> Answers:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    wanted = [one.name for one in session.get_inputs()]
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, {name: given[name].numpy() for name in wanted}), strict=True))


def signature(graph: bytes) -> list[list[tuple[str, str]]]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return [[(one.name, one.type) for one in some] for some in (session.get_inputs(), session.get_outputs())]


def test_the_graphs_take_and_give_what_serving_expects(spec: Any, published: Any) -> None:
    _, exporter, _ = published
    files = exporter.files()
    label = ("label", "tensor(int64)")
    judges = "scores" in spec.serves or "classes" in spec.serves
    expected = {name for name, there in ((GENERATOR, "images" in spec.serves), (DISCRIMINATOR, judges)) if there}
    assert files.keys() == expected
    if GENERATOR in files:
        asked = [label] if spec.labels_from == "generator" else []
        assert signature(files[GENERATOR]) == [[("z", "tensor(float)"), *asked], [("images", "tensor(float)")]]
    if DISCRIMINATOR in files:
        asked = [label] if spec.score_needs_label else []
        said = {"logit": "scores", "class_logits": "classes"}
        given = [(name, "tensor(float)") for name, what in said.items() if what in spec.serves]
        assert signature(files[DISCRIMINATOR]) == [[("images", "tensor(float)"), *asked], given]


def test_the_exported_generator_draws_what_pytorch_draws(
    spec: Any, adversarial: Family, published: Any, inputs: dict[str, Tensor]
) -> None:
    state, exporter, untrained = published
    with torch.no_grad():
        drawn = state.generator.served(inputs["z"], inputs["label"])
        expected = to_unit(drawn, adversarial.output_range(spec)).numpy()
    found = answer(exporter.files()[GENERATOR], inputs)["images"]
    assert np.abs(found - expected).max() <= 1e-5
    assert 0 <= found.min() < found.max() <= 1
    assert not np.array_equal(found, answer(untrained[GENERATOR], inputs)["images"])


def test_the_exported_discriminator_judges_as_pytorch_does(
    spec: Any, family: Family, published: Any, inputs: dict[str, Tensor]
) -> None:
    state, exporter, untrained = published
    if DISCRIMINATOR not in untrained:
        assert not {"scores", "classes"} & set(spec.serves)
        return
    network = state.discriminator.served.eval()
    with torch.no_grad():
        images = to_range(inputs["images"], family.output_range(spec))
        expected = {}
        if "scores" in spec.serves:
            expected["logit"] = family.score(network, images, inputs["label"]).numpy()
        if "classes" in spec.serves:
            expected["class_logits"] = family.classify(network, images).numpy()
    state.discriminator.network.train()
    found, before = answer(exporter.files()[DISCRIMINATOR], inputs), answer(untrained[DISCRIMINATOR], inputs)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape
        assert np.abs(found[name] - values).max() <= 1e-5
        assert not np.array_equal(found[name], before[name])


def test_swapped_weights_equal_a_fresh_export(spec: Any, published: Any, inputs: dict[str, Tensor]) -> None:
    state, swapped, _ = published
    fresh = Exporter(spec, state).files()
    for name, ours in swapped.files().items():
        found, expected = answer(ours, inputs), answer(fresh[name], inputs)
        for output, values in expected.items():
            assert np.array_equal(found[output], values), output


def test_an_image_does_not_depend_on_the_batch_it_rides_in(published: Any, inputs: dict[str, Tensor]) -> None:
    _, exporter, _ = published
    for graph in exporter.files().values():
        together = answer(graph, inputs)
        for size in (1, 3):
            for first in range(0, COUNT - size + 1, size):
                some = answer(graph, {name: tensor[first : first + size] for name, tensor in inputs.items()})
                for output, values in together.items():
                    assert np.array_equal(some[output], values[first : first + size]), (output, first, size)


def test_labels_reach_the_generator(
    spec: Any, adversarial: Family, published: Any, inputs: dict[str, Tensor], shape: ImageShape
) -> None:
    _, exporter, _ = published
    graph = exporter.files()[GENERATOR]
    if spec.labels_from == "generator":
        ones, twos = (answer(graph, {**inputs, "label": torch.full((COUNT,), label)})["images"] for label in (1, 2))
        assert not np.array_equal(ones, twos)
    else:
        assert "label" not in dict(signature(graph)[0])
