"""What happens to jobs, told to whoever listens: one look at the database for all listeners of this process."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import structlog
from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError

from store import events
from store.database import Database
from store.events import Event

LOOK_SECONDS = 0.25
QUIET_SECONDS = 15.0  # proxies close what says nothing for a minute
MOST_WAITING = 1_000  # events that a listener may be behind; one that is further behind is cut off, and comes again
PAGE = 500

log = structlog.get_logger()


class Channel:
    """The listeners of one job, and the number of the last event that they were told of."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.listeners: set[asyncio.Queue[Event | None]] = set()

    def tell(self, event: Event | None) -> None:
        """Tell every listener of an event, or that there will be no more."""
        for listener in list(self.listeners):
            try:
                listener.put_nowait(event)
            except asyncio.QueueFull:  # it is cut off where it stands, with nothing left out before that
                self.listeners.discard(listener)
                while not listener.empty():
                    listener.get_nowait()
                listener.put_nowait(None)
        if event is not None:
            self.position = event.seq


class Broadcast:
    """Looks for new events of the jobs that are listened to, in one query each time, while anybody listens."""

    def __init__(self, database: Database) -> None:
        """Do nothing until somebody listens."""
        self._database = database
        self._channels: dict[int, Channel] = {}
        self._looking: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return sum(len(channel.listeners) for channel in list(self._channels.values()))

    async def listen(self, job_number: int, after: int) -> AsyncGenerator[Event | None, None]:
        """Yield every event of a job numbered above `after`, once, in order, as it happens; the last is `done`.

        Yields None when it has been quiet for a while. Ends early when the job is deleted or the listener is too far
        behind.
        """
        waiting: asyncio.Queue[Event | None] = asyncio.Queue(MOST_WAITING)
        newest = await to_thread.run_sync(self._newest, job_number)
        channel = self._channels.setdefault(job_number, Channel(newest))
        channel.listeners.add(waiting)  # before anything is read: what happens meanwhile is told
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            seen, has_more = after, True
            while has_more:
                happened, has_more = await to_thread.run_sync(self._page, job_number, seen)
                for event in happened:
                    seen = event.seq
                    yield event
                    if event.type == "done":
                        return
            while True:
                try:
                    async with asyncio.timeout(QUIET_SECONDS):
                        told = await waiting.get()
                except TimeoutError:
                    yield None
                    continue
                if told is None:
                    return
                if told.seq > seen:
                    yield told
                if told.type == "done":
                    return
        finally:
            channel.listeners.discard(waiting)
            if not channel.listeners and self._channels.get(job_number) is channel:
                del self._channels[job_number]

    def _newest(self, job_number: int) -> int:
        with self._database.read() as connection:
            return events.newest(connection, job_number)

    def _page(self, job_number: int, after: int) -> tuple[list[Event], bool]:
        with self._database.read() as connection:
            return events.page(connection, job_number, after, PAGE)

    async def _look(self) -> None:
        while self._channels:
            positions = {number: channel.position for number, channel in self._channels.items()}
            try:
                told, gone = await to_thread.run_sync(self._since, positions)
            except SQLAlchemyError as error:  # listeners wait until it is back
                log.warning("database away", error=str(error))
                told, gone = {}, set()
            for number, some in told.items():
                for event in some:
                    if (channel := self._channels.get(number)) is not None and event.seq > channel.position:
                        channel.tell(event)
            for number in gone:
                if (channel := self._channels.get(number)) is not None:
                    channel.tell(None)
            await asyncio.sleep(LOOK_SECONDS)

    def _since(self, positions: Mapping[int, int]) -> tuple[Mapping[int, Sequence[Event]], set[int]]:
        with self._database.read() as connection:
            return events.since(connection, positions, PAGE), events.gone(connection, positions)
