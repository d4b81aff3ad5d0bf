"""What a request may hold: a transaction, the files, the networks, the doorbell."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection

from app.broadcast import Broadcast
from app.caretaker import Caretaker
from app.messenger import Messenger
from app.serving.graphs import Graphs
from store import hosts
from store.artifacts import Artifacts
from store.database import Database
from store.settings import Settings


@dataclass(frozen=True)
class Resources:
    """Everything that lives as long as the process."""

    settings: Settings
    database: Database
    artifacts: Artifacts
    graphs: Graphs
    caretaker: Caretaker
    broadcast: Broadcast
    messenger: Messenger

    def close(self) -> None:
        """Let go of everything, the thread that uses the rest first."""
        self.messenger.stop()
        self.caretaker.stop()
        self.database.close()


def open_resources(settings: Settings) -> Resources:
    """Open the database, the artifacts and the doorbell, and start the thread that looks after them."""
    hosts.claim(settings.database)
    database, artifacts = Database(settings.database), Artifacts(settings.artifacts)
    caretaker = Caretaker(settings, database, artifacts)
    caretaker.start()
    messenger = Messenger(settings, database)
    messenger.start()
    return Resources(settings, database, artifacts, Graphs(artifacts), caretaker, Broadcast(database), messenger)


def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


async def _held(request: Request) -> Resources:  # a plain function would cost a trip to another thread
    return _resources(request)


def _reading(request: Request) -> Iterator[Connection]:
    with _resources(request).database.read() as connection:
        yield connection


def _writing(request: Request) -> Iterator[Connection]:
    with _resources(request).database.write() as connection:
        yield connection


# `scope="function"`: the transaction is over, and its commit certain, before the answer is sent.
Reading = Annotated[Connection, Depends(_reading, scope="function")]
Writing = Annotated[Connection, Depends(_writing, scope="function")]
Held = Annotated[Resources, Depends(_held)]
