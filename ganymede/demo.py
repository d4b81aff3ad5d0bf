"""The demo: the whole walk in one command, from an empty folder to a picture of every digit and its figures."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from rich.console import Console

from ganymede.answers import Job
from ganymede.client import DEFAULT_URL, Client
from ganymede.show import Watcher, duration, ending, progress
from ganymede.stack import Stack

DEMO_STEPS = 3000
# Half of the quick preset's batch and narrower networks learn more in the time that a demo may take on two cores; so
# small, they gain nothing from a second thread, and the judge is trained on the other core meanwhile.
DEMO_KNOBS: Mapping[str, Any] = {
    "conditional": True,
    "width": 24,
    "generator_width": 16,
    "batch_size": 32,
    "threads": 1,
}
FALLBACK = "digits"  # ships with scikit-learn, so it is always there
LABELS = range(10)
LABEL = 7  # asked for while training still runs
SEED = 7
COLUMNS = 10
ROW = f"1x{COLUMNS}"  # rows x columns
LARGE, SMALL = 8, 3  # times enlarged: 28 pixels are hard to see
FIGURES = ("test_label_consistency", "test_fd_classifier", "test_fd_classifier_real")
LEAST_CONSISTENCY = 0.985
LARGEST_RATIO = 2.5  # Fréchet distance to the real images, in units of theirs to each other


@dataclass(frozen=True)
class Verdict:
    """Whether a figure meets its mark; a figure that is not held to one passes and is printed alone."""

    is_met: bool
    mark: str
    is_held: bool

    @property
    def passes(self) -> bool:
        """Whether the demo may succeed."""
        return self.is_met or not self.is_held

    def __str__(self) -> str:
        """Say it after the figure."""
        return f"({self.mark}: {'ok' if self.is_met else 'MISSED'})" if self.is_held else ""


@dataclass(frozen=True)
class Demo:
    """One run of the demo: where it keeps its state and puts its pictures, and how long it trains."""

    console: Console
    home: Path
    out: Path
    steps: int | None
    keep: bool

    def run(self, dataset: str) -> bool:
        """Train, draw and judge; return whether the figures are as good as promised."""
        started = time.monotonic()
        stack = Stack(self.home)
        self._say(f"Starting Redis, a worker and the API; their logs are in {stack.log.parent}.")
        with stack, Client(stack.url) as client:
            job = self._train(client, dataset)
            if job.error is not None and job.error.code == "dataset_unavailable" and dataset != FALLBACK:
                self._say(f"{dataset} cannot be had here: {job.error.message}")
                self._say(f"Training on {FALLBACK} instead, 8 x 8 pixels, which every installation has.")
                job = self._train(client, FALLBACK)
            if job.state != "succeeded":
                self._say(ending(job))
                return False
            self._draw(client, job)
            passed = self._judge(job)
            self._say(f"Done in {duration(time.monotonic() - started)}.")
            if self.keep:
                self._say(f"Left running at {stack.url}; `kill -INT {stack.leave()}` stops it.")
        return passed

    def _train(self, client: Client, dataset: str) -> Job:
        steps = self.steps or DEMO_STEPS
        job = client.submit(family="dcgan", dataset=dataset, name="demo", total_steps=steps, **DEMO_KNOBS)
        self._say(f"Posted job {job.id}: a conditional DCGAN learns {dataset} in {steps} steps.")
        with progress(self.console) as show:
            return client.wait(job.id, FirstAnswer(client, self.console, show))

    def _draw(self, client: Client, job: Job) -> None:
        """Save a picture of each label and a grid of a row each, and print the requests that draw them again."""
        for label in LABELS:
            drawn = client.sample(job=job.id, label=label, seed=SEED, format="png", scale=LARGE)
            drawn.save(self.out / f"label-{label}.png")
        rows = [
            client.sample(job=job.id, label=label, seed=SEED, format="png", n=COLUMNS, grid=ROW, scale=SMALL)
            for label in LABELS
        ]
        stack_rows([row.content for row in rows], self.out / "grid.png")
        self._say(f"Drew {self.out}/label-0.png to label-9.png and, from a row of each, {self.out}/grid.png.")
        self._say("The same again:" if self.keep else f"The same again, after `ganymede up --home {self.home}`:")
        service = client.url if self.keep else DEFAULT_URL
        for name, last in (("label", drawn), ("row", rows[-1])):
            url = last.url.replace(client.url, service).replace(f"label={LABELS[-1]}", "label=[0-9]")
            self._say(f"  curl -o '{name}-#1.png' '{url}'")

    def _judge(self, job: Job) -> bool:
        """Print what an independent classifier makes of the images; on MNIST, hold it against the marks."""
        consistency, distance, real = (job.metrics.get(name) for name in FIGURES)
        if consistency is None or distance is None or real is None:
            self._say(f"The job was not judged: it has no {', '.join(FIGURES)}.")
            return False
        is_held = job.spec["dataset"] == "mnist"
        consistent = Verdict(consistency >= LEAST_CONSISTENCY, f"at least {LEAST_CONSISTENCY:.1%}", is_held)
        close = Verdict(distance <= LARGEST_RATIO * real, f"at most {LARGEST_RATIO} times", is_held)
        self._say("Of 2,000 generated images, the fraction that an independent classifier reads as asked:")
        self._say(f"  {consistency:.2%} {consistent}")
        self._say("Their Fréchet distance to real images in that classifier's features, beside real against real:")
        self._say(f"  {distance:.2f} against {real:.2f}: {distance / real:.2f} times {close}")
        return consistent.passes and close.passes

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, soft_wrap=True)


@dataclass
class FirstAnswer:
    """Shows progress and, once, that images can be had while training still runs."""

    client: Client
    console: Console
    show: Watcher
    has_answered: bool = False

    def __call__(self, job: Job) -> None:
        """Show the job; draw from its first checkpoint as soon as there is one."""
        self.show(job)
        if self.has_answered or job.is_finished or job.latest_checkpoint is None:
            return
        drawn = self.client.sample(job=job.id, label=LABEL)
        self.has_answered = True
        self.console.print(
            f"While it trains, GET /sample?label={LABEL} already answers from step {drawn.step}.",
            markup=False,
            soft_wrap=True,
        )


def stack_rows(rows: Sequence[bytes], path: Path) -> None:
    """Write PNG rows of equal size below each other into one PNG."""
    from PIL import Image  # only here: the service brings Pillow, the SDK alone does without

    images = [Image.open(BytesIO(row)) for row in rows]
    width, height = images[0].size
    grid = Image.new(images[0].mode, (width, height * len(images)))
    for number, image in enumerate(images):
        grid.paste(image, (0, number * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.save(path)
