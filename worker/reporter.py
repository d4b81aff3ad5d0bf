"""A run's progress: the first step at once, then points gathered and sent twice a second, with the speed since then."""

import time
from collections.abc import Callable, Mapping

from worker.messages import Message, Progress

REPORT_SECONDS = 0.5  # points wait so long at most, so that a fast run does not write thousands of rows one by one

Send = Callable[[Message], None]


class Reporter:
    """Gathers points and sends them."""

    def __init__(self, send: Send, step: int, batch_size: int) -> None:
        """Start to count at `step`."""
        self._send = send
        self._step = self._sent_step = step
        self._batch_size = batch_size
        self._points: list[tuple[int, dict[str, float]]] = []
        self._sent_at: float | None = None
        self.newest: dict[str, float] = {}

    def step(self, step: int) -> None:
        """Note that a step is done; the first is told at once, and its time, as it warms up, is no speed."""
        self._step = step
        if self._sent_at is None or time.monotonic() - self._sent_at >= REPORT_SECONDS:
            self.flush()

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep a point to send."""
        self._points.append((step, dict(numbers)))
        self.newest |= numbers

    def flush(self) -> None:
        """Send what there is."""
        now = time.monotonic()
        done = self._step - self._sent_step
        took = 0.0 if self._sent_at is None else now - self._sent_at
        speed = done * self._batch_size / took if done and took else None
        if done or self._points:
            self._send(Progress(step=self._step, points=self._points, images_per_second=speed))
        self._points, self._sent_at, self._sent_step = [], now, self._step

    def report(self, step: int, figures: Mapping[str, float]) -> None:
        """Send what was measured beside the training, and leave the time that it took out of the speed."""
        self._points.append((step, dict(figures)))
        self.flush()
        self._sent_at = time.monotonic()

    def rewind(self, step: int) -> None:
        """Forget what has not been sent, and count from an earlier step."""
        self._points, self._step, self._sent_step = [], step, step
        self._sent_at = time.monotonic()
        self.newest = {}
