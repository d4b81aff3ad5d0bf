"""Starting where others can listen: with a key, or not at all."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app import entry
from app.entry import NoEntry
from app.main import create_app
from store import keys
from store.database import Database
from store.keys import Scope
from store.settings import Settings
from tests.app.test_operate import assert_refused, run, run_up
from tests.app.world import LOOPBACK, World, bearer


def guarded(world: World, **changes: object) -> Settings:
    return world.settings.model_copy(update={"host": "0.0.0.0", **changes})


def keep_first(world: World, secret: str) -> Settings:
    """Read the setting as the service does."""
    return guarded(world, first_key=Settings(first_key=secret).first_key)  # type: ignore[arg-type]


def everything(world: World) -> list[keys.Key]:
    with world.database.read() as connection:
        return keys.page(connection, None, 100)[0]


@pytest.mark.parametrize("changes", [{"host": "0.0.0.0"}, {"host": "10.0.0.7"}, {"host": "127.0.0.1", "auth": True}])
def test_a_service_that_nobody_could_enter_does_not_start(changes: dict[str, object], world: World) -> None:
    settings = guarded(world, **changes)
    with pytest.raises(NoEntry, match=f"ganymede keys create admin --scope admin --home {world.settings.home}"):
        TestClient(create_app(settings), LOOPBACK).__enter__()
    key, _ = world.key(Scope.READ)
    with TestClient(create_app(settings), LOOPBACK) as client:
        assert client.get("/livez").status_code == 200
    with world.database.write() as connection:
        keys.revoke(connection, key.id)
    with pytest.raises(NoEntry):
        entry.prepare(settings, world.database)


def test_on_loopback_it_starts_without_a_key(world: World) -> None:
    entry.prepare(world.settings, world.database)
    assert everything(world) == []


def test_a_database_that_is_away_lets_it_start_and_nobody_in(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"auth": True})), LOOPBACK) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert client.get("/jobs", headers=bearer(keys.draw())).status_code == 503


def test_the_first_key_lets_in_and_is_kept_once(world: World) -> None:
    secret = keys.draw()
    for _ in range(2):
        with TestClient(create_app(keep_first(world, secret)), LOOPBACK) as client:
            assert client.get("/keys", headers=bearer(secret)).status_code == 200
    (first,) = everything(world)
    assert (first.scopes, first.digest) == ((Scope.ADMIN,), keys.digest(secret))


def test_the_scrapers_key_can_only_read(world: World) -> None:
    first, scrape = Settings(first_key=keys.draw()), Settings(scrape_key=keys.draw())  # type: ignore[arg-type]
    assert scrape.scrape_key
    settings = guarded(world, first_key=first.first_key, scrape_key=scrape.scrape_key)
    with TestClient(create_app(settings), LOOPBACK, headers=bearer(scrape.scrape_key.get_secret_value())) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/keys").status_code == 403
    assert sorted((key.name, key.scopes) for key in everything(world)) == [
        ("first", (Scope.ADMIN,)),
        ("scrape", (Scope.READ,)),
    ]


def test_the_first_key_does_not_come_back_once_it_is_revoked(world: World) -> None:
    secret = keys.draw()
    entry.prepare(keep_first(world, secret), world.database)
    with world.database.write() as connection:
        keys.revoke(connection, everything(world)[0].id)
    world.key(Scope.READ)
    with TestClient(create_app(keep_first(world, secret)), LOOPBACK) as client:
        assert client.get("/keys", headers=bearer(secret)).status_code == 401
    assert len(everything(world)) == 2


@pytest.mark.parametrize("wrong", ["short", "x" * 43, "gm_" + "x" * 42, "gm_" + "x" * 44])
def test_a_first_key_that_is_easy_to_guess_is_refused(wrong: str, world: World) -> None:
    with pytest.raises(NoEntry, match="GANYMEDE_FIRST_KEY") as refusal:
        entry.prepare(keep_first(world, wrong), world.database)
    assert wrong not in str(refusal.value)
    assert everything(world) == []


def test_up_refuses_with_the_command_that_makes_a_key_and_starts_no_process(tmp_path: Path) -> None:
    words = ("--home", str(tmp_path / "a home"), "--host", "0.0.0.0", "--port", "0")
    answer = run_up(*words)
    command = f"ganymede keys create admin --scope admin --home '{tmp_path / 'a home'}'"
    assert_refused(answer, command)
    assert not (tmp_path / "a home" / "logs").exists()
    assert run("keys", "create", "admin", "--scope", "admin", "--home", str(tmp_path / "a home")).returncode == 0
    settings = Settings(home=tmp_path / "a home", host="0.0.0.0")
    entry.prepare(settings, Database(settings.database))
