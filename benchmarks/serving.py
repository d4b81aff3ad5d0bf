"""How fast a trained generator is served: `python -m benchmarks.serving [--url URL] [--seconds S]`.

Without a URL it starts a stack of its own, trains a small conditional DCGAN on `digits`, and measures that.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ganymede import Client
from ganymede.stack import Stack

SPEC: dict[str, Any] = {
    "family": "dcgan",
    "conditional": True,
    "dataset": "digits",
    "total_steps": 100,
    "evaluate_every": None,
}


def main() -> None:
    """Print requests and images a second, and how long one request takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a service that has something to draw; a new stack when left out")
    parser.add_argument("--seconds", type=float, default=5, help="how long each row is measured")
    asked = parser.parse_args()
    with ExitStack() as held:
        url = asked.url or held.enter_context(Stack(Path(held.enter_context(tempfile.TemporaryDirectory())))).url
        client = held.enter_context(Client(url))
        if asked.url is None:
            client.wait(client.submit(**SPEC).id)
        print(f"{'request':<28} {'clients':>7} {'requests/s':>11} {'images/s':>9} {'median ms':>10} {'99 % ms':>8}")
        for n, clients in ((1, 1), (16, 1), (256, 1), (1, 8), (16, 8)):
            took = measure(lambda n=n: client.sample(label=7, n=n, format="png"), clients, asked.seconds)  # type: ignore[misc]
            rate = len(took) / asked.seconds
            slowest = statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]
            figures = f"{rate:>11.1f} {rate * n:>9.1f} {statistics.median(took) * 1000:>10.1f} {slowest * 1000:>8.1f}"
            print(f"{f'/sample?label=7&n={n}':<28} {clients:>7} {figures}")


def measure(request: Callable[[], object], clients: int, seconds: float) -> list[float]:
    """Repeat a request from so many threads at once; return how long each one took, in seconds."""
    request()  # the first one loads the checkpoint
    deadline = time.monotonic() + seconds

    def repeat() -> list[float]:
        took = []
        while (started := time.monotonic()) < deadline:
            request()
            took.append(time.monotonic() - started)
        return took

    with ThreadPoolExecutor(clients) as pool:
        return [each for done in [pool.submit(repeat) for _ in range(clients)] for each in done.result()]


if __name__ == "__main__":
    main()
