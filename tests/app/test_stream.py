"""Events as they happen: each once, in order, to however many listen, and wherever they take up again."""

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.testclient import TestClient

from app import broadcast
from app.broadcast import Broadcast
from app.main import create_app
from ganymede import ApiError, Client, ConnectionFailed
from store import claims, events, jobs
from store.claims import Claim
from tests.app.world import World

STREAM = {"Accept": "text/event-stream"}


def parsed(text: str) -> list[dict[str, Any]]:
    """Read a stream as a browser does: blocks between empty lines, comments left out."""
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        for block in text.split("\n\n")
        if block
    ]
    return [{**block, "data": json.loads(block["data"])} for block in blocks if "data" in block]


def note(world: World, held: Claim, number: int) -> None:
    with world.database.write() as connection:
        claims.note(connection, held, "noted", {"number": number})


@contextmanager
def served(world: World) -> Iterator[str]:
    """Serve over real sockets: a client without a network sees an answer only when it is whole."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(world.settings), port=0, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_finished_job_is_told_whole_and_the_stream_ends(client: TestClient, world: World) -> None:
    job = world.trained(100)
    listed = client.get(f"/jobs/{job.id}/events").json()["data"]
    answer = client.get(f"/jobs/{job.id}/events", headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = parsed(answer.text)
    assert [one["data"] for one in told] == listed
    assert [(int(one["id"]), one["event"]) for one in told] == [(event["id"], event["type"]) for event in listed]
    assert told[-1]["event"] == "done"


def test_a_stream_is_taken_up_after_the_last_event_seen(client: TestClient, world: World) -> None:
    job = world.trained(100)
    url, numbers = (
        f"/jobs/{job.id}/events",
        [event["id"] for event in client.get(f"/jobs/{job.id}/events").json()["data"]],
    )
    for seen, rest in ((numbers[1], numbers[2:]), (0, numbers)):
        again = client.get(url, headers={**STREAM, "Last-Event-ID": str(seen)})
        assert [int(one["id"]) for one in parsed(again.text)] == rest
        assert [int(one["id"]) for one in parsed(client.get(url, params={"after": seen}, headers=STREAM).text)] == rest
    over = client.get(url, headers={**STREAM, "Last-Event-ID": str(numbers[-1])})
    assert (over.status_code, over.content) == (204, b""), "a browser comes again for ever unless it is told to stop"


@pytest.mark.parametrize("wrong", ["abc", "-1", "1.5", str(2**60)])
def test_a_last_event_that_is_no_number_is_refused(client: TestClient, world: World, wrong: str) -> None:
    url = f"/jobs/{world.trained(100).id}/events"
    answer = client.get(url, headers={**STREAM, "Last-Event-ID": wrong})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/last-event-id"


def test_nobody_is_streamed_a_job_that_is_not_there(client: TestClient) -> None:
    answer = client.get("/jobs/00000000-0000-4000-8000-000000000000/events", headers=STREAM)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_client_cut_off_again_and_again_sees_every_event_once_in_order(world: World) -> None:
    held = world.start()
    chance, total = random.Random(7), 500
    seen: list[int] = []

    def tell() -> None:
        for number in range(total):
            note(world, held, number)
        world.succeed(held)

    with served(world) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        teller = threading.Thread(target=tell)
        teller.start()
        cuts, over = 0, False
        while not over:
            last = {"Last-Event-ID": str(seen[-1])} if seen else {}
            with http.stream("GET", f"/jobs/{held.job.id}/events", headers={**STREAM, **last}) as answer:
                leave_after = chance.randrange(1, 12) if cuts < 50 else 10**9
                for line in answer.iter_lines():
                    if line.startswith("id: "):
                        seen.append(int(line[4:]))
                        leave_after -= 1
                    over = over or line == "event: done"
                    if leave_after == 0:
                        cuts += 1
                        break
        teller.join()
    assert cuts == 50
    with world.database.read() as connection:
        assert seen == [event.seq for event in events.page(connection, held.job.number, 0, 1000)[0]]


def test_the_client_follows_a_job_to_its_end(world: World) -> None:
    held = world.start()
    with served(world) as url, Client(url) as client:
        following = client.follow(held.job.id)
        first = next(following)
        note(world, held, 1)
        world.succeed(held)
        types = [first.type, *(event.type for event in following)]
        assert types == ["queued", "starting", "running", "noted", "succeeded", "done"]
        assert list(client.follow(held.job.id, after=client.events(held.job.id).data[-1].id)) == []
        with pytest.raises(ApiError, match="No job"):
            next(client.follow("00000000-0000-4000-8000-000000000000"))
    with pytest.raises(ConnectionFailed):
        next(Client(url).follow(held.job.id))


def test_many_listeners_cost_one_look_and_no_thread_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    since = events.since
    monkeypatch.setattr(events, "since", lambda *arguments: looks.append(len(arguments[1])) or since(*arguments))
    first, second = world.start(), world.start()
    told = Broadcast(world.database)

    async def follow(held: Claim) -> list[int]:
        return [event.seq async for event in told.listen(held.job.number, 0) if event is not None]

    async def everything() -> list[list[int]]:
        listeners = [asyncio.create_task(follow(held)) for held in (first, second) for _ in range(100)]
        await asyncio.sleep(1)
        threads = threading.active_count()
        for held in (first, second):
            await asyncio.to_thread(note, world, held, 1)
            await asyncio.to_thread(world.succeed, held)
        found = await asyncio.gather(*listeners)
        assert threads < 100
        return found

    found = asyncio.run(everything())
    assert len(looks) < 40, "the database is looked at for all listeners at once"
    assert max(looks) == 2
    for held, lists in ((first, found[:100]), (second, found[100:])):
        with world.database.read() as connection:
            numbers = [event.seq for event in events.page(connection, held.job.number, 0, 1000)[0]]
        assert lists == [numbers] * 100


def test_who_is_too_far_behind_is_cut_off_with_nothing_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MOST_WAITING", 3)
    held, told = world.start(), Broadcast(world.database)

    async def dawdle() -> list[int]:
        seen = []
        async for event in told.listen(held.job.number, 0):
            assert event is not None
            seen.append(event.seq)
            if len(seen) == 1:
                for number in range(20):
                    await asyncio.to_thread(note, world, held, number)
                await asyncio.sleep(1)
        return seen

    seen = asyncio.run(dawdle())
    with world.database.read() as connection:
        numbers = [event.seq for event in events.page(connection, held.job.number, 0, 1000)[0]]
    assert seen == numbers[: len(seen)]
    assert len(seen) < len(numbers) or seen == numbers


def test_a_stream_of_a_deleted_job_ends(world: World) -> None:
    job, told = world.trained(100), Broadcast(world.database)
    with world.database.read() as connection:
        last = events.newest(connection, job.number)

    async def follow() -> AsyncIterator[None]:
        async for _ in told.listen(job.number, last):
            yield None

    async def until_deleted() -> int:
        async def count() -> int:
            return len([one async for one in follow()])

        listener = asyncio.create_task(count())
        await asyncio.sleep(0.5)
        with world.database.write() as connection:
            jobs.delete(connection, job.id)
        return await asyncio.wait_for(listener, 10)

    assert asyncio.run(until_deleted()) == 0


def test_a_quiet_stream_says_that_it_is_alive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "QUIET_SECONDS", 0.2)
    held, told = world.start(), Broadcast(world.database)

    async def hear() -> list[object]:
        heard: list[object] = []
        async for event in told.listen(held.job.number, 0):
            heard.append(event)
            if heard.count(None) == 2:
                break
        return heard

    assert asyncio.run(asyncio.wait_for(hear(), 10))[-2:] == [None, None]
