"""What the service answers, as frozen records. `document` keeps the whole JSON, fields newer than this SDK included."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

Document = Mapping[str, Any]  # Any: JSON

TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Progress:
    """How far a job has come. Rates and estimates are None until they are known."""

    step: int
    total_steps: int
    fraction: float
    images_per_second: float | None
    eta_seconds: float | None


@dataclass(frozen=True)
class Failure:
    """Why a job failed: a code for programs, a message for people, the step it happened at."""

    code: str
    message: str
    step: int | None


@dataclass(frozen=True)
class Job:
    """One training run asked for, as the service last told it."""

    id: str
    name: str | None
    state: str
    state_reason: str | None
    spec: Document
    progress: Progress
    metrics: Mapping[str, float | None]
    health: Document | None  # `verdict`, `step` and `reasons`, once the training was judged
    latest_checkpoint: int | None
    error: Failure | None
    document: Document = field(repr=False)

    @property
    def is_finished(self) -> bool:
        """Whether the job will never change again."""
        return self.state in TERMINAL_STATES

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read a job document."""
        error = document.get("error")
        return cls(
            id=document["id"],
            name=document.get("name"),
            state=document["state"],
            state_reason=document.get("state_reason"),
            spec=document["spec"],
            progress=_progress(document["progress"]),
            metrics=document["metrics"],
            health=document.get("health"),
            latest_checkpoint=_step(document.get("latest_checkpoint")),
            error=Failure(error["code"], error["message"], error.get("step")) if error else None,
            document=document,
        )


@dataclass(frozen=True)
class Series:
    """The curve of one metric: pairs of step and value, None where the number was not finite."""

    name: str
    points: Sequence[tuple[int, float | None]]
    total_points: int  # before thinning

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read one item of a list of series."""
        points = [(point["step"], point["value"]) for point in document["points"]]
        return cls(name=document["name"], points=points, total_points=document["total_points"])


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; `id` orders events and pages through them."""

    id: int
    type: str
    at: datetime
    data: Document

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read one item of a list of events."""
        at = datetime.fromisoformat(document["at"])
        return cls(id=document["id"], type=document["type"], at=at, data=document["data"])


@dataclass(frozen=True)
class Attempt:
    """One worker's try at a job: what it left the job in, None while it goes on, and the end of what it said."""

    id: int
    number: int
    worker: str
    state: str | None
    log: str
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read one item of a list of attempts."""
        shown = {name: document[name] for name in ("id", "number", "worker", "state", "log")}
        return cls(**shown, document=document)


@dataclass(frozen=True)
class Checkpoint:
    """What can be resumed and served: `files` maps a name to its `sha256` and `size`."""

    step: int
    created_at: datetime
    files: Mapping[str, Document]
    metrics: Mapping[str, float | None]
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read one item of a list of checkpoints."""
        return cls(
            step=document["step"],
            created_at=datetime.fromisoformat(document["created_at"]),
            files=document["files"],
            metrics=document.get("metrics", {}),
            document=document,
        )


@dataclass(frozen=True)
class Preview:
    """The same fixed noise drawn at one step, and how real it looked to the discriminator, where that is known."""

    step: int
    score: float | None
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read one item of a list of previews."""
        return cls(step=document["step"], score=document.get("score"), document=document)


@dataclass(frozen=True)
class Model:
    """A name that serves: the job that it stands for, `latest`, `best` or a step, and the step that this is now."""

    name: str
    job: str
    step: str | int
    checkpoint: int | None  # None while the job has no such checkpoint
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read a model document."""
        shown = {name: document[name] for name in ("name", "job", "step")}
        return cls(**shown, checkpoint=_step(document["checkpoint"]), document=document)


@dataclass(frozen=True)
class Family:
    """A kind of GAN that can be asked for."""

    name: str
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read one item of the list of families."""
        return cls(name=document["name"], document=document)


@dataclass(frozen=True)
class Key:
    """An API key. `secret` is told once, in the answer that makes it, and None from then on."""

    id: str
    name: str
    scopes: Sequence[str]
    is_revoked: bool
    secret: str | None = field(repr=False)
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read a key."""
        return cls(
            id=document["id"],
            name=document["name"],
            scopes=document["scopes"],
            is_revoked=document["revoked_at"] is not None,
            secret=document.get("secret"),
            document=document,
        )


@dataclass(frozen=True)
class Worker:
    """A process that trains."""

    id: str
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read one item of the list of workers."""
        return cls(id=document["id"], document=document)


@dataclass(frozen=True)
class Sample:
    """Generated images as the service encoded them, and what would draw the same again."""

    content: bytes = field(repr=False)
    media_type: str
    seed: int | None  # None where the images have several, or none
    label: str | None
    step: int
    job: str
    url: str
    confidence: float | None = None  # the lowest p(label), where the model's class head chose images of the label

    def save(self, path: str | Path) -> Path:
        """Write the bytes to a file; folders on the way are created."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content)
        return path


@dataclass(frozen=True)
class Classification:
    """What one image shows: the likeliest label, and the probability of each by name."""

    label: int
    label_name: str
    probability: float
    probabilities: Mapping[str, float]
    step: int
    job: str

    @classmethod
    def read(cls, document: Document) -> list[Self]:
        """Read a document of classifications, in the order of the images sent."""
        step, job = document["step"], document["job_id"]
        return [
            cls(each["label"], each["label_name"], each["probability"], each["probabilities"], step, job)
            for each in document["results"]
        ]


@dataclass(frozen=True)
class Score:
    """How real one image looks to a discriminator: the higher the logit, the more real."""

    logit: float
    probability: float | None  # None where the model's scores are no log-odds
    step: int
    job: str

    @classmethod
    def read(cls, document: Document) -> list[Self]:
        """Read a document of scores, in the order of the images sent."""
        step, job = document["step"], document["job_id"]
        return [cls(each["logit"], each["probability"], step, job) for each in document["results"]]


Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list. Ask for the next with `after=page.last_id` while `has_more`."""

    data: Sequence[Item]
    has_more: bool
    first_id: str | int | None
    last_id: str | int | None

    @classmethod
    def read(cls, document: Document, item: Callable[[Document], Item]) -> "Page[Item]":
        """Read a list document, each entry through `item`."""
        return Page(
            [item(entry) for entry in document["data"]],
            document["has_more"],
            document.get("first_id"),
            document.get("last_id"),
        )

    def __iter__(self) -> Iterator[Item]:
        """Go through the page's own items."""
        return iter(self.data)

    def __len__(self) -> int:
        """Count the page's own items."""
        return len(self.data)


def _progress(document: Document) -> Progress:
    return Progress(
        step=document["step"],
        total_steps=document["total_steps"],
        fraction=document["fraction"],
        images_per_second=document.get("images_per_second"),
        eta_seconds=document.get("eta_seconds"),
    )


def _step(checkpoint: int | Document | None) -> int | None:
    """Return the step of a checkpoint told as a number or as a document."""
    return checkpoint["step"] if isinstance(checkpoint, Mapping) else checkpoint
