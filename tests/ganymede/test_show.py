"""Progress as a person reads it."""

import io
from typing import Any

import pytest
from rich.console import Console

from ganymede import Job
from ganymede.show import facts, progress
from tests.ganymede.fake_service import TOTAL_STEPS, FakeService


def job_at(step: int, state: str = "running", **changes: Any) -> Job:
    document = FakeService(step=step).job() | {"state": state} | changes
    return Job.read(document)


def test_the_figures_that_tell_most_come_first() -> None:
    job = job_at(
        TOTAL_STEPS, "succeeded", metrics={"a": 1.0, "g_loss": 2.0, "fd_classifier": 3.0, "nan": None, "z": 4.0}
    )
    assert facts(job) == "1,234 images/s · fd_classifier 3 · g_loss 2 · a 1 · z 4"


def test_a_job_that_is_being_measured_says_so() -> None:
    assert facts(job_at(TOTAL_STEPS)) == "all steps made; writing down and measuring"


def test_plain_lines_do_not_repeat_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganymede.show.PLAIN_SECONDS", 0)
    written = io.StringIO()
    with progress(Console(file=written, width=200)) as show:
        for step in (0, 5, 5, 5, 10):
            show(job_at(step))
    assert [line.split()[1] for line in written.getvalue().splitlines()] == ["0/20", "5/20", "10/20"]


def test_a_terminal_gets_a_bar() -> None:
    written = io.StringIO()
    with progress(Console(file=written, force_terminal=True, width=200)) as show:
        show(job_at(5))
        show(job_at(TOTAL_STEPS, "succeeded"))
    assert "succeeded" in written.getvalue()
    assert "20/20" in written.getvalue()
