"""The bytes of an answer are a function of its URL, whoever else asks, whichever process answers, and when."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ganmodels import datasets
from ganymede.stack import free_port
from store.settings import Settings
from tests.app.test_agreement import trained
from tests.app.world import World
from tests.store.test_logs import process, wait_until

pytestmark = pytest.mark.integration

CLIENTS = 64
KNOBS = {
    **{"family": "dcgan", "conditional": True, "width": 8, "dataset": "digits"},
    **{"total_steps": 3, "batch_size": 16, "threads": 1, "device": "cpu", "precision": "fp32"},
}
WATCHED = [
    "/sample?seed=7&label=7",
    "/sample?seed=7&n=16",
    "/sample?seed=7&index=5",
    *(f"/sample?seed=7&n=5&format={kind}" for kind in ("png", "webp", "npz", "zip", "json")),
    "/sample?seed=7&n=65&format=npz",  # too many to be drawn with others
    "/interpolate?from_seed=7&to_seed=8&frames=6",
]


def test_a_url_s_bytes_are_its_own(tmp_path: Path) -> None:
    world = World(Settings(home=tmp_path))
    trained(world, KNOBS, datasets.load("digits", world.settings.data))
    with served(world, "one") as one, served(world, "other") as other:
        alone = asyncio.run(ask([one], WATCHED, 1))
        crowded = asyncio.run(ask([one, other], WATCHED, CLIENTS))
    with served(world, "again") as again:
        restarted = asyncio.run(ask([again], WATCHED, 1))
    assert len({content for answers in alone.values() for content in answers}) == len(WATCHED)
    assert crowded == alone == restarted


@contextmanager
def served(world: World, name: str) -> Iterator[str]:
    """Serve the world from a process of its own."""
    log, port = world.settings.home / f"{name}.log", free_port()
    places = {"GANYMEDE_DATABASE_URL": world.settings.database, "GANYMEDE_ARTIFACTS": world.settings.artifacts}
    with process(log, "uvicorn", "app.main:create_app", "--factory", "--port", str(port), **places):
        wait_until(lambda: "Uvicorn running" in log.read_text(), "the API listens")
        yield f"http://127.0.0.1:{port}"


async def ask(addresses: Sequence[str], urls: Sequence[str], clients: int) -> dict[str, set[bytes]]:
    """Ask from so many clients, each in an order of its own and for another seed in between; return all answers."""
    found: dict[str, set[bytes]] = {url: set() for url in urls}

    async def client(number: int) -> None:
        order = random.Random(number)
        async with httpx.AsyncClient(base_url=addresses[number % len(addresses)], timeout=60, trust_env=False) as http:
            for url in order.sample(urls, len(urls)):
                for asked in (f"/sample?seed={order.randrange(1000, 2000)}&n={order.randrange(1, 9)}", url):
                    answer = await http.get(asked)
                    assert answer.status_code == 200, answer.text
                found[url].add(answer.content)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return found
