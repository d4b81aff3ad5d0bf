"""Many clients at once, the slow ones among them: each is answered, and none of them keeps the others waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.main import create_app
from app.resources import Resources
from tests.app.world import LOOPBACK, World

CROWD = 200  # more than there are threads and connections to the database together
PATIENCE_SECONDS = 20


@asynccontextmanager
async def asked(world: World) -> AsyncIterator[tuple[httpx.AsyncClient, Resources]]:
    app = create_app(world.settings)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=LOOPBACK) as http:
        yield http, app.state.resources


def test_a_crowd_that_comes_at_once_is_answered(world: World) -> None:
    spec = {"family": "cgan", "dataset": "digits"}

    async def crowd() -> set[int]:
        async with asked(world) as (http, _):
            asking = [http.post("/jobs", json=spec) if n % 10 == 0 else http.get("/jobs") for n in range(CROWD)]
            return {answer.status_code for answer in await asyncio.gather(*asking)}

    assert asyncio.run(crowd()) == {200, 202}


@pytest.mark.parametrize("path", ["/jobs", "/classify", "/score"])
def test_those_whose_bodies_do_not_come_keep_nobody_waiting(world: World, path: str) -> None:
    async def crowd() -> int:
        over = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"{"
            await over.wait()

        async with asked(world) as (http, _):
            slow = [asyncio.create_task(http.post(path, content=body())) for _ in range(CROWD)]
            await asyncio.sleep(0)  # they come first
            answer = await asyncio.wait_for(http.get("/jobs"), PATIENCE_SECONDS)
            assert not any(one.done() for one in slow)
            over.set()
            await asyncio.gather(*slow)
            return answer.status_code

    assert asyncio.run(crowd()) == 200
