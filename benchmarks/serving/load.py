"""Load from one thread: so many kept-alive HTTP/1.1 connections, each asking again as soon as it is answered."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

SEPARATOR = b"\r\n\r\n"


@dataclass
class Load:
    """What a server did: the seconds that each answer took, and how many had which status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Return pictures per second."""
        return self.statuses[200] / self.elapsed

    def quantile(self, share: float) -> float:
        """Return the time within which this share of the answers came, in milliseconds."""
        return float(np.quantile(self.seconds, share)) * 1000


class Connection(asyncio.Protocol):
    """One connection that always has one request on its way."""

    def __init__(self, load: Load, request: Callable[[], bytes], deadline: float, done: asyncio.Future[None]) -> None:
        self._load, self._request, self._deadline, self._done = load, request, deadline, done
        self._answer = bytearray()
        self._length: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is whole."""
        self._answer += data
        if self._length is None and (end := self._answer.find(SEPARATOR)) >= 0:
            self._length = end + len(SEPARATOR) + content_length(bytes(self._answer[:end]))
        if self._length is None or len(self._answer) < self._length:
            return
        now = time.perf_counter()
        self._load.seconds.append(now - self._asked)
        self._load.statuses[int(self._answer[9:12])] += 1
        self._answer, self._length = bytearray(), None
        if now < self._deadline:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End; a connection cut before its time is a fault."""
        if self._done.done():
            return
        if error or time.perf_counter() < self._deadline:
            self._done.set_exception(error or ConnectionError("the server closed the connection"))
        else:
            self._done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request())


def content_length(head: bytes) -> int:
    """Return what an answer's head says of its body's length; raise ValueError where it says nothing."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError(f"no Content-Length in {head!r}")


def measure(port: int, request: Callable[[], bytes], connections: int, seconds: float) -> Load:
    """Ask a server on this machine for so long."""
    return asyncio.run(_measure(port, request, connections, seconds))


async def _measure(port: int, request: Callable[[], bytes], connections: int, seconds: float) -> Load:
    load, loop = Load(), asyncio.get_running_loop()
    started = time.perf_counter()
    done = [loop.create_future() for _ in range(connections)]
    for each in done:
        await loop.create_connection(
            lambda each=each: Connection(load, request, started + seconds, each), "127.0.0.1", port
        )
    await asyncio.gather(*done)
    load.elapsed = time.perf_counter() - started
    return load
