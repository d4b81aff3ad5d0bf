"""A service to test, over HTTP without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from store.keys import Scope
from store.settings import Settings
from tests.app.world import LOOPBACK, World


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nobody listens where the doorbell should be; no test here needs it."""
    return Settings(home=tmp_path, redis_url=f"redis+socket://{tmp_path}/nobody.sock")


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    world = World(settings)
    yield world
    world.database.close()


@pytest.fixture
def guarded(world: World) -> Iterator[TestClient]:
    """A service that asks for keys; there is one, or it would not start."""
    world.key(Scope.ADMIN)
    with TestClient(create_app(world.settings.model_copy(update={"auth": True})), LOOPBACK) as client:
        yield client


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with TestClient(create_app(world.settings), LOOPBACK) as client:
        yield client


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium")
    return found
