"""A world to test the API in: a real database, a real folder, and generators that are real if tiny."""

import hashlib
import io
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from starlette.testclient import TestClient

from ganmodels.specs import SPEC
from store import claims, jobs, keys
from store.artifacts import Artifacts
from store.claims import Claim
from store.database import Database
from store.jobs import Job
from store.keys import Allowance, Key, Scope
from store.previews import Picture
from store.settings import Settings

Weights = dict[str, NDArray[Any]]

LATENT: dict[str, Any] = {"size": 8, "distribution": "normal", "low": -1.0, "high": 1.0}
SIZE = 8
LOOPBACK = "http://127.0.0.1"  # where no key is asked for


@dataclass(frozen=True)
class Head:
    """What a tiny discriminator answers: a label for each output of its class head, an estimate, or both."""

    classes: tuple[int | None, ...] = ()
    scores: bool = False
    needs_label: bool = False
    odds: bool = True
    sharpness: float = 200.0  # 0: every output equally likely, whatever the image

    @property
    def serves(self) -> list[str]:
        return ["classes"] * bool(self.classes) + ["scores"] * self.scores


def tiny_generator(seed: int, labels: int = 10, channels: int = 1) -> bytes:
    """Write sigmoid(z W + embedding(label)) as an image: small, and every weight matters."""
    random = np.random.default_rng(seed)
    pixels = channels * SIZE * SIZE
    weights: Weights = {
        "weight": random.normal(size=(LATENT["size"], pixels)).astype(np.float32),
        "bias": random.normal(size=pixels).astype(np.float32),
        "shape": np.array([-1, channels, SIZE, SIZE], np.int64),
    }
    nodes = [helper.make_node("Gemm", ["z", "weight", "bias"], ["hidden"])]
    if labels:
        weights["embedding"] = 3 * random.normal(size=(labels, pixels)).astype(np.float32)
        nodes += [
            helper.make_node("Gather", ["embedding", "label"], ["embedded"]),
            helper.make_node("Add", ["hidden", "embedded"], ["sum"]),
        ]
    nodes += [
        helper.make_node("Sigmoid", ["sum" if labels else "hidden"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["images"]),
    ]
    return model(nodes, [NOISE, LABEL][: 1 + bool(labels)], [tensor("images", channels, SIZE, SIZE)], weights)


def points_generator(seed: int) -> bytes:
    """Write softplus(z W) / 4 as a point: the last bit of such narrow rows depends on their batch mates."""
    weights: Weights = {
        "weight": np.random.default_rng(seed).normal(size=(LATENT["size"], 2)).astype(np.float32),
        "four": np.array(4, np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(1, np.float32),
        "shape": np.array([-1, 2, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["z", "weight"], ["hidden"]),
        helper.make_node("Softplus", ["hidden"], ["soft"]),
        helper.make_node("Div", ["soft", "four"], ["quarter"]),
        helper.make_node("Clip", ["quarter", "low", "high"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["images"]),
    ]
    return model(nodes, [NOISE], [tensor("images", 2, 1, 1)], weights)


def tiny_discriminator(seed: int, head: Head, channels: int = 1) -> bytes:
    """Write linear functions of the pixels: class logits, centered so that no class prevails, and a logit."""
    random = np.random.default_rng(seed)
    pixels, outputs = channels * SIZE * SIZE, max(1, len(head.classes))
    weight = head.sharpness / pixels * random.normal(size=(pixels, outputs))
    # The generator of the same seed draws its bias after its weights: its usual image is sigmoid(bias).
    usual = 1 / (1 + np.exp(-np.random.default_rng(seed).normal(size=(LATENT["size"] + 1, pixels))[-1]))
    weights: Weights = {
        "flat_shape": np.array([-1, pixels], np.int64),
        "weight": weight.astype(np.float32),
        "bias": (-usual @ weight).astype(np.float32),
        "score": (random.normal(size=(pixels, 1)) / 10).astype(np.float32),
        "none": np.zeros(1, np.float32),
        "row": np.array([-1], np.int64),
        "embedding": random.normal(size=10).astype(np.float32),
    }
    nodes = [helper.make_node("Reshape", ["images", "flat_shape"], ["flat"])]
    outs = []
    if head.classes:
        nodes.append(helper.make_node("Gemm", ["flat", "weight", "bias"], ["class_logits"]))
        outs.append(tensor("class_logits", outputs))
    if head.scores:
        nodes += [
            helper.make_node("MatMul", ["flat", "score"], ["estimate"]),
            helper.make_node("Reshape", ["estimate", "row"], ["logit" if not head.needs_label else "unlabeled"]),
        ]
        outs.append(tensor("logit"))
    if head.needs_label:
        nodes += [
            helper.make_node("Gather", ["embedding", "label"], ["embedded"]),
            helper.make_node("Add", ["unlabeled", "embedded"], ["logit"]),
        ]
    inputs = [tensor("images", channels, SIZE, SIZE), LABEL][: 1 + head.needs_label]
    return model(nodes, inputs, outs, {name: weights[name] for node in nodes for name in node.input if name in weights})


def tensor(name: str, *sides: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sides])


NOISE = tensor("z", LATENT["size"])
LABEL = helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: Weights,
) -> bytes:
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    written = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(written)
    return bytes(written.SerializeToString())


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def picture(shade: int, size: tuple[int, int] = (80, 16), mode: str = "L") -> bytes:
    """Draw a PNG in one shade."""
    target = io.BytesIO()
    Image.new(mode, size, shade).save(target, "PNG")
    return target.getvalue()


def facts_of(head: Head, source: str | None) -> dict[str, Any]:
    """Return what a card says of a discriminator, and of whom labels are asked."""
    return {
        "labels_from": source,
        "classes": list(head.classes) or None,
        "score_needs_label": head.needs_label,
        "scores_are_odds": head.odds,
        "kind": "images",
        "span": 1.0,
    }


class World:
    """What tests do to the store: they play the worker, with its own functions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.database.migrate()
        self.artifacts = Artifacts(settings.artifacts)

    def key(self, *scopes: Scope, **allowance: int) -> tuple[Key, str]:
        """Return a new key and its secret."""
        secret = keys.draw()
        with self.database.write() as connection:
            return keys.add(connection, secret, "a key", scopes, Allowance(**allowance)), secret

    def submit(self, **knobs: Any) -> Job:
        usual = (
            {"dataset": "digits"}
            if "family" in knobs
            else {"family": "dcgan", "conditional": True, "dataset": "digits"}
        )
        spec = SPEC.validate_python({**usual, **knobs})
        with self.database.write() as connection:
            return jobs.submit(connection, spec).job

    def start(self, **knobs: Any) -> Claim:
        """Submit a job and begin to train it; no other job may wait."""
        job = self.submit(**knobs)
        with self.database.write() as connection:
            held = claims.claim(connection, "worker-1", timedelta(minutes=5))
            assert held is not None
            assert held.job.id == job.id
            claims.resolve(connection, held, job.spec, {"numerics_version": 1})
            claims.begin(connection, held, 0)
        return held

    def report(self, held: Claim, points: list[tuple[int, dict[str, float]]]) -> None:
        with self.database.write() as connection:
            claims.report(connection, held, points[-1][0], points, images_per_second=640.0)

    def checkpoint(
        self,
        held: Claim,
        step: int,
        labels: int = 10,
        channels: int = 1,
        names: list[str] | None = None,
        metrics: dict[str, float] | None = None,
        variant: int = 0,
        head: Head | None = None,
        latent: dict[str, Any] = LATENT,
    ) -> None:
        """Write a checkpoint whose generator differs from every other step's and variant's.

        Without a head its card is one of an older version. A generator without labels has those of its class head.
        """
        contents = {"generator.onnx": tiny_generator(step + variant, labels, channels)}
        serves = ["images", "labels"] if labels else ["images"]
        facts: dict[str, Any] = {}
        if head is not None:
            contents["discriminator.onnx"] = tiny_discriminator(step + variant, head, channels)
            source = "generator" if labels else "classes" if head.classes else None
            serves = ["images"] + ["labels"] * (source is not None) + head.serves
            facts = facts_of(head, source)
        card = {"image": {"size": SIZE, "channels": channels}, "serves": serves, "metrics": metrics or {}, **facts}
        card["latent"] = latent
        if names is not None:
            card["label_names"] = names
        self.publish(held, step, contents, card)

    def classifier(self, held: Claim, step: int, head: Head) -> None:
        """Write a checkpoint that draws nothing."""
        card = {"image": {"size": SIZE, "channels": 1}, "serves": head.serves, "latent": None, **facts_of(head, None)}
        self.publish(held, step, {"discriminator.onnx": tiny_discriminator(step, head)}, card)

    def points(self, held: Claim, step: int, span: float = 2.0) -> None:
        """Write a checkpoint that draws points of the plane."""
        card = {"image": {"size": 1, "channels": 2}, "serves": ["images", "scores"], "kind": "points", "span": span}
        self.publish(held, step, {"generator.onnx": points_generator(step)}, card)

    def publish(self, held: Claim, step: int, contents: dict[str, bytes], facts: dict[str, Any]) -> None:
        """Write a checkpoint's files, then the row that points at them."""
        folder = f"jobs/{held.job.id}/{held.token}/{step}"
        contents = {**contents, "state.safetensors": b"weights"}
        files = {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in contents.items()
        }
        card = {
            "format": 1,
            "family": held.job.family,
            "spec": held.job.spec,
            "step": step,
            "numerics_version": 1,
            "dataset": {"name": held.job.dataset, "digest": "0" * 64, "license": "CC BY 4.0"},
            "label_names": [str(label) for label in range(10)],
            "latent": LATENT,
            "metrics": {},
            **facts,
        }
        for name, content in contents.items():
            self.artifacts.put(f"{folder}/{name}", content)
        with self.database.write() as connection:
            claims.checkpoint(connection, held, step, folder, files, card)

    def preview(
        self, held: Claim, step: int, content: bytes, score: float | None = None, size: tuple[int, int] = (80, 16)
    ) -> None:
        path = f"jobs/{held.job.id}/{held.token}/previews/{step}.png"
        self.artifacts.put(path, content)
        digest = hashlib.sha256(content).hexdigest()
        with self.database.write() as connection:
            claims.preview(connection, held, step, Picture(path, digest, *size, score))

    def succeed(self, held: Claim) -> None:
        with self.database.write() as connection:
            claims.succeed(connection, held)

    def trained(self, *steps: int, labels: int = 10, head: Head | None = None, **knobs: Any) -> Job:
        """Return a finished job with a checkpoint at each step."""
        held = self.start(**knobs)
        for step in steps:
            self.checkpoint(held, step, labels=labels, head=head)
        self.succeed(held)
        return held.job

    def damage(self, job: Job, step: int, name: str = "generator.onnx") -> None:
        """Change one byte of a checkpoint's file where it lies."""
        (path,) = Path(self.settings.artifacts).glob(f"jobs/{job.id}/*/{step}/{name}")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def items(client: TestClient, path: str, limit: int) -> list[Any]:
    """Read a whole list, page after page."""
    found: list[Any] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = client.get(path, params=query).json()
        found += page["data"]
        if not page["has_more"]:
            return found
        query["after"] = page["last_id"]
