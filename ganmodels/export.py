"""How networks become ONNX: exported once, after which only the weights are swapped."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import BytesIO
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from ganmodels.batches import to_unit
from ganmodels.families import FAMILIES
from ganmodels.family import ImageShape
from ganmodels.specs import Spec
from ganmodels.training import State


class _Sampler(nn.Module):
    """A generator whose images are in [0, 1] and whose labels need not be given when it knows none."""

    def __init__(self, network: nn.Module, output_range: tuple[float, float]) -> None:
        super().__init__()
        self.network, self.output_range = network, output_range

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return to_unit(self.network(z, _labels(z, label)), self.output_range)


class _Scorer(nn.Module):
    """A discriminator of images in [0, 1]."""

    def __init__(self, network: nn.Module, output_range: tuple[float, float]) -> None:
        super().__init__()
        self.network, self.output_range = network, output_range

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        low, high = self.output_range
        logits: Tensor = self.network(images * (high - low) + low, _labels(images, label))
        return logits


def _labels(inputs: Tensor, label: Tensor | None) -> Tensor:
    return torch.zeros(len(inputs), dtype=torch.int64) if label is None else label


class Exporter:
    """The ONNX graphs of a run's averaged generator and discriminator, always with its present weights.

    Generator: `z` (N, Z) float32, and `label` (N,) int64 if it knows labels, to `images` (N, C, H, W) in [0, 1].
    Discriminator: `images`, and `label`, to `logit` (N,).
    """

    def __init__(self, spec: Spec, state: State) -> None:
        family = FAMILIES[spec.family]
        self._state = state
        label = (torch.arange(2) % state.shape.labels,) if spec.serves_labels else ()
        self._generator = _export(
            _Sampler(_still(state.averaged), family.output_range), (torch.zeros(2, spec.latent_size), *label), "images"
        )
        self._discriminator = _export(
            _Scorer(_still(state.discriminator), family.output_range), (_two_images(state.shape), *label), "logit"
        )

    def generator(self) -> bytes:
        """Write the averaged generator as it is now."""
        return _swap(self._generator, self._state.averaged)

    def discriminator(self) -> bytes:
        """Write the discriminator as it is now."""
        return _swap(self._discriminator, self._state.discriminator)


def _still(network: nn.Module) -> nn.Module:
    """Copy a network to export: in evaluation mode, on the CPU."""
    return deepcopy(network).cpu().eval().requires_grad_(False)


def _two_images(shape: ImageShape) -> Tensor:
    return torch.zeros(2, shape.channels, shape.size, shape.size)


def _export(network: nn.Module, inputs: tuple[Tensor, ...], output: str) -> onnx.ModelProto:
    """Trace `network` with a batch of any size. Unoptimized: folded weights would keep their names and go stale."""
    names = ["z" if output == "images" else "images", "label"][: len(inputs)]
    axes = [{0: "batch"}, {0: torch.export.Dim.DYNAMIC}][: len(inputs)]  # the second is found to equal the first
    with _quiet():
        program: Any = torch.onnx.export(  # None only when it writes to a file itself
            network.eval(),
            inputs,
            input_names=names,
            output_names=[output],
            dynamo=True,
            optimize=False,
            dynamic_shapes=tuple(axes),
            verbose=False,
        )
    content = BytesIO()
    program.save(content)
    return onnx.load_from_string(content.getvalue())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of itself: torchvision is not needed, and its own deprecations are not ours."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")
            yield
    finally:
        registration.setLevel(level)


def _swap(model: onnx.ModelProto, network: nn.Module) -> bytes:
    """Put the network's weights in the place of the graph's, by name."""
    weights = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for initializer in model.graph.initializer:
        if initializer.name in weights:
            array = weights[initializer.name].detach().cpu().contiguous().numpy()
            initializer.CopyFrom(numpy_helper.from_array(array, initializer.name))
    return bytes(model.SerializeToString())
