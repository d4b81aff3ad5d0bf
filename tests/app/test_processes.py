"""The processes that `up` keeps alive: what happens when one dies, and how they stop."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app import processes
from app.processes import DEATHS_ALLOWED, KeepsDying, Process, revive

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
DIE = "raise SystemExit(3)"


@pytest.fixture
def started() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.stop(in_a_hurry=lambda: True)


def process_of(script: str, folder: Path, started: list[Process], patience: float = 10) -> Process:
    process = Process("thing", [sys.executable, "-c", script], {}, folder / "thing.log", timedelta(seconds=patience))
    started.append(process)
    process.start()
    return process


def wait_for(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_process_stops_when_asked(tmp_path: Path, started: list[Process]) -> None:
    process = process_of(SLEEP, tmp_path, started)
    wait_for(lambda: "up" in process.log.read_text())
    process.stop(in_a_hurry=lambda: False)
    assert process.pid is None


def test_a_deaf_process_is_ended_once_patience_is_over(tmp_path: Path, started: list[Process]) -> None:
    process = process_of(DEAF, tmp_path, started, patience=0.3)
    wait_for(lambda: "up" in process.log.read_text())
    process.stop(in_a_hurry=lambda: False)
    assert process.pid is None


def test_a_hurry_outweighs_patience(tmp_path: Path, started: list[Process]) -> None:
    process = process_of(DEAF, tmp_path, started, patience=3600)
    wait_for(lambda: "up" in process.log.read_text())
    process.stop(in_a_hurry=lambda: True)
    assert process.pid is None


def test_a_process_hears_no_ctrl_c_of_the_terminal(tmp_path: Path, started: list[Process]) -> None:
    process = process_of(SLEEP, tmp_path, started)
    assert process.pid is not None
    assert os.getsid(process.pid) != os.getsid(0)


def test_a_dead_process_is_said_with_its_log_and_started_again(
    tmp_path: Path, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = process_of(SLEEP, tmp_path, started)
    first = process.pid
    assert first is not None
    said: list[str] = []
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: process.died() is not None)
    revive([process], said.append)
    assert said == [f"The thing was killed by SIGKILL; its log is {process.log}. Starting it again in 1 s."]
    assert process.pid is None
    process.restart_at = time.monotonic()
    revive([process], said.append)
    assert process.pid not in {None, first}


def test_a_process_that_keeps_dying_is_given_up(tmp_path: Path, started: list[Process]) -> None:
    process = process_of(DIE, tmp_path, started)
    said: list[str] = []
    for _ in range(DEATHS_ALLOWED - 1):
        wait_for(lambda: process.died() is not None)
        revive([process], said.append)
        process.restart_at = time.monotonic()
        revive([process], said.append)
    wait_for(lambda: process.died() is not None)
    with pytest.raises(KeepsDying, match="status 3"):
        revive([process], said.append)
    assert [line.split(". ")[-1] for line in said] == ["Starting it again in 1 s.", "Starting it again in 2 s."]


def test_a_death_long_after_the_last_counts_as_the_first(
    tmp_path: Path, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SETTLED", timedelta(0))
    process = process_of(DIE, tmp_path, started)
    process.deaths = DEATHS_ALLOWED - 1
    wait_for(lambda: process.died() is not None)
    revive([process], lambda _: None)
    assert process.deaths == 1


def test_a_process_that_ran_once_is_never_given_up(
    tmp_path: Path, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = process_of(DIE, tmp_path, started)
    process.proven = True
    said: list[str] = []
    for _ in range(DEATHS_ALLOWED + 5):
        wait_for(lambda: process.died() is not None)
        revive([process], said.append)
        process.restart_at = time.monotonic()
        revive([process], said.append)
    waits = [line.split(". ")[-1].split()[-2] for line in said]
    assert waits == ["1", "2", "4", "8", "16", "30", "30", "30"]


def test_a_process_is_proven_once_it_has_settled(
    tmp_path: Path, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = process_of(DIE, tmp_path, started)
    wait_for(lambda: process.died() is not None)
    revive([process], lambda _: None)
    assert not process.proven
    process.start()
    monkeypatch.setattr(processes, "SETTLED", timedelta(0))
    wait_for(lambda: process.died() is not None)
    revive([process], lambda _: None)
    assert process.proven
