"""A world to test the API in: a real database, a real folder, and generators that are real if tiny."""

import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ganmodels.specs import SPEC
from store import claims, jobs
from store.artifacts import Artifacts
from store.claims import Claim
from store.database import Database
from store.jobs import Job
from store.settings import Settings

LATENT = {"size": 8, "distribution": "normal", "low": -1.0, "high": 1.0}
SIZE = 8


def tiny_generator(seed: int, labels: int = 10, channels: int = 1) -> bytes:
    """Export sigmoid(z W + embedding(label)) as an image: small, and every weight matters."""
    random = np.random.default_rng(seed)
    pixels = channels * SIZE * SIZE
    weights = {
        "weight": random.normal(size=(LATENT["size"], pixels)).astype(np.float32),
        "bias": random.normal(size=pixels).astype(np.float32),
        "shape": np.array([-1, channels, SIZE, SIZE], np.int64),
    }
    nodes = [helper.make_node("Gemm", ["z", "weight", "bias"], ["hidden"])]
    inputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", LATENT["size"]])]
    last = "hidden"
    if labels:
        weights["embedding"] = 3 * random.normal(size=(labels, pixels)).astype(np.float32)
        nodes += [
            helper.make_node("Gather", ["embedding", "label"], ["embedded"]),
            helper.make_node("Add", ["hidden", "embedded"], ["sum"]),
        ]
        inputs.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]))
        last = "sum"
    nodes += [
        helper.make_node("Sigmoid", [last], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["images"]),
    ]
    output = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", channels, SIZE, SIZE])
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "generator", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def picture(shade: int) -> bytes:
    """Draw a PNG of 80 by 16 pixels."""
    target = io.BytesIO()
    Image.new("L", (80, 16), shade).save(target, "PNG")
    return target.getvalue()


class World:
    """What tests do to the store: they play the worker, with its own functions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.database.migrate()
        self.artifacts = Artifacts(settings.artifacts)

    def submit(self, **knobs: Any) -> Job:
        spec = SPEC.validate_python({"family": "dcgan", "conditional": True, "dataset": "digits", **knobs})
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
    ) -> None:
        """Write a checkpoint whose generator differs from every other step's and variant's."""
        folder = f"jobs/{held.job.id}/{held.token}/{step}"
        contents = {"generator.onnx": tiny_generator(step + variant, labels, channels), "state.safetensors": b"weights"}
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
            "label_names": names or [str(label) for label in range(10)],
            "latent": LATENT,
            "image": {"size": SIZE, "channels": channels},
            "serves": ["images", "labels"] if labels else ["images"],
            "metrics": metrics or {},
        }
        for name, content in contents.items():
            self.artifacts.put(f"{folder}/{name}", content)
        with self.database.write() as connection:
            claims.checkpoint(connection, held, step, folder, files, card)

    def preview(self, held: Claim, step: int, content: bytes) -> None:
        path = f"jobs/{held.job.id}/{held.token}/previews/{step}.png"
        self.artifacts.put(path, content)
        with self.database.write() as connection:
            claims.preview(connection, held, step, path, hashlib.sha256(content).hexdigest(), 80, 16)

    def succeed(self, held: Claim) -> None:
        with self.database.write() as connection:
            claims.succeed(connection, held)

    def trained(self, *steps: int, labels: int = 10, **knobs: Any) -> Job:
        """Return a finished job with a checkpoint at each step."""
        held = self.start(**knobs)
        for step in steps:
            self.checkpoint(held, step, labels=labels)
        self.succeed(held)
        return held.job

    def damage(self, job: Job, step: int, name: str = "generator.onnx") -> None:
        """Change one byte of a checkpoint's file where it lies."""
        (path,) = Path(self.settings.artifacts).glob(f"jobs/{job.id}/*/{step}/{name}")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
