"""The fake service that the SDK and the command are tested against, and no waiting between looks at a job."""

from collections.abc import Iterator

import pytest

from ganymede import client
from tests.ganymede.fake_service import FakeService, running


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    monkeypatch.setattr(client, "POLL_SECONDS", 0.0)
    with running() as service:
        yield service
