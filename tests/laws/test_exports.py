"""What is exported is what was trained: in ONNX Runtime as it serves, on one thread."""

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
from ganmodels.families import FAMILIES
from ganmodels.family import ImageShape
from ganmodels.training import State

COUNT = 16


@pytest.fixture(scope="module")
def published(spec: Any, shape: ImageShape, images: ImageSet) -> tuple[State, Exporter, dict[str, bytes]]:
    """Export an untrained run, then train it: only the weights have been swapped since."""
    state = training.start(spec, shape)
    exporter = Exporter(spec, state)
    untrained = {"generator": exporter.generator(), "discriminator": exporter.discriminator()}
    for _ in training.train(spec, state, images):
        pass
    return state, exporter, untrained


@pytest.fixture(scope="module")
def noise(spec: Any) -> Tensor:
    return draws.noise(FAMILIES[spec.family].latent, COUNT, spec.latent_size, draws.source(0, 0, 9, Purpose.PREVIEW))


@pytest.fixture(scope="module")
def labels(shape: ImageShape) -> Tensor:
    return torch.arange(COUNT) % shape.labels


@pytest.fixture(scope="module")
def pictures(shape: ImageShape) -> Tensor:
    """Make images in [0, 1] to be judged."""
    return torch.rand(COUNT, shape.channels, shape.size, shape.size, generator=torch.Generator().manual_seed(3))


def answer(graph: bytes, **inputs: Tensor) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    wanted = [one.name for one in session.get_inputs()]
    (output,) = session.run(None, {name: inputs[name].numpy() for name in wanted})
    return output


def signature(graph: bytes) -> Any:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return ([(one.name, one.type) for one in some] for some in (session.get_inputs(), session.get_outputs()))


def test_the_graphs_take_and_give_what_serving_expects(spec: Any, published: Any) -> None:
    _, exporter, _ = published
    label = [("label", "tensor(int64)")] if spec.serves_labels else []
    taken, given = signature(exporter.generator())
    assert taken == [("z", "tensor(float)"), *label]
    assert given == [("images", "tensor(float)")]
    taken, given = signature(exporter.discriminator())
    assert taken == [("images", "tensor(float)"), *label]
    assert given == [("logit", "tensor(float)")]


def test_the_exported_generator_draws_what_pytorch_draws(
    spec: Any, published: Any, noise: Tensor, labels: Tensor
) -> None:
    state, exporter, untrained = published
    with torch.no_grad():
        expected = to_unit(state.averaged(noise, labels), FAMILIES[spec.family].output_range)
    drawn = answer(exporter.generator(), z=noise, label=labels)
    assert np.abs(drawn - expected.numpy()).max() <= 1e-5
    assert 0 <= drawn.min() < drawn.max() <= 1
    assert not np.array_equal(drawn, answer(untrained["generator"], z=noise, label=labels))


def test_the_exported_discriminator_judges_as_pytorch_does(
    spec: Any, published: Any, pictures: Tensor, labels: Tensor
) -> None:
    state, exporter, untrained = published
    state.discriminator.eval()
    with torch.no_grad():
        images = to_range(255 * pictures, FAMILIES[spec.family].output_range)
        expected = state.discriminator(images, labels)
    state.discriminator.train()
    judged = answer(exporter.discriminator(), images=pictures, label=labels)
    assert judged.shape == (COUNT,)
    assert np.abs(judged - expected.numpy()).max() <= 1e-5
    assert not np.array_equal(judged, answer(untrained["discriminator"], images=pictures, label=labels))


def test_swapped_weights_equal_a_fresh_export(
    spec: Any, published: Any, noise: Tensor, labels: Tensor, pictures: Tensor
) -> None:
    state, swapped, _ = published
    fresh = Exporter(spec, state)
    for inputs, ours, theirs in (
        ({"z": noise}, swapped.generator(), fresh.generator()),
        ({"images": pictures}, swapped.discriminator(), fresh.discriminator()),
    ):
        assert np.array_equal(answer(ours, **inputs, label=labels), answer(theirs, **inputs, label=labels))


def test_an_image_does_not_depend_on_the_batch_it_rides_in(
    published: Any, noise: Tensor, labels: Tensor, pictures: Tensor
) -> None:
    _, exporter, _ = published
    for graph, inputs in (
        (exporter.generator(), {"z": noise, "label": labels}),
        (exporter.discriminator(), {"images": pictures, "label": labels}),
    ):
        together = answer(graph, **inputs)
        for size in (1, 3):
            for first in range(0, COUNT - size + 1, size):
                some = answer(graph, **{name: tensor[first : first + size] for name, tensor in inputs.items()})
                assert np.array_equal(some, together[first : first + size]), (first, size)


def test_labels_reach_the_generator(spec: Any, published: Any, noise: Tensor, shape: ImageShape) -> None:
    _, exporter, _ = published
    if spec.serves_labels:
        ones, twos = (answer(exporter.generator(), z=noise, label=torch.full((COUNT,), label)) for label in (1, 2))
        assert not np.array_equal(ones, twos)
    else:
        taken, _ = signature(exporter.generator())
        assert "label" not in dict(taken)
