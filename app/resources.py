"""What a request may hold: a transaction, the files, the networks, the doorbell."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app import entry
from app.allowances import Allowances
from app.broadcast import Broadcast
from app.caretaker import Caretaker
from app.keyring import Keyring
from app.messenger import Messenger
from app.serving.catalog import Catalog
from app.serving.graphs import Graphs
from app.serving.studio import Studio
from store import hosts
from store.artifacts import Artifacts
from store.database import Database
from store.settings import Settings

TRANSACTIONS = 40  # of requests at once: no fewer than threads to run them, and fewer than the database's connections


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
    catalog: Catalog
    studio: Studio
    keyring: Keyring
    allowances: Allowances = field(default_factory=Allowances)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TRANSACTIONS))

    def close(self) -> None:
        """Let go of everything, the threads that use the rest first."""
        self.studio.close()
        self.messenger.stop()
        self.caretaker.stop()
        self.database.close()


def open_resources(settings: Settings) -> Resources:
    """Open the database, the artifacts and the doorbell, and start the thread that looks after them."""
    hosts.claim(settings.database)
    database, artifacts = Database(settings.database), Artifacts(settings.artifacts)
    with suppress(SQLAlchemyError):  # a database that is away lets nobody in anyway
        entry.prepare(settings, database)
    caretaker = Caretaker(settings, database, artifacts)
    caretaker.start()
    messenger = Messenger(settings, database)
    messenger.start()
    graphs = Graphs(artifacts, settings.execution_provider)
    broadcast, catalog, studio = Broadcast(database), Catalog(database), Studio(graphs)
    keyring = Keyring(database)
    return Resources(settings, database, artifacts, graphs, caretaker, broadcast, messenger, catalog, studio, keyring)


async def _held(request: Request) -> Resources:  # a plain function would cost a trip to another thread
    resources: Resources = request.app.state.resources
    return resources


Held = Annotated[Resources, Depends(_held)]


async def _turn(held: Held) -> AsyncIterator[None]:
    """Wait for one's turn on the loop: in threads, those without a connection keep out those that have one."""
    async with held.turns:
        yield


# `scope="function"`: the transaction is over, and its commit certain, before the answer is sent.
Turn = Annotated[None, Depends(_turn, scope="function")]


def _reading(held: Held, turn: Turn) -> Iterator[Connection]:
    with held.database.read() as connection:
        yield connection


def _writing(held: Held, turn: Turn) -> Iterator[Connection]:
    with held.database.write() as connection:
        yield connection


# A transaction lasts from here on: what a client is waited for belongs before it among a route's parameters.
Reading = Annotated[Connection, Depends(_reading, scope="function")]
Writing = Annotated[Connection, Depends(_writing, scope="function")]
