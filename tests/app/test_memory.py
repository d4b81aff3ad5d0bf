"""What is remembered of the database: as long as it has not changed, and for a while where it is away."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from app.memory import Memory
from tests.app.world import World

Look = Callable[[], str | None]


def away() -> str:
    """Ask a database that cannot be opened."""
    with create_engine("sqlite:////nowhere/at/all.db").connect() as connection:
        return str(connection.execute(text("SELECT 1")).scalar())


def ask(memory: Memory[str, str], *looks: Look, pause: float = 0.0) -> list[str | None]:
    async def all_of_them() -> list[str | None]:
        found = []
        for look in looks:
            found.append(await memory.find("key", look))
            await asyncio.sleep(pause)
        return found

    return asyncio.run(all_of_them())


def test_what_has_not_changed_is_not_asked_for_again(world: World) -> None:
    memory: Memory[str, str] = Memory(world.database, 1)
    assert ask(memory, lambda: "old", away) == ["old", "old"]
    world.submit()
    assert ask(memory, lambda: "new", away) == ["new", "new"]


def test_what_has_not_changed_is_believed_no_longer_than_it_may_be(world: World) -> None:
    assert ask(Memory(world.database, 1, unchanged_seconds=0), lambda: "old", lambda: "new") == ["old", "new"]


def test_while_the_database_is_away_what_it_said_last_stands_in(world: World) -> None:
    memory: Memory[str, str] = Memory(world.database, 0, unchanged_seconds=0)
    assert ask(memory, lambda: "old", away, lambda: "new") == ["old", "old", "old"]  # and it is not asked at once


def test_a_database_that_is_away_for_long_is_believed_no_more(world: World) -> None:
    memory: Memory[str, str] = Memory(world.database, 0, unchanged_seconds=0, away_seconds=0)
    with pytest.raises(OperationalError):
        ask(memory, lambda: "old", away, pause=0.01)


def test_what_was_never_found_cannot_stand_in(world: World) -> None:
    with pytest.raises(OperationalError):
        ask(Memory(world.database, 1), away)


def test_what_is_gone_does_not_stand_in(world: World) -> None:
    memory: Memory[str, str] = Memory(world.database, 0, unchanged_seconds=0)
    with pytest.raises(OperationalError):
        ask(memory, lambda: "old", lambda: None, away)
