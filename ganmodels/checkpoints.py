"""Checkpoints as bytes in memory: tensors, ONNX graphs and a card of JSON that vouches for them. Never pickle."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ganmodels import heads
from ganmodels.datasets import Dataset
from ganmodels.family import ImageShape
from ganmodels.optimizers import moments
from ganmodels.specs import NUMERICS_VERSION
from ganmodels.specs.knobs import AdversarialKnobs, Knobs
from ganmodels.training import State, family_of, start

FORMAT = 2
TENSORS = "state.safetensors"
CARD = "card.json"
MEMORIES = ("generator_optimizer.", "discriminator_optimizer.")


class Graphs(Protocol):
    """Who writes a checkpoint's ONNX files: `export.Exporter`."""

    def files(self) -> dict[str, bytes]:
        """Write the networks that answer as they are now, each under its file's name."""


class CheckpointDamaged(Exception):
    """A checkpoint is not what it says it is."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}, expected {expected}")
        self.found, self.expected = found, expected


def pack(
    spec: Knobs,
    state: State,
    dataset: Dataset,
    metrics: Mapping[str, float],
    graphs: Graphs,
    progress: Mapping[str, Any] | None = None,  # Any: JSON
) -> dict[str, bytes]:
    """Write the files of a checkpoint, the card last: it holds the digests of the others.

    `progress` is what else a run must know to go on as if it had never stopped.
    """
    files = {TENSORS: save_tensors(tensors(state)), **graphs.files()}
    card = {**_card(spec, state, dataset), "metrics": dict(metrics), "progress": dict(progress or {})}
    card["files"] = {name: {"sha256": digest_of(data), "size": len(data)} for name, data in files.items()}
    return {**files, CARD: json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False).encode()}


def _card(spec: Knobs, state: State, dataset: Dataset) -> dict[str, Any]:  # Any: JSON
    facts = dataset.facts
    return {
        "format": FORMAT,
        "family": spec.family,
        "spec": spec.model_dump(mode="json"),
        "step": state.step,
        "rollbacks": state.rollbacks,
        "numerics_version": NUMERICS_VERSION,
        "dataset": {"name": dataset.name, "digest": dataset.digest, "license": facts.license},
        "label_names": list(facts.label_names),
        "latent": _latent(spec),
        "kind": facts.kind,
        "span": facts.span,
        "image": {"size": state.shape.size, "channels": state.shape.channels},
        "serves": list(spec.serves),
        "labels_from": spec.labels_from,
        "score_needs_label": spec.score_needs_label,
        "scores_are_odds": spec.OUTPUT != "score",
        "classes": heads.class_names(spec, state, dataset),
    }


def _latent(spec: Knobs) -> dict[str, Any] | None:  # Any: JSON
    family = family_of(spec)
    if family.latent is None:
        return None
    assert isinstance(spec, AdversarialKnobs)
    latent = family.latent(spec)
    return {"size": spec.latent_size, "distribution": latent.distribution, "low": latent.low, "high": latent.high}


def restore(files: Mapping[str, bytes], spec: Knobs, shape: ImageShape, device: str = "cpu") -> State:
    """Read a state back, every bit of it. Raises CheckpointDamaged."""
    card = verify(files)
    state = start(spec, shape, device)
    stored, slots = _read_tensors(files[TENSORS]), dict(_slots(state))
    if unlike := _difference(stored, slots):
        raise CheckpointDamaged(*unlike)
    _fill(slots, stored)
    state.step, state.rollbacks = card["step"], card["rollbacks"]
    return state


def adopt(files: Mapping[str, bytes], spec: Knobs, shape: ImageShape, device: str = "cpu") -> State:
    """Begin a run with the networks of another, averages too; optimizers and steps begin anew.

    Raises CheckpointDamaged, and ValueError where the networks are not those of the spec.
    """
    verify(files)
    state = start(spec, shape, device)
    stored, slots = (
        {name: tensor for name, tensor in tensors.items() if not name.startswith(MEMORIES)}
        for tensors in (_read_tensors(files[TENSORS]), dict(_slots(state)))
    )
    if unlike := _difference(stored, slots):
        raise ValueError("init_from: the other job's networks are not this one's: {}, expected {}".format(*unlike))
    _fill(slots, stored)
    state.adopted = True
    return state


def _difference(stored: Mapping[str, Tensor], slots: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """Say what was found and what was expected, where the tensors are not of the same names and shapes."""
    if stored.keys() != slots.keys():
        odd = ", ".join(sorted(stored.keys() ^ slots.keys())[:5])
        return f"{len(stored)} tensors (odd ones out: {odd})", f"the {len(slots)} of this spec"
    for name, slot in slots.items():
        if slot.shape != stored[name].shape:
            return f"{name} of shape {tuple(stored[name].shape)}", f"{tuple(slot.shape)}"
    return None


@torch.no_grad()
def _fill(slots: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> None:
    for name, slot in slots.items():
        slot.copy_(stored[name])


def tensors(state: State) -> dict[str, Tensor]:
    """Give every tensor of a state by name: networks, averages and what the optimizers remember."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in _slots(state)}


def digest(state: State) -> str:
    """Hash all that a run has learned: two runs with the same digest are the same to the bit."""
    found = sha256(f"{state.step}/{state.rollbacks}".encode())
    for name, tensor in sorted(tensors(state).items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


def digest_of(content: bytes) -> str:
    """Return the SHA-256 as lower-case hexadecimal digits."""
    return sha256(content).hexdigest()


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
        found = digest_of(files[name])
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
    for prefix, player in (("generator", state.generator), ("discriminator", state.discriminator)):
        if player is None:
            continue
        for part, network in ((prefix, player.network), (f"{prefix}_averaged", player.averaged)):
            for name, tensor in network.state_dict().items() if network is not None else ():
                yield f"{part}.{name}", tensor
        for name, tensor in moments(player.optimizer, player.network):
            yield f"{prefix}_optimizer.{name}", tensor
