"""Jobs, and what is told of their runs."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.documents.checkpoints import MilestoneDocument
from app.documents.responses import Json
from store.attempts import Attempt
from store.checkpoints import Milestone
from store.events import Event
from store.jobs import Job
from store.lifecycle import JobState


class Progress(BaseModel):
    """How far a job has come."""

    step: Annotated[int, Field(description="Generator updates made.")]
    total_steps: Annotated[int, Field(description="Generator updates asked for.")]
    fraction: Annotated[float, Field(ge=0, description="`step / total_steps`.")]
    images_per_second: Annotated[float | None, Field(description="Real images seen in a second, while known.")]
    eta_seconds: Annotated[float | None, Field(description="Seconds to the end at this speed, while it runs.")]


class FailureDocument(BaseModel):
    """Why a job failed."""

    code: Annotated[str, Field(description="What happened, for programs.")]
    message: Annotated[str, Field(description="What happened, for people.")]
    step: int | None


class Health(BaseModel):
    """How two networks get on with each other, in plain words."""

    verdict: Literal["healthy", "collapsing", "discriminator_dominates", "diverging"]
    step: Annotated[int, Field(description="The step it was passed at.")]
    reasons: Annotated[list[str], Field(description="What speaks for it, with the numbers.")]


class JobUrls(BaseModel):
    """Where to read on, as paths on this server."""

    self: str
    metrics: str
    events: str
    checkpoints: str
    previews: str
    sample: str
    logs: str
    pause: str
    resume: str
    cancel: str
    retry: str
    extend: str


class JobDocument(BaseModel):
    """One training run asked for, as it stands."""

    object: Literal["job"] = "job"
    id: str
    name: str | None
    family: str
    dataset: str
    state: JobState
    state_reason: Annotated[str | None, Field(description="Why it is in this state, where there is more to say.")]
    spec: Annotated[Json, Field(description="Every knob, those left out filled in.")]
    origin: Annotated[
        Json | None, Field(description="The `job` and `step` whose checkpoint it begins with, and `how`; null: none.")
    ]
    numerics: Annotated[
        Json | None, Field(description="What else fixes the numbers: data digest, `numerics_version`, …")
    ]
    progress: Progress
    metrics: Annotated[dict[str, float | None], Field(description="The newest value of each; null: not finite.")]
    queue_position: Annotated[int | None, Field(description="1 is claimed next; null when it does not wait.")]
    latest_checkpoint: MilestoneDocument | None
    best_checkpoint: Annotated[
        MilestoneDocument | None,
        Field(
            description="The lowest on validation in the figure that its family is judged by, where any was measured."
        ),
    ]
    health: Annotated[
        Health | None, Field(description="How the training goes, as it was last judged; null before that.")
    ]
    attempt: Annotated[int, Field(description="Which try this is, counted since the newest checkpoint.")]
    max_attempts: int
    error: FailureDocument | None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    tags: dict[str, str]
    urls: JobUrls

    @classmethod
    def of(
        cls, job: Job, queue_position: int | None, latest: Milestone | None, best: Milestone | None
    ) -> "JobDocument":
        """Describe a job."""
        here = f"/jobs/{job.id}"
        parts = ("metrics", "events", "checkpoints", "previews", "logs", "pause", "resume", "cancel", "retry", "extend")
        urls = {"self": here, "sample": f"/sample?job={job.id}", **{part: f"{here}/{part}" for part in parts}}
        same = set(cls.model_fields) & set(Job.__dataclass_fields__)
        return cls.model_validate(
            {
                **{name: getattr(job, name) for name in same},
                "progress": _progress(job),
                "queue_position": queue_position,
                "latest_checkpoint": MilestoneDocument.of(job.id, latest),
                "best_checkpoint": MilestoneDocument.of(job.id, best),
                "urls": urls,
            }
        )


class EventDocument(BaseModel):
    """One thing that happened to a job."""

    object: Literal["event"] = "event"
    id: Annotated[int, Field(description="Rises with time; what a list is resumed from.")]
    type: str
    data: Json
    at: datetime

    @classmethod
    def of(cls, event: Event) -> "EventDocument":
        """Describe an event."""
        return cls(id=event.seq, type=event.type, data=dict(event.data), at=event.at)


class AttemptDocument(BaseModel):
    """One worker's try at a job."""

    object: Literal["attempt"] = "attempt"
    id: Annotated[int, Field(description="Rises with time; what a list is resumed from.")]
    number: Annotated[int, Field(description="Which try it was, counted since the newest checkpoint.")]
    worker: str
    started_at: datetime
    ended_at: Annotated[datetime | None, Field(description="Null while it goes on.")]
    state: Annotated[JobState | None, Field(description="What it left the job in.")]
    log: Annotated[str, Field(description="The end of what its process said, a traceback included.")]

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptDocument":
        """Describe an attempt."""
        return cls.model_validate({**vars(attempt), "id": attempt.token, "worker": attempt.worker_id})


class PointDocument(BaseModel):
    """One value of a metric."""

    step: int
    value: Annotated[float | None, Field(description="Null where the number was not finite.")]


class SeriesDocument(BaseModel):
    """The curve of one metric."""

    object: Literal["series"] = "series"
    name: str
    points: Annotated[list[PointDocument], Field(description="In order of step.")]
    total_points: Annotated[int, Field(description="How many there are before thinning.")]


def _progress(job: Job) -> Progress:
    speed = job.images_per_second
    running = job.state in (JobState.RUNNING, JobState.PAUSING)
    left = (job.total_steps - job.step) * job.spec["batch_size"]
    return Progress(
        step=job.step,
        total_steps=job.total_steps,
        fraction=job.step / job.total_steps,
        images_per_second=speed,
        eta_seconds=round(left / speed, 1) if running and speed else None,
    )
