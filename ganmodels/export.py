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
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from ganmodels.batches import to_unit
from ganmodels.family import Family, ImageShape
from ganmodels.specs.knobs import AdversarialKnobs, Knobs
from ganmodels.training import Player, State, family_of

OUTPUTS = {"logit": "scores", "class_logits": "classes"}  # the discriminator's, by what a checkpoint serves


class _Sampler(nn.Module):
    """A generator whose images are in [0, 1] and whose labels need not be given when it knows none."""

    def __init__(self, network: nn.Module, output_range: tuple[float, float]) -> None:
        super().__init__()
        self.network, self.output_range = network, output_range

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return to_unit(self.network(z, _labels(z, label)), self.output_range)


class _Judge(nn.Module):
    """A discriminator of images in [0, 1] that says all it has to say: its estimate, its classes or both."""

    def __init__(self, network: nn.Module, family: Family, spec: Knobs) -> None:
        super().__init__()
        self.network, self.family, self.output_range = network, family, family.output_range(spec)
        self.outputs = [name for name in OUTPUTS if OUTPUTS[name] in spec.serves]

    def forward(self, images: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        low, high = self.output_range
        images = images * (high - low) + low
        said = []
        if "logit" in self.outputs:
            assert self.family.score is not None
            said.append(self.family.score(self.network, images, _labels(images, label)))
        if "class_logits" in self.outputs:
            assert self.family.classify is not None
            said.append(self.family.classify(self.network, images))
        return tuple(said)


def sampler(spec: AdversarialKnobs, state: State) -> nn.Module:
    """Return what is exported of a generator: noise (N, Z), and labels (N,), to images (N, C, H, W) in [0, 1]."""
    assert state.generator is not None
    return _Sampler(_still(state.generator), family_of(spec).output_range(spec)).eval()


def _labels(inputs: Tensor, label: Tensor | None) -> Tensor:
    return torch.zeros(len(inputs), dtype=torch.int64) if label is None else label


class Exporter:
    """The ONNX graphs of a run's networks that answer, always with their present weights.

    `generator.onnx`: `z` (N, Z) float32, and `label` (N,) int64 if the generator knows labels, to `images`
    (N, C, H, W) in [0, 1]. `discriminator.onnx`: `images`, and `label` if its estimate depends on it, to `logit` (N,)
    and `class_logits` (N, K), as far as it has them.
    """

    def __init__(self, spec: Knobs, state: State) -> None:
        family = family_of(spec)
        self._exported: list[tuple[str, bytes, Player]] = []
        label = (torch.arange(2) % state.shape.labels,)
        if state.generator is not None:
            assert isinstance(spec, AdversarialKnobs)
            inputs = (torch.zeros(2, spec.latent_size), *(label if spec.labels_from == "generator" else ()))
            self._exported.append(
                ("generator.onnx", _export(sampler(spec, state), inputs, ["images"]), state.generator)
            )
        judge = _Judge(_still(state.discriminator), family, spec)
        if judge.outputs:
            inputs = (_two_images(state.shape), *(label if spec.score_needs_label else ()))
            self._exported.append(("discriminator.onnx", _export(judge, inputs, judge.outputs), state.discriminator))

    def files(self) -> dict[str, bytes]:
        """Write the graphs as the networks are now, each under its file's name."""
        return {name: _swap(graph, _still(player)) for name, graph, player in self._exported}


def _still(player: Player) -> nn.Module:
    """Copy the network that answers, to export: in evaluation mode, on the CPU, every weight a plain tensor."""
    network = deepcopy(player.served).cpu().eval().requires_grad_(False)
    for module in network.modules():
        if is_parametrized(module):
            # Removal takes the property off the class, which the copy shares with the network in training.
            shared = type(module)
            module.__class__ = type(shared.__name__, shared.__bases__, dict(vars(shared)))
            remove_parametrizations(module, "weight")
    return network


def _two_images(shape: ImageShape) -> Tensor:
    return torch.zeros(2, shape.channels, shape.size, shape.size)


def _export(network: nn.Module, inputs: tuple[Tensor, ...], outputs: list[str]) -> bytes:
    """Trace `network` with a batch of any size. Unoptimized: folded weights would keep their names and go stale."""
    names = ["z" if "images" in outputs else "images", "label"][: len(inputs)]
    axes = [{0: "batch"}, {0: torch.export.Dim.DYNAMIC}][: len(inputs)]  # the second is found to equal the first
    with _quiet():
        program: Any = torch.onnx.export(  # None only when it writes to a file itself
            network.eval(),
            inputs,
            input_names=names,
            output_names=outputs,
            dynamo=True,
            optimize=False,
            dynamic_shapes=tuple(axes),
            verbose=False,
        )
    content = BytesIO()
    program.save(content)
    return content.getvalue()


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


def _swap(graph: bytes, network: nn.Module) -> bytes:
    """Put the network's weights in the place of the graph's, by name.

    The graph is parsed anew each time: one that is kept would keep all weights it ever had, as what a message of
    protobuf has held is freed with the whole message and not before.
    """
    model = onnx.load_from_string(graph)
    weights = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for initializer in model.graph.initializer:
        if initializer.name in weights:
            array = weights[initializer.name].detach().cpu().contiguous().numpy()
            initializer.CopyFrom(numpy_helper.from_array(array, initializer.name))
    return bytes(model.SerializeToString())
