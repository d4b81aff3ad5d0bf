import os
import time
from pathlib import Path

import pytest

from worker import health


def test_a_worker_is_alive_while_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ALIVE", tmp_path / "alive")
    assert not health.is_alive()
    health.say_alive()
    assert health.is_alive()
    long_ago = time.time() - 2 * health.LONGEST_SILENCE_SECONDS
    os.utime(health.ALIVE, (long_ago, long_ago))
    assert not health.is_alive()
