"""How long a job waits for its first step: `python -m benchmarks.starts [--rounds N] [--dataset NAME]`.

Starts a stack of its own with one worker and posts small jobs, each while the worker is idle and its next child warm.
The clock runs from before the POST until `GET /jobs/{id}` says that a step is done.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from ganymede import Client
from ganymede.stack import Stack

SPEC: dict[str, Any] = {"family": "cgan", "total_steps": 50, "evaluate_every": None}
LOOK_SECONDS = 0.01
STILL_SECONDS = 0.3  # a child that has used no CPU for so long has imported what it imports
PARTS = (("POST", "answer"), ("POST", "claim"), ("claim", "running"), ("running", "first step"), ("POST", "first step"))


def main() -> None:
    """Print how long each part of the way takes, and the whole of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how many jobs are posted, one after the other; from 2")
    parser.add_argument("--dataset", default="digits", help="what they train on; reading it is part of the way")
    asked = parser.parse_args()
    with ExitStack() as held:
        stack = held.enter_context(Stack(Path(held.enter_context(tempfile.TemporaryDirectory())), workers=1))
        client = held.enter_context(Client(stack.url))
        rounds = [start(client, {**SPEC, "dataset": asked.dataset}) for _ in range(asked.rounds)]
    print(f"{'from':<8} {'to':<10} {'median ms':>10} {'90 % ms':>8}")
    for begin, end in PARTS:
        took = [(moments[end] - moments[begin]) * 1000 for moments in rounds]
        print(f"{begin:<8} {end:<10} {statistics.median(took):>10.0f} {statistics.quantiles(took, n=10)[8]:>8.0f}")


def start(client: Client, spec: dict[str, Any]) -> dict[str, float]:
    """Post a job to an idle worker; return the moments of its way to the first step, in seconds since 1970."""
    await_warm_child()
    posted = time.time()
    job = client.submit(**spec)
    answered = time.time()
    while client.job(job.id).progress.step == 0:
        time.sleep(LOOK_SECONDS)
    stepped = time.time()
    at = {event.type: event.at.timestamp() for event in client.events(job.id).data}
    return {
        "POST": posted,
        "answer": answered,
        "claim": at["starting"],
        "running": at["running"],
        "first step": stepped,
    }


def await_warm_child() -> None:
    """Wait until no job runs and the worker's next child has nothing left to do."""
    before = -1.0
    while (used := cpu_of_children()) != before or not used:
        before = used
        time.sleep(STILL_SECONDS)


def cpu_of_children() -> float:
    """Return the CPU time that training children have used so far, in seconds; 0 where there is none."""
    try:
        children = [each for each in psutil.Process().children(recursive=True) if "worker.child" in each.cmdline()]
        return sum(sum(each.cpu_times()[:2]) for each in children)
    except psutil.NoSuchProcess:  # one has just ended
        return 0.0


if __name__ == "__main__":
    main()
