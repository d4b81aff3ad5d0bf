"""The studio: one thread that draws for many requests at once, and a few more for what takes long.

Whatever waits for the same network when the thread comes to it is drawn in one pass. Nobody waits for company: a
request that comes alone is drawn alone.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from app.refusals import Crowded
from app.serving import streams
from app.serving.drawings import Drawing, Drawn, draw_together
from app.serving.generators import Generator
from app.serving.graphs import GENERATOR, Graph, Graphs
from app.serving.wrappings import wrap

MOST_TOGETHER = 64  # images in one pass
MOST_WAITING = 1024  # images, of requests that are answered together
LARGE_PIXELS = 1 << 18  # in all, from which an answer is drawn apart
LARGE_AT_ONCE = 2
LARGE_WAITING = 64  # requests


@dataclass(frozen=True)
class Picture:
    """What was drawn, wrapped; `confidence` as `Drawn` has it."""

    content: bytes
    confidence: float | None = None


Settled = Picture | Exception


@dataclass(frozen=True, eq=False)
class Order:
    """One request's drawing, the network it waits for, and the loop where its answer is awaited."""

    drawing: Drawing
    graph: Graph
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Picture]"

    def settle(self, found: Settled) -> None:
        """Answer, unless nobody waits any more."""
        if self.answer.done():
            return
        if isinstance(found, Exception):
            self.answer.set_exception(found)
        else:
            self.answer.set_result(found)


class Studio:
    """Draws for the whole process; all but its threads belongs to the event loop."""

    def __init__(self, graphs: Graphs) -> None:
        """Start the thread that draws."""
        self._graphs = graphs
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._apart = ThreadPoolExecutor(LARGE_AT_ONCE, "studio-apart")
        self._waiting = self._waiting_apart = 0
        self.images = self.executions = 0  # drawn together so far, and the passes that took
        self._thread = threading.Thread(target=self._work, name="studio", daemon=True)
        self._thread.start()

    async def draw(self, drawing: Drawing) -> Picture:
        """Draw and wrap. Raises FileDamaged, NotFinite, NoneSureEnough, Crowded."""
        loop = asyncio.get_running_loop()
        if is_large(drawing):
            with self._place_apart():
                return await loop.run_in_executor(self._apart, draw_alone, drawing, self._graphs)
        with self._place(drawing.wish.count):
            graph = self._graphs.kept(drawing.job.id, drawing.checkpoint, GENERATOR)
            if graph is None:
                graph = await loop.run_in_executor(
                    self._apart, self._graphs.open, drawing.job.id, drawing.checkpoint, GENERATOR
                )
            order = Order(drawing, graph, loop, loop.create_future())
            self._orders.put(order)
            return await order.answer

    async def stream(self, drawing: Drawing) -> AsyncGenerator[bytes, None]:
        """Draw and wrap piece by piece, each when the one before has been sent. Raises as `draw`."""
        loop = asyncio.get_running_loop()
        with self._place_apart():
            found = streams.pieces(drawing, self._graphs)
            while piece := await loop.run_in_executor(self._apart, next, found, b""):
                yield piece

    def close(self) -> None:
        """Stop once what waits is drawn."""
        self._orders.put(None)
        self._thread.join()
        self._apart.shutdown()

    def _work(self) -> None:
        while (first := self._orders.get()) is not None:
            together = [first, *self._others(first.drawing.wish.count)]
            wanted = [order for order in together if not order.answer.cancelled()]
            for graph in dict.fromkeys(order.graph for order in wanted):
                self._draw(graph, [order for order in wanted if order.graph is graph])

    def _others(self, images: int) -> Iterator[Order]:
        """Take what waits besides, as far as one pass goes."""
        while images < MOST_TOGETHER and not self._orders.empty():
            order = self._orders.get()
            if order is None:
                self._orders.put(None)
                return
            images += order.drawing.wish.count
            yield order

    def _draw(self, graph: Graph, orders: Sequence[Order]) -> None:
        try:
            drawn = draw_together([order.drawing for order in orders], Generator(graph))
        except Exception:  # noqa: BLE001  # the fault of one of them must not be that of all
            for order in orders:
                _answer(order, lambda order=order: draw_together([order.drawing], Generator(graph))[0])  # type: ignore[misc]
        else:
            images = sum(order.drawing.wish.count for order in orders)
            self.images += images
            self.executions += graph.passes(images)
            for order, each in zip(orders, drawn, strict=True):
                _answer(order, lambda each=each: each)  # type: ignore[misc]

    @contextmanager
    def _place(self, images: int) -> Iterator[None]:
        if self._waiting + images > MOST_WAITING:
            raise Crowded(f"{self._waiting} images wait to be drawn already, of at most {MOST_WAITING}")
        self._waiting += images
        try:
            yield
        finally:
            self._waiting -= images

    @contextmanager
    def _place_apart(self) -> Iterator[None]:
        if self._waiting_apart >= LARGE_WAITING:
            raise Crowded(f"{self._waiting_apart} large requests wait to be drawn already")
        self._waiting_apart += 1
        try:
            yield
        finally:
            self._waiting_apart -= 1


def is_large(drawing: Drawing) -> bool:
    """Tell whether others would wait too long for this one."""
    apart = drawing.is_filtered or drawing.card.draws_points
    return apart or drawing.wish.count > MOST_TOGETHER or drawing.pixels > LARGE_PIXELS


def draw_alone(drawing: Drawing, graphs: Graphs) -> Picture:
    """Draw and wrap one drawing. Raises FileDamaged, NotFinite, NoneSureEnough."""
    drawn = drawing.draw(graphs)
    return Picture(wrap(drawing, drawn), drawn.confidence)


def _answer(order: Order, drawn: Callable[[], Drawn]) -> None:
    try:
        each = drawn()
        found: Settled = Picture(wrap(order.drawing, each), each.confidence)
    except Exception as fault:  # noqa: BLE001  # belongs to who waits
        found = fault
    order.loop.call_soon_threadsafe(order.settle, found)
