"""Progress for people: a live bar on a terminal, a plain line every few seconds elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from ganymede.answers import Job

PLAIN_SECONDS = 5.0
METRICS_SHOWN = 4
SHOWN_FIRST = ("test_accuracy", "accuracy", "label_consistency", "fd_classifier", "d_loss", "g_loss")


class Watcher(Protocol):
    """Someone who is shown a job again and again."""

    def __call__(self, job: Job) -> None:
        """Show the job as it is now."""


@contextmanager
def progress(console: Console) -> Iterator[Watcher]:
    """Show a job's progress for the length of a block, in the way the terminal can."""
    if console.is_terminal:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[facts]}"),
            console=console,
        ) as bar:
            yield Bar(bar)
    else:
        yield Lines(console)


class Bar:
    """A live bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def __call__(self, job: Job) -> None:
        """Move the bar to where the job is."""
        if self._task is None:
            self._task = self._bar.add_task(job.state, total=job.progress.total_steps, facts="")
        self._bar.update(self._task, completed=job.progress.step, description=job.state, facts=facts(job))


class Lines:
    """A plain line when the state changes, and every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state: str | None = None
        self._line = ""
        self._shown_at = 0.0

    def __call__(self, job: Job) -> None:
        """Print a line, if one is due."""
        now = time.monotonic()
        if job.state == self._state and now - self._shown_at < PLAIN_SECONDS:
            return
        line = f"{job.state:<10} {job.progress.step:>6}/{job.progress.total_steps}  {facts(job)}".rstrip()
        if line != self._line:
            self._console.print(Text(line), soft_wrap=True)
        self._state, self._line, self._shown_at = job.state, line, now


def facts(job: Job) -> str:
    """Say a job's speed, the time left and its newest metrics in one line."""
    if job.state == "queued" and job.document.get("queue_position"):
        return f"number {job.document['queue_position']} in the queue"
    if job.progress.step == job.progress.total_steps and not job.is_finished:
        return "all steps made; writing down and measuring"
    words = []
    if job.progress.images_per_second is not None:
        words.append(f"{job.progress.images_per_second:,.0f} images/s")
    if job.progress.eta_seconds is not None and not job.is_finished:
        words.append(f"{duration(job.progress.eta_seconds)} left")
    return " · ".join([*words, *_newest_metrics(job)])


def duration(seconds: float) -> str:
    """Write a time as people say it: `45 s`, `3 min 05 s`, `2 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"


def ending(job: Job) -> str:
    """Say in one line how a job ended."""
    if job.error is None:
        return f"The job {job.id} {job.state} at step {job.progress.step}."
    return f"The job {job.id} {job.state} ({job.error.code}): {job.error.message}"


def _newest_metrics(job: Job) -> list[str]:
    """Say the few metrics that tell most, the others in order of their names."""
    others = sorted(set(job.metrics) - set(SHOWN_FIRST))
    known = [(name, job.metrics.get(name)) for name in (*SHOWN_FIRST, *others)]
    return [f"{name} {value:.3g}" for name, value in known if value is not None][:METRICS_SHOWN]
