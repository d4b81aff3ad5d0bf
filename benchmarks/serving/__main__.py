"""How fast a trained generator is served: `python -m benchmarks.serving [--peers DIR] [--seconds S] [--rounds N]`.

Trains a small conditional DCGAN for a moment, then has it served, one image a request, by our API, by our API with a
constant for an answer, and, where `--peers` names a folder of virtual environments (`make bench-serving` makes it), by
a plain FastAPI + PyTorch endpoint, LitServe and BentoML with the same weights. Every round asks each of them in turn,
so that a machine that is busy for a while slows all; a ratio is the median of the rounds' ratios.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.serving import hostile, servers
from benchmarks.serving.load import Load, measure
from benchmarks.serving.servers import LABEL, Server, asking, posting, serving
from benchmarks.serving.weights import export
from ganymede import Client
from ganymede.stack import Stack

SPEC: dict[str, Any] = {
    "family": "dcgan",
    "conditional": True,
    "total_steps": 20,
    "checkpoint_every": 20,
    "evaluate_every": None,
}
CONNECTIONS = (1, 32)
LARGE, LARGE_CONNECTIONS = "n=64&scale=16", 4  # 12.8 million pixels of 28 by 28 images
OURS, CONSTANT = "ganymede", "ganymede, constant"
PLAIN = {"plain": "/predict", "litserve": "/predict", "litserve, batched": "/predict"}
BENTO = {"bentoml": "/predict", "bentoml, batched": "/batched"}
WARM_SECONDS = 1.0


def main() -> None:
    """Print what each server did, and the ratios of ours to the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="a folder with the peers' virtual environments")
    parser.add_argument("--seconds", type=float, default=4, help="how long a server is asked in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dataset", default="mnist", help="what the generator draws")
    asked = parser.parse_args()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        job = train(folder / "home", asked.dataset)
        running = [held.enter_context(each) for each in start(folder, job, asked.peers)]
        found = {}
        for count in CONNECTIONS:
            before = watch(running[0])
            found[count] = compare(running, count, asked.rounds, asked.seconds)
            print(f"{count} connections: {told(before, watch(running[0]))}")
        before = watch(running[0])
        large = asking(f"/sample?job={job}&{LARGE}")
        load = measure(running[0].port, large, LARGE_CONNECTIONS, asked.seconds)
        print(f"{LARGE_CONNECTIONS} connections, {LARGE}: {load.rate:.1f}/s, {told(before, watch(running[0]))}")
        print(f"{among_hostile(running[0], job, asked.seconds)}\n")
        heads = f"{'requests/s':>11} {'50 % ms':>8} {'99 % ms':>8} {'refused':>8} {'MiB':>6}"
        print(f"{'server':<20} {'connections':>11} {heads}")
        for count, loads in found.items():
            for server in running:
                print(f"{server.name:<20} {count:>11} {figures(loads[server.name])} {server.megabytes:>6.0f}")
        print(f"ONNX Runtime alone, one thread: {alone(folder / 'home'):.0f} images/s one by one")
        print(f"\n{'ganymede to':<20} {'connections':>11} {'requests/s':>11} {'50 %':>8} {'99 %':>8}")
        for count, loads in found.items():
            for name in loads.keys() - {OURS}:
                print(f"{name:<20} {count:>11} {ratios(loads[OURS], loads[name])}")


def train(home: Path, dataset: str) -> str:
    """Train the generator that all of them serve; return the job's id."""
    with Stack(home, workers=1) as stack, Client(stack.url) as client:
        job = client.wait(client.submit(dataset=dataset, **SPEC).id)
        if job.error:
            raise SystemExit(f"The generator could not be trained: {job.error.message}")
        return job.id


def start(folder: Path, job: str, peers: Path | None) -> list[Any]:  # Any: contexts of servers
    """Prepare every server; those of the peers that are installed."""
    home = {"GANYMEDE_HOME": str(folder / "home"), "PYTHONPATH": str(Path.cwd())}
    request = f"/sample?job={job}&label={LABEL}"
    found = [
        serving(OURS, servers.OURS, asking(request), home, folder),
        serving(CONSTANT, servers.CONSTANT, asking(request), home, folder),
    ]
    if peers is None:
        return found
    told = export(folder / "home", folder / "generator.pt2")
    for package, paths in (("litserve", PLAIN), ("bentoml", BENTO)):
        python = peers.absolute() / package / "bin" / "python"
        for name, path in paths.items():
            found.append(serving(name, servers.peer(str(python), name), posting(path, name), told, folder))
    return found


def compare(running: list[Server], connections: int, rounds: int, seconds: float) -> dict[str, list[Load]]:
    """Ask every server in turn, round after round."""
    loads: dict[str, list[Load]] = {server.name: [] for server in running}
    for _ in range(rounds):
        for server in running:
            measure(server.port, server.request, connections, WARM_SECONDS)
            loads[server.name].append(measure(server.port, server.request, connections, seconds))
    if loads[OURS] and any(set(load.statuses) != {200} for load in loads[OURS]):
        raise SystemExit(f"Ganymede refused requests: {[dict(load.statuses) for load in loads[OURS]]}")
    return loads


def among_hostile(server: Server, job: str, seconds: float) -> str:
    """Say how long a client waits while others send what nobody should."""
    quiet = measure(server.port, server.request, 1, seconds)
    with ProcessPoolExecutor(1) as pool:  # not a thread, which would hold up the client's own clock
        sent = pool.submit(hostile.send, server.port, job, seconds)
        loud = measure(server.port, server.request, 1, seconds)
    answered = dict(sorted(sent.result().items()))
    half, usual = loud.quantile(0.5), quiet.quantile(0.5)
    return f"among hostile requests ({answered}) half of the answers take {half:.2f} ms instead of {usual:.2f} ms"


def watch(server: Server) -> dict[str, Any]:  # Any: JSON
    """Ask our API what it has drawn so far, and how late its loop has run since the last time."""
    found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{server.port}/watch", trust_env=False).json()
    return found


def told(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say how many images a pass drew between two looks, and how late the loop ran."""
    executions = after["executions"] - before["executions"]
    together = (after["images"] - before["images"]) / executions if executions else 0.0
    late = after["late_milliseconds"]
    return f"{together:.1f} images a pass; the loop was {late['50 %']:.1f} ms late, 99 %: {late['99 %']:.1f} ms"


def figures(loads: list[Load]) -> str:
    """Describe a server by the median of its rounds."""
    rate, half, most = (statistics.median(each) for each in zip(*map(described, loads), strict=True))
    refused = sum(load.statuses.total() - load.statuses[200] for load in loads)
    return f"{rate:>11.0f} {half:>8.2f} {most:>8.2f} {refused:>8}"


def ratios(ours: list[Load], theirs: list[Load]) -> str:
    """Describe ours in parts of theirs, round by round."""
    each = [
        [our / their for our, their in zip(described(one), described(other), strict=True)]
        for one, other in zip(ours, theirs, strict=True)
    ]
    rate, half, most = (statistics.median(ratio) for ratio in zip(*each, strict=True))
    return f"{rate:>11.2f} {half:>8.2f} {most:>8.2f}"


def described(load: Load) -> tuple[float, float, float]:
    """Return requests per second, and within how many milliseconds half and 99 of 100 were answered."""
    return load.rate, load.quantile(0.5), load.quantile(0.99)


def alone(home: Path) -> float:
    """Return how many images a second ONNX Runtime draws with nothing around it."""
    import onnxruntime

    (file,) = home.glob("artifacts/jobs/*/attempt-*/checkpoints/*/generator.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[1]
    inputs = {"z": np.random.default_rng(0).standard_normal((1, size), np.float32), "label": np.array([LABEL])}
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < WARM_SECONDS:
        session.run(None, inputs)
        count += 1
    return count / WARM_SECONDS


if __name__ == "__main__":
    main()
