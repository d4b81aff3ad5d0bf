"""Checkpoints as bytes in memory: tensors, ONNX graphs and a card of JSON that vouches for them. Never pickle."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ganmodels.datasets import Dataset
from ganmodels.families import FAMILIES
from ganmodels.family import ImageShape
from ganmodels.specs import FAMILIES as MENU
from ganmodels.specs import NUMERICS_VERSION, Spec
from ganmodels.training import State, start

FORMAT = 1
TENSORS = "state.safetensors"
CARD = "card.json"
MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Graphs(Protocol):
    """Who writes a checkpoint's ONNX files: `export.Exporter`."""

    def generator(self) -> bytes:
        """Write the averaged generator as it is now."""

    def discriminator(self) -> bytes:
        """Write the discriminator as it is now."""


class CheckpointDamaged(Exception):
    """A checkpoint is not what it says it is."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}, expected {expected}")
        self.found, self.expected = found, expected


def pack(
    spec: Spec, state: State, dataset: Dataset, metrics: Mapping[str, float], exporter: Graphs
) -> dict[str, bytes]:
    """Write the four files of a checkpoint, the card last: it holds the digests of the others."""
    files = {
        TENSORS: save_tensors(tensors(state)),
        "generator.onnx": exporter.generator(),
        "discriminator.onnx": exporter.discriminator(),
    }
    card = _card(spec, state, dataset, metrics)
    card["files"] = {name: {"sha256": sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    return {**files, CARD: json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False).encode()}


def _card(spec: Spec, state: State, dataset: Dataset, metrics: Mapping[str, float]) -> dict[str, Any]:  # Any: JSON
    latent = FAMILIES[spec.family].latent
    return {
        "format": FORMAT,
        "family": spec.family,
        "spec": spec.model_dump(mode="json"),
        "step": state.step,
        "rollbacks": state.rollbacks,
        "numerics_version": NUMERICS_VERSION,
        "dataset": {"name": dataset.name, "digest": dataset.digest, "license": dataset.facts.license},
        "label_names": list(dataset.facts.label_names),
        "latent": {
            "size": spec.latent_size,
            "distribution": latent.distribution,
            "low": latent.low,
            "high": latent.high,
        },
        "image": {"size": state.shape.size, "channels": state.shape.channels},
        "serves": [what for what in MENU[spec.family].serves if what != "labels" or spec.serves_labels],
        "metrics": dict(metrics),
    }


def restore(files: Mapping[str, bytes], spec: Spec, shape: ImageShape, device: str = "cpu") -> State:
    """Read a state back, every bit of it. Raises CheckpointDamaged."""
    card = verify(files)
    state = start(spec, shape, device)
    stored = _read_tensors(files[TENSORS])
    for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
        _fill_moments(optimizer)
    slots = dict(_slots(state))
    if stored.keys() != slots.keys():
        odd = ", ".join(sorted(stored.keys() ^ slots.keys())[:5])
        raise CheckpointDamaged(f"{len(stored)} tensors (odd ones out: {odd})", f"the {len(slots)} of this spec")
    for name, slot in slots.items():
        if slot.shape != stored[name].shape:
            raise CheckpointDamaged(f"{name} of shape {tuple(stored[name].shape)}", f"{tuple(slot.shape)}")
        with torch.no_grad():
            slot.copy_(stored[name])
    state.step, state.rollbacks = card["step"], card["rollbacks"]
    return state


def tensors(state: State) -> dict[str, Tensor]:
    """Give every tensor of a state by name: networks, average and both optimizers' moments."""
    for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
        _fill_moments(optimizer)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in _slots(state)}


def digest(state: State) -> str:
    """Hash all that a run has learned: two runs with the same digest are the same to the bit."""
    found = sha256(f"{state.step}/{state.rollbacks}".encode())
    for name, tensor in sorted(tensors(state).items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


def verify(files: Mapping[str, bytes]) -> dict[str, Any]:  # Any: JSON
    """Check the format and every file's digest; give the card. Raises CheckpointDamaged."""
    try:
        card: dict[str, Any] = json.loads(files[CARD])
        found, listed = card["format"], card["files"]
    except (KeyError, ValueError, TypeError) as fault:
        raise CheckpointDamaged(f"no readable {CARD} ({fault!r})", "one with format and files") from fault
    if found != FORMAT:
        raise CheckpointDamaged(f"checkpoint format {found}", f"{FORMAT}")
    for name, facts in listed.items():
        if name not in files:
            raise CheckpointDamaged(f"no {name}", "every file that the card lists")
        found = sha256(files[name]).hexdigest()
        if found != facts["sha256"]:
            raise CheckpointDamaged(f"{name} of {len(files[name])} bytes and SHA-256 {found}", facts["sha256"])
    return card


def _read_tensors(content: bytes) -> dict[str, Tensor]:
    try:
        return load_tensors(content)
    except SafetensorError as fault:
        raise CheckpointDamaged(f"{TENSORS} that cannot be read ({fault})", "safetensors") from fault


def _slots(state: State) -> Iterator[tuple[str, Tensor]]:
    """Walk over every tensor of a state in place, under the name it is stored by."""
    networks = {"generator": state.generator, "discriminator": state.discriminator, "averaged": state.averaged}
    for prefix, network in networks.items():
        for name, tensor in network.state_dict().items():
            yield f"{prefix}.{name}", tensor
    yield from _moments("generator", state.generator, state.generator_optimizer)
    yield from _moments("discriminator", state.discriminator, state.discriminator_optimizer)


def _moments(prefix: str, network: nn.Module, optimizer: torch.optim.Adam) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in network.named_parameters():
        for moment in MOMENTS:
            yield f"{prefix}_optimizer.{name}.{moment}", optimizer.state[parameter][moment]


def _fill_moments(optimizer: torch.optim.Adam) -> None:
    """Give Adam the zeros it would start from, which it only makes at its first step."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if not optimizer.state[parameter]:
                optimizer.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
