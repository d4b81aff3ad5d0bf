"""What a big database costs whoever looks in: `python -m benchmarks.scale [--database URL] [--jobs N] [--points N]`.

Fills an empty database, asks the API for pages and curves, and lets processes race for jobs. Without a URL it measures
SQLite (some 700 MB), then PostgreSQL (some 2 GB) where its programs are found; both are thrown away.
"""

import argparse
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier

import httpx

from benchmarks.filling import DATASETS, FAMILIES, NAMES, Filled, fill
from ganymede.stack import Stack
from store import claims
from store.database import Database
from store.lifecycle import JobState
from tests.store import postgres

REQUESTS = 300
CLAIMS, CLAIMERS = 2_000, 8
REST_SECONDS = 0.3  # less than the quickest start of a job takes: see benchmarks.starts
LEASE = timedelta(days=1)

Request = tuple[str, Mapping[str, str | int]]


def main() -> None:
    """Print per kind of request, and for claims, the median, the 99th percentile and the longest, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    asked = parser.parse_args()
    for place in _databases(asked.database):
        with place as url:
            database = Database(url)
            database.migrate()
            begun = time.monotonic()
            filled = fill(database, asked.jobs, asked.points)
            took = time.monotonic() - begun
            print(
                f"{database.url.get_backend_name()}: {asked.jobs} jobs, {asked.points} points, filled in {took:.0f} s"
            )
            print(f"{'':<34} {'median ms':>10} {'99 % ms':>8} {'most ms':>8}")
            _ask(url, filled)
            for processes, rest_seconds in ((1, 0.0), (CLAIMERS, REST_SECONDS), (CLAIMERS, 0.0)):
                _race(url, processes, rest_seconds)
            database.close()


def _ask(url: str, filled: Filled) -> None:
    """Ask the API on its own process, over HTTP, one request after the other."""
    os.environ["GANYMEDE_DATABASE_URL"] = url
    with tempfile.TemporaryDirectory() as home, Stack(Path(home), workers=0) as stack:
        with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
            for kind, choose in _kinds(filled, random.Random(7)).items():
                _show(kind, [_timed(client, *choose()) for _ in range(REQUESTS)])


def _kinds(filled: Filled, draws: random.Random) -> dict[str, Callable[[], Request]]:
    waiting = filled.job_ids[-len(filled.job_ids) // 3 :]
    axes = {"state": tuple(JobState), "family": FAMILIES, "dataset": DATASETS, "name": NAMES[1:]}

    def filters() -> dict[str, str | int]:
        chosen = {axis: draws.choice(values) for axis, values in axes.items() if draws.random() < 0.4}
        return {**chosen, **({"after": draws.choice(filled.job_ids)} if draws.random() < 0.5 else {})}

    def curve() -> Request:
        owner = draws.choice(list(filled.series))
        return f"/jobs/{owner}/metrics", {"name": draws.choice(filled.series[owner])}

    widest = max(filled.series, key=lambda owner: len(filled.series[owner]))
    return {
        "a page of 20, any filters": lambda: ("/jobs", filters()),
        "a page of 100, any filters": lambda: ("/jobs", {**filters(), "limit": 100}),
        "a page of 100 that wait": lambda: ("/jobs", {"state": "queued", "limit": 100, "after": draws.choice(waiting)}),
        "a job that waits": lambda: (f"/jobs/{draws.choice(waiting)}", {}),
        "a curve of 10,000, thinned": curve,
        "a curve of the widest job": lambda: (f"/jobs/{widest}/metrics", {"limit": 1}),
        "a job's events": lambda: (f"/jobs/{draws.choice(filled.job_ids)}/events", {}),
    }


def _timed(client: httpx.Client, path: str, query: Mapping[str, str | int]) -> float:
    begun = time.perf_counter()
    client.get(path, params=query).raise_for_status()
    return time.perf_counter() - begun


def _race(url: str, processes: int, rest_seconds: float) -> None:
    """Let processes claim, each resting so long on average in between, as a worker does that starts what it claimed."""
    spawn = get_context("spawn")
    with spawn.Manager() as manager, spawn.Pool(processes) as pool:
        each = [(url, CLAIMS // processes, rest_seconds, manager.Barrier(processes))] * processes
        took = list(chain(*pool.starmap(claim, each, chunksize=1)))
    waited, whole = zip(*took, strict=True)
    rest = f"{rest_seconds * 1e3:.0f} ms apart" if rest_seconds else "without a rest"
    _show(f"a claim, {processes} claiming {rest}", whole)
    _show("  of that, waiting for a turn", waited)


def claim(url: str, count: int, rest_seconds: float, barrier: Barrier) -> list[tuple[float, float]]:
    """Claim so many jobs, or all there are; return the seconds until each turn came, and until it was over.

    The first is not counted: it builds the statements, as a worker's first look for a job does.
    """
    database, took, draws = Database(url), [], random.Random(os.getpid())
    for number in range(count + 1):
        begun = time.perf_counter()
        with database.write() as connection:
            waited = time.perf_counter() - begun
            if claims.claim(connection, f"worker-{os.getpid()}", LEASE) is None:
                break
        took.append((waited, time.perf_counter() - begun))
        if number == 0:
            barrier.wait()
        time.sleep(draws.uniform(0, 2 * rest_seconds))
    database.close()
    return took[1:]


def _show(kind: str, took: Sequence[float]) -> None:
    ranked = sorted(took)
    most = ranked[math.ceil(0.99 * len(ranked)) - 1]
    print(
        f"{kind:<34} {statistics.median(ranked) * 1e3:>10.1f} {most * 1e3:>8.1f} {ranked[-1] * 1e3:>8.1f}", flush=True
    )


@contextmanager
def _file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/ganymede.db"


@contextmanager
def _server(programs: Path) -> Iterator[str]:
    with postgres.running(programs) as server:
        yield server.url.format("postgres")


def _databases(given: str | None) -> list[AbstractContextManager[str]]:
    programs = postgres.binaries()
    own = [_file(), *([_server(programs)] if programs else [])]
    return own if given is None else [nullcontext(given)]


if __name__ == "__main__":
    main()
