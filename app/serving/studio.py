"""The studio: draws for many requests at once, whatever is brief on the event loop, the rest in threads.

What waits for the same network when a pass begins is drawn in that pass. Nobody waits for company: a request that comes
alone is drawn alone. A brief pass costs less than to hand it to a thread, with which the loop would then contend for
the interpreter at every image.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from app.refusals import Crowded
from app.serving import streams
from app.serving.drawings import Drawing, draw_together
from app.serving.generators import Generator
from app.serving.graphs import GENERATOR, Graph, Graphs
from app.serving.wrappings import wrap

MOST_TOGETHER = 64  # images in one pass
MOST_WAITING = 1024  # images, of requests that are answered together
BRIEF_SECONDS = 0.005  # that a pass may keep the loop
BRIEF_PIXELS = 1 << 14  # of an answer that may be drawn on the loop
LARGE_PIXELS = 1 << 18  # of an answer that is drawn apart
LARGE_AT_ONCE = 2
LARGE_WAITING = 64  # requests
NEWEST = 0.2  # weight of the newest pass in what is known of a network's pace


@dataclass(frozen=True)
class Picture:
    """What was drawn, wrapped; `confidence` as `Drawn` has it."""

    content: bytes
    confidence: float | None = None


Settled = Picture | Exception


@dataclass(frozen=True, eq=False)
class Order:
    """One request's drawing, the network it waits for, and where its answer is awaited."""

    drawing: Drawing
    graph: Graph
    answer: "asyncio.Future[Picture]"

    @property
    def kind(self) -> tuple[Graph, bool]:
        """Return what orders must share to be drawn in one pass: the network, and whether they may be brief."""
        return self.graph, self.drawing.pixels <= BRIEF_PIXELS

    def settle(self, found: Settled) -> None:
        """Answer, unless nobody waits any more."""
        if self.answer.done():
            return
        if isinstance(found, Exception):
            self.answer.set_exception(found)
        else:
            self.answer.set_result(found)


class Studio:
    """Draws for the whole process; it belongs to the event loop, all but what it has its threads do."""

    def __init__(self, graphs: Graphs) -> None:
        """Wait for orders."""
        self._graphs = graphs
        self._orders: deque[Order] = deque()
        self._passing = False  # whether a pass is under way or about to begin
        self._painting: asyncio.Task[None] | None = None  # kept, or it might be forgotten while it runs
        self._pace: WeakKeyDictionary[Graph, float] = WeakKeyDictionary()  # seconds an image, where known
        self._together = ThreadPoolExecutor(1, "studio")
        self._apart = ThreadPoolExecutor(LARGE_AT_ONCE, "studio-apart")
        self._opening = ThreadPoolExecutor(1, "studio-opening")  # so that a new network waits for no large answer
        self._waiting = self._waiting_apart = 0
        self.images = self.executions = 0  # drawn together so far, and the passes that took
        self.images_apart = self.refused = 0  # images drawn apart, and requests that found the studio crowded

    def check_room(self, drawing: Drawing) -> None:
        """Raise Crowded where the drawing would find no place, before anybody pays for it."""
        with self._place_apart() if drawing.wish.is_streamed or is_large(drawing) else self._place(drawing.wish.count):
            pass

    async def draw(self, drawing: Drawing) -> Picture:
        """Draw and wrap. Raises FileDamaged, NotFinite, NoneSureEnough, Crowded."""
        loop = asyncio.get_running_loop()
        if is_large(drawing):
            over = threading.Event()
            with self._place_apart():
                try:
                    picture = await loop.run_in_executor(self._apart, draw_alone, drawing, self._graphs, over)
                finally:
                    over.set()  # who goes away leaves nobody waiting for it
                self.images_apart += drawing.wish.count
                return picture
        with self._place(drawing.wish.count):
            graph = self._graphs.kept(drawing.job.id, drawing.checkpoint, GENERATOR)
            if graph is None:
                graph = await loop.run_in_executor(
                    self._opening, self._graphs.open, drawing.job.id, drawing.checkpoint, GENERATOR
                )
            order = Order(drawing, graph, loop.create_future())
            self._orders.append(order)
            if not self._passing:
                self._passing = True
                loop.call_soon(self._pass)  # after whatever else has come in by now
            return await order.answer

    async def stream(self, drawing: Drawing) -> AsyncGenerator[bytes, None]:
        """Draw and wrap piece by piece, each when the one before has been sent. Raises as `draw`."""
        loop = asyncio.get_running_loop()
        with self._place_apart():
            found = streams.pieces(drawing, self._graphs)
            while piece := await loop.run_in_executor(self._apart, next, found, b""):
                yield piece
            self.images_apart += drawing.wish.count

    def close(self) -> None:
        """Stop once what is being drawn is drawn."""
        self._together.shutdown()
        self._apart.shutdown()
        self._opening.shutdown()

    def _pass(self) -> None:
        """Draw what waits for one network, then see what has come in meanwhile."""
        while self._orders and self._orders[0].answer.cancelled():
            self._orders.popleft()
        self._passing = bool(self._orders)
        if not self._orders:
            return
        graph, may_be_brief = kind = self._orders[0].kind
        loop, pace = asyncio.get_running_loop(), self._pace.get(graph, BRIEF_SECONDS)
        brief = may_be_brief and pace < BRIEF_SECONDS
        orders = self._take(kind, min(MOST_TOGETHER, int(BRIEF_SECONDS / pace)) if brief else MOST_TOGETHER)
        if brief:
            self._settle(orders, graph, paint(orders, graph))
            loop.call_soon(self._pass)
        else:
            self._painting = loop.create_task(self._paint_apart(orders, graph))

    async def _paint_apart(self, orders: Sequence[Order], graph: Graph) -> None:
        painted = await asyncio.get_running_loop().run_in_executor(self._together, paint, orders, graph)
        self._settle(orders, graph, painted)
        self._pass()

    def _take(self, kind: tuple[Graph, bool], most_images: int) -> list[Order]:
        """Take the first order and those like it, as far as one pass goes; leave the others in their order."""
        taken, left = [self._orders.popleft()], deque[Order]()
        images = taken[0].drawing.wish.count
        for order in self._orders:
            fits = order.kind == kind and images + order.drawing.wish.count <= most_images
            (taken if fits else left).append(order)
            images += order.drawing.wish.count * fits
        self._orders = left
        return taken

    def _settle(self, orders: Sequence[Order], graph: Graph, painted: "Painted") -> None:
        images = sum(order.drawing.wish.count for order in orders)
        self.images += images
        self.executions += graph.passes(images)
        pace = painted.seconds / images
        self._pace[graph] = pace if graph not in self._pace else (1 - NEWEST) * self._pace[graph] + NEWEST * pace
        for order, found in zip(orders, painted.found, strict=True):
            order.settle(found)

    @contextmanager
    def _place(self, images: int) -> Iterator[None]:
        if self._waiting + images > MOST_WAITING:
            self.refused += 1
            raise Crowded(f"{self._waiting} images wait to be drawn already, of at most {MOST_WAITING}")
        self._waiting += images
        try:
            yield
        finally:
            self._waiting -= images

    @contextmanager
    def _place_apart(self) -> Iterator[None]:
        if self._waiting_apart >= LARGE_WAITING:
            self.refused += 1
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


def draw_alone(drawing: Drawing, graphs: Graphs, over: threading.Event) -> Picture:
    """Draw and wrap one drawing, unless it is over. Raises FileDamaged, NotFinite, NoneSureEnough, Abandoned."""
    drawn = drawing.draw(graphs, over)
    return Picture(wrap(drawing, drawn), drawn.confidence)


@dataclass(frozen=True)
class Painted:
    """What became of a pass's orders, and how long it took."""

    found: Sequence[Settled]
    seconds: float


def paint(orders: Sequence[Order], graph: Graph) -> Painted:
    """Draw and wrap what waits for one network; what goes wrong with one of them is not the fault of the others."""
    started = time.perf_counter()
    found = _paint([order.drawing for order in orders], Generator(graph))
    return Painted(found, time.perf_counter() - started)


def _paint(drawings: Sequence[Drawing], generator: Generator) -> list[Settled]:
    try:
        drawn = draw_together(drawings, generator)
        return [Picture(wrap(drawing, each), each.confidence) for drawing, each in zip(drawings, drawn, strict=True)]
    except Exception as fault:  # noqa: BLE001  # belongs to who waits
        return [fault] if len(drawings) == 1 else [_paint([drawing], generator)[0] for drawing in drawings]
