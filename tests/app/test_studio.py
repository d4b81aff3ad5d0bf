"""Many clients who want images at once: each gets its own, from checkpoints that only ever become newer."""

import asyncio
import threading
import time
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import helper
from sqlalchemy import update
from starlette.types import Message

from app.serving import filters, studio
from app.serving.studio import MOST_TOGETHER, Studio
from store.clock import now
from store.database import Database
from store.tables import checkpoints
from tests.app.test_crowds import asked
from tests.app.world import LABEL, LATENT, NOISE, SIZE, Head, World, model, tensor

CLIENTS = 64
IMAGE = {"size": SIZE, "channels": 1}


def test_bytes_do_not_depend_on_who_else_asks_and_a_crowd_is_drawn_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "BRIEF_SECONDS", 0.0)  # every pass is left to the thread, which the test holds
    world.publish(world.start(), 100, {"generator.onnx": mixing_generator()}, {"image": IMAGE, "serves": ["images"]})
    urls = [f"/sample?seed={seed}" for seed in range(CLIENTS)]

    async def crowd() -> None:
        async with asked(world) as (http, held):
            alone = [(await http.get(url)).content for url in urls]
            assert (held.studio.images, held.studio.executions) == (CLIENTS, CLIENTS)
            free = threading.Event()
            held.studio._together.submit(free.wait)
            asking = [asyncio.create_task(http.get(url)) for url in urls]
            try:
                while held.studio._waiting < CLIENTS:
                    await asyncio.sleep(0.01)
            finally:
                free.set()
            assert [answer.content for answer in await asyncio.gather(*asking)] == alone
            assert held.studio.images == 2 * CLIENTS
            assert held.studio.executions <= CLIENTS + 2, "those who came first, then all the others"

    asyncio.run(crowd())


def mixing_generator() -> bytes:
    """Write a generator of sums so long that their rounding may depend on the batch: tanh(z W) V as an image."""
    random, hidden = np.random.default_rng(0), 6144
    weights = {
        "in": random.normal(size=(LATENT["size"], hidden)).astype(np.float32),
        "out": (random.normal(size=(hidden, SIZE * SIZE)) / 78).astype(np.float32),
        "shape": np.array([-1, 1, SIZE, SIZE], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["z", "in"], ["first"]),
        helper.make_node("Tanh", ["first"], ["bent"]),
        helper.make_node("MatMul", ["bent", "out"], ["second"]),
        helper.make_node("Sigmoid", ["second"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["images"]),
    ]
    return model(nodes, [NOISE], [tensor("images", 1, SIZE, SIZE)], weights)


def test_of_a_crowd_only_those_are_refused_whose_image_is_none(world: World) -> None:
    card = {"image": IMAGE, "serves": ["images", "labels"]}
    world.publish(world.start(), 100, {"generator.onnx": generator_without(label=3)}, card)

    async def crowd() -> list[int]:
        async with asked(world) as (http, _):
            asking = [http.get(f"/sample?seed={seed}&label={seed % 10}") for seed in range(CLIENTS)]
            return [answer.status_code for answer in await asyncio.gather(*asking)]

    assert asyncio.run(crowd()) == [503 if seed % 10 == 3 else 200 for seed in range(CLIENTS)]


def generator_without(label: int) -> bytes:
    """Write a generator whose images of one label are no numbers: 0 / 0."""
    weights = {
        "weight": np.zeros((LATENT["size"], SIZE * SIZE), np.float32),
        "none": np.array([0.0 if each == label else 1.0 for each in range(10)], np.float32).reshape(10, 1),
        "shape": np.array([-1, 1, SIZE, SIZE], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["z", "weight"], ["zeros"]),
        helper.make_node("Gather", ["none", "label"], ["divisor"]),
        helper.make_node("Div", ["zeros", "divisor"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["images"]),
    ]
    return model(nodes, [NOISE, LABEL], [tensor("images", 1, SIZE, SIZE)], weights)


def test_more_than_is_worth_waiting_for_is_refused_and_the_rest_is_drawn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.trained(100)
    monkeypatch.setattr(studio, "MOST_WAITING", 8)

    async def crowd() -> list[httpx.Response]:
        async with asked(world) as (http, _):
            await http.get("/sample")
            found = await asyncio.gather(*(http.get("/sample?n=4") for _ in range(CLIENTS)))
            assert (await http.get("/sample?n=8")).status_code == 200, "there is room again"
            return list(found)

    answers = asyncio.run(crowd())
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < CLIENTS
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in refused} == {(503, "1")}


def test_what_is_large_is_drawn_apart_and_keeps_nobody_waiting(world: World) -> None:
    world.trained(100)

    async def crowd() -> None:
        async with asked(world) as (http, held):
            large = asyncio.create_task(http.get(f"/sample?n={MOST_TOGETHER + 1}&format=npz"))
            assert (await http.get("/sample")).status_code == 200
            assert (await large).status_code == 200
            assert held.studio.images == 1

    asyncio.run(crowd())


@pytest.mark.parametrize("counted", [True, False], ids=["where changes are counted", "where they are not"])
def test_steps_never_go_back_and_a_published_one_is_served_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, counted: bool
) -> None:
    if not counted:  # as on PostgreSQL
        monkeypatch.setattr(Database, "changes", lambda _: None)
    held, published, over, told = world.start(), [0], threading.Event(), 0
    world.checkpoint(held, 1)

    def publish() -> None:
        for step in range(2, 52):
            world.checkpoint(held, step)
            published[0] = step
            time.sleep(0.01)
        over.set()

    async def client(http: httpx.AsyncClient, query: str) -> set[int]:
        nonlocal told
        seen = set()
        while not over.is_set() or told < 51:
            least = max(told, published[0] if counted else 0)
            answer = await http.get(f"/sample?{query}")
            assert answer.status_code == 200
            assert int(answer.headers["X-Checkpoint-Step"]) >= least, "a client was told of a newer one before it asked"
            seen.add(step := int(answer.headers["X-Checkpoint-Step"]))
            told = max(told, step)
        return seen

    async def crowd() -> list[set[int]]:
        async with asked(world) as (http, _):
            queries = ("", "label=3", f"job={held.job.id}", f"job={held.job.id}&label=3&n=2")
            publisher = threading.Thread(target=publish)
            publisher.start()
            seen = await asyncio.gather(*(client(http, query) for query in queries))
            publisher.join()
            return list(seen)

    assert min(map(len, asyncio.run(crowd()))) > 5


def test_a_checkpoint_pruned_between_the_look_and_the_drawing_is_gone_or_made_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = world.start()
    for step in (1, 2):
        world.checkpoint(held, step)
    draw, struck = Studio.draw, []

    async def prune_first(self: Studio, drawing: Any) -> Any:
        if drawing.checkpoint.step == 2 and not struck:
            struck.append(2)
            with world.database.write() as connection:
                connection.execute(update(checkpoints).where(checkpoints.c.step == 2).values(pruned_at=now()))
            world.artifacts.delete(drawing.checkpoint.folder)
        return await draw(self, drawing)

    monkeypatch.setattr(Studio, "draw", prune_first)

    async def ask(query: str) -> httpx.Response:
        struck.clear()
        async with asked(world) as (http, _):
            return await http.get(f"/sample?job={held.job.id}{query}")

    newest = asyncio.run(ask(""))
    assert (newest.status_code, newest.headers["X-Checkpoint-Step"]) == (200, "1")
    world.checkpoint(held, 2)
    pinned = asyncio.run(ask("&step=2"))
    assert (pinned.status_code, pinned.json()["type"]) == (410, "urn:ganymede:problem:checkpoint-pruned")


def test_a_new_network_waits_for_no_large_answer(world: World) -> None:
    world.trained(100)

    async def crowd() -> None:
        async with asked(world) as (http, held):
            over = threading.Event()
            for _ in range(studio.LARGE_AT_ONCE):
                held.studio._apart.submit(over.wait)
            try:
                assert (await asyncio.wait_for(http.get("/sample"), 30)).status_code == 200
            finally:
                over.set()

    asyncio.run(crowd())


def test_who_goes_away_stops_costing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.trained(100, labels=0, head=Head(classes=(0, 1, 2)))
    begun, stopped, chosen = threading.Event(), threading.Event(), []
    choose = filters.choose

    def watched(*arguments: Any) -> filters.Chosen:
        chosen.append(arguments)
        begun.set()
        over = arguments[-1]
        assert over.wait(30)
        try:
            return choose(*arguments)
        except filters.Abandoned:
            stopped.set()
            raise

    monkeypatch.setattr(filters, "choose", watched)

    async def visit() -> None:
        async with asked(world) as (http, held):
            sent = [{"type": "http.request", "body": b"", "more_body": False}]

            async def receive() -> Message:
                if sent:
                    return sent.pop()
                await asyncio.to_thread(begun.wait, 30)
                return {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                pass

            transport = http._transport
            assert isinstance(transport, httpx.ASGITransport)
            asked_for = {
                "path": "/sample",
                "query_string": b"label=1&n=50&format=npz",
                "headers": [(b"host", b"127.0.0.1")],
            }
            here = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http"}
            scope = {"type": "http", "method": "GET", **here, **asked_for}
            await transport.app(scope, receive, send)  # type: ignore[arg-type]  # as a server would
            assert held.studio._waiting_apart == 0

    asyncio.run(visit())
    assert stopped.wait(30)
    assert len(chosen) == 1
