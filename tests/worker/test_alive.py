import time
from datetime import timedelta
from pathlib import Path

import pytest

from worker import health


def test_a_worker_is_alive_while_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ALIVE", tmp_path / "alive")
    assert not health.is_alive()
    health.say_alive(timedelta(minutes=1))
    assert health.is_alive()
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    assert not health.is_alive()
