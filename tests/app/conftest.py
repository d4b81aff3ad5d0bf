"""A service to test, over HTTP without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app
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
def client(world: World) -> Iterator[TestClient]:
    with TestClient(create_app(world.settings), LOOPBACK) as client:
        yield client
