"""What event clients cost the API: `python -m benchmarks.events [--clients N] [--seconds S] [--rate R]`.

Starts a stack of its own without workers. A process beside it claims a few jobs, as a worker would, and appends events
to them; this one holds all the clients, each of which must hear of every event of its job, once, in order.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil

from ganymede import Client
from ganymede.stack import Stack
from store import claims, events, jobs
from store.database import Database

JOBS = 4
LEASE = timedelta(hours=1)

Heard = list[tuple[int, float, float]]  # each event's number, and when it was written and heard, seconds since 1970


def main() -> None:
    """Print the API's CPU, threads and memory, how late events arrive, and whether each client heard of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="event clients at once")
    parser.add_argument("--seconds", type=float, default=20, help="how long the API is watched")
    parser.add_argument("--rate", type=float, default=20, help="events a second of each job")
    asked = parser.parse_args()
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory()))
        stack = held.enter_context(Stack(home, workers=0))
        client = held.enter_context(Client(stack.url))
        ids = [client.submit(family="cgan", dataset="digits").id for _ in range(JOBS)]
        spawned, url = multiprocessing.get_context("spawn"), f"sqlite:///{home / 'ganymede.db'}"
        over = spawned.Event()
        writer = spawned.Process(target=write, args=(url, asked.rate, over), daemon=True)
        writer.start()
        while {client.job(id).state for id in ids} != {"running"}:
            time.sleep(0.1)
        heard = asyncio.run(listen(stack.port, ids, asked.clients, asked.seconds, over))
        writer.join()
        expected = written(url, ids)
    exact = sum([number for number, _, _ in one] == expected[n % JOBS] for n, one in enumerate(heard))
    print(f"{exact} of {asked.clients} clients heard of every event of their job once, in order")


def write(url: str, rate: float, over: Event) -> None:
    """Claim every job and append events to each, until it is over; then let them succeed."""
    database = Database(url)
    with database.write() as connection:
        held = [claim for _ in range(JOBS) if (claim := claims.claim(connection, "benchmark", LEASE))]
        for each in held:
            claims.begin(connection, each, 0)
    due = time.monotonic()
    while not over.wait(max(0.0, due - time.monotonic())):
        due += 1 / rate
        for each in held:
            with database.write() as connection:
                claims.note(connection, each, "noted", {"rate": rate})
    for each in held:
        with database.write() as connection:
            claims.succeed(connection, each)


async def listen(port: int, ids: Sequence[str], clients: int, seconds: float, over: Event) -> list[Heard]:
    """Watch the API while every client listens; return what each one heard up to the end of its job."""
    (api,) = (each for each in psutil.Process().children(recursive=True) if "uvicorn" in each.cmdline())
    threads, memory = api.num_threads(), api.memory_info().rss
    heard: list[Heard] = [[] for _ in range(clients)]
    following = [asyncio.create_task(follow(port, ids[n % JOBS], one)) for n, one in enumerate(heard)]
    while not all(heard):
        if any(each.done() for each in following):
            raise SystemExit("The API turned a client away.")
        await asyncio.sleep(0.1)
    began, used = time.time(), sum(api.cpu_times()[:2])
    await asyncio.sleep(seconds)
    cores = (sum(api.cpu_times()[:2]) - used) / (time.time() - began)
    late = [(arrived - at) * 1000 for one in heard for _, at, arrived in one if at > began]
    print(f"{clients} clients of {JOBS} jobs, {len(late) / seconds:.0f} events a second told in all")
    print(f"CPU      {cores:.2f} cores")
    print(f"threads  {threads} before, {api.num_threads()} with the clients")
    print(f"memory   {memory / 2**20:.0f} MiB before, {api.memory_info().rss / 2**20:.0f} MiB with the clients")
    print(f"delay    {statistics.median(late):.0f} ms median, {statistics.quantiles(late, n=100)[98]:.0f} ms 99 %")
    over.set()
    await asyncio.gather(*following)
    return heard


async def follow(port: int, id: str, heard: Heard) -> None:
    """Note every event of a job as it arrives, to the end of the stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /jobs/{id}/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
    async for line in reader:  # the sizes of chunks come between, on lines of their own
        if line.startswith(b"data: "):
            event = json.loads(line[6:])
            heard.append((event["id"], datetime.fromisoformat(event["at"]).timestamp(), time.time()))
    writer.close()


def written(url: str, ids: Sequence[str]) -> list[list[int]]:
    """Return the numbers of each job's events, in order."""
    with Database(url).read() as connection:
        numbers = [jobs.get(connection, id).number for id in ids]
        return [[event.seq for event in events.page(connection, number, 0, 1_000_000)[0]] for number in numbers]


if __name__ == "__main__":
    main()
