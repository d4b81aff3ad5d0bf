"""What the API answers: one document per noun, its fields described, and the statuses that go with it."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from app.errors import MEDIA_TYPE
from app.serving.documents import ImagesDocument, SampleDocument
from ganmodels.specs import FAMILIES, SPEC, FamilyFacts
from store.aliases import Alias, Step
from store.attempts import Attempt
from store.audit import Entry
from store.checkpoints import Checkpoint, Milestone
from store.events import Event
from store.jobs import Job
from store.keys import Key, Scope
from store.lifecycle import JobState
from store.previews import Preview
from store.workers import Worker

Json = dict[str, Any]  # Any: JSON whose shape the family decides
Url = Annotated[str, Field(description="A path on this server.")]


class Fault(BaseModel):
    """One place in the input that is wrong."""

    pointer: Annotated[str, Field(description="JSON pointer into the body, or `/` and a parameter's name.")]
    detail: Annotated[str, Field(description="What was found and what is allowed.")]


class Check(BaseModel):
    """Whether one part of the service works."""

    ok: bool
    detail: str


class Problem(BaseModel):
    """Why a request was not answered as hoped (RFC 9457)."""

    type: Annotated[str, Field(description="What happened, for programs.")]
    title: Annotated[str, Field(description="What happened, for people.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What was found and what would do.")]
    request_id: Annotated[str, Field(description="The answer's `X-Request-ID`, by which the log knows it.")]
    errors: Annotated[list[Fault], Field(description="For wrong input: each place.")] = []
    state: Annotated[JobState | None, Field(description="For what its state forbids: where the job stands.")] = None
    allowed: Annotated[
        list[JobState], Field(description="For what its state forbids: where it could go, or would have to be.")
    ] = []
    checks: Annotated[dict[str, Check], Field(description="For a service that is not ready: each part.")] = {}


MEANINGS: Mapping[int, str] = {
    304: "The copy at hand is still good.",
    400: "The body is declared as JSON and is none.",
    401: "No API key came, or one that is not good.",
    403: "The API key lacks the scope that the operation needs; without keys, a page of another site asks.",
    404: "Nothing has this id, or it has no such part.",
    409: "Not in the state that the job is in, or not while another job or a model needs it.",
    410: "It existed and was removed by retention.",
    413: "The body, or an image in it, is too large.",
    415: "The body is not declared as what is read here.",
    421: "Where no key is needed: `Host` is not this machine's own.",
    422: "A parameter or field is wrong; `errors` names it and says what is allowed.",
    429: "The API key has used what it may, has as many unfinished jobs as it may, or is one of too many unknown.",
    500: "A fault of the service.",
    503: "The database does not answer, a stored file is damaged, a part is missing, or no image is sure enough.",
}

Responses = dict[int | str, Json]


def problems(*statuses: int) -> Responses:
    """Describe the unsuccessful answers of a route; wrong input and our own faults can happen on all of them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: Responses = {
        status: {"description": MEANINGS[status], "content": content} for status in sorted({*statuses, 422, 500, 503})
    }
    seconds = {"description": "Seconds after which asking again makes sense.", "schema": {"type": "integer"}}
    for status in {409, 429} & answers.keys():
        answers[status] = {**answers[status], "headers": {"Retry-After": seconds}}
    return answers


def headers(**described: str) -> Json:
    """Describe the headers of an answer: `headers(ETag="…", X_Seed="…")`."""
    return {
        name.replace("_", "-"): {"description": text, "schema": {"type": "string"}} for name, text in described.items()
    }


Item = TypeVar("Item")
Id = TypeVar("Id")


class Page(BaseModel, Generic[Item, Id]):
    """One page of a list. Ask for the next with `after=<last_id>` while `has_more`."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool
    first_id: Id | None
    last_id: Id | None


def page(data: list[Item], ids: list[Id], has_more: bool) -> Page[Item, Id]:
    """Build a page of items and their ids."""
    return Page(data=data, has_more=has_more, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None)


class Progress(BaseModel):
    """How far a job has come."""

    step: Annotated[int, Field(description="Generator updates made.")]
    total_steps: Annotated[int, Field(description="Generator updates asked for.")]
    fraction: Annotated[float, Field(ge=0, description="`step / total_steps`.")]
    images_per_second: Annotated[float | None, Field(description="Real images seen in a second, while known.")]
    eta_seconds: Annotated[float | None, Field(description="Seconds to the end at this speed, while it runs.")]


class MilestoneDocument(BaseModel):
    """A checkpoint worth knowing."""

    step: int
    created_at: datetime
    url: Url


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
                "latest_checkpoint": _milestone(job.id, latest),
                "best_checkpoint": _milestone(job.id, best),
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


class FileDocument(BaseModel):
    """One file of a checkpoint."""

    sha256: str
    size: Annotated[int, Field(description="Bytes.")]
    url: Url


class CheckpointDocument(BaseModel):
    """What can be resumed and served."""

    object: Literal["checkpoint"] = "checkpoint"
    step: int
    created_at: datetime
    metrics: Annotated[dict[str, float | None], Field(description="The metrics at this step.")]
    files: dict[str, FileDocument]
    card: Annotated[
        Json,
        Field(description="What it says of itself: family, spec, data set, labels, latent, image, what it serves."),
    ]
    url: Url

    @classmethod
    def of(cls, job_id: str, checkpoint: Checkpoint) -> "CheckpointDocument":
        """Describe a checkpoint."""
        url = f"/jobs/{job_id}/checkpoints/{checkpoint.step}"
        files = {
            name: FileDocument(sha256=file["sha256"], size=file["size"], url=f"{url}/files/{name}")
            for name, file in checkpoint.files.items()
        }
        return cls(
            step=checkpoint.step,
            created_at=checkpoint.created_at,
            metrics=dict(checkpoint.metrics),
            files=files,
            card=dict(checkpoint.card),
            url=url,
        )


class PreviewDocument(BaseModel):
    """The same fixed noise, drawn at one step."""

    object: Literal["preview"] = "preview"
    step: int
    width: Annotated[int, Field(description="Pixels.")]
    height: Annotated[int, Field(description="Pixels.")]
    sha256: str
    score: Annotated[
        float | None,
        Field(description="How real the images look to the discriminator: the mean probability that it gives them."),
    ]
    created_at: datetime
    url: Url

    @classmethod
    def of(cls, job_id: str, preview: Preview) -> "PreviewDocument":
        """Describe a preview."""
        same = set(cls.model_fields) & set(Preview.__dataclass_fields__)
        shown = {name: getattr(preview, name) for name in same}
        return cls.model_validate({**shown, "url": f"/jobs/{job_id}/previews/{preview.step}.png"})


class ModelDocument(BaseModel):
    """A name that serves."""

    object: Literal["model"] = "model"
    name: str
    job: Annotated[str, Field(description="The id of the job that it stands for.")]
    step: Annotated[Step, Field(description="Which checkpoint of that job: `latest`, `best` or that of a step.")]
    checkpoint: Annotated[
        MilestoneDocument | None, Field(description="The checkpoint that this is now; null while there is none.")
    ]
    updated_at: Annotated[datetime, Field(description="When the name was last given.")]
    url: Url

    @classmethod
    def of(cls, alias: Alias, checkpoint: Checkpoint | None) -> "ModelDocument":
        """Describe an alias."""
        now = _milestone(alias.job, checkpoint)
        return cls.model_validate({**vars(alias), "checkpoint": now, "url": f"/models/{alias.name}"})


class KeyDocument(BaseModel):
    """An API key; its secret is told once, when it is made."""

    object: Literal["key"] = "key"
    id: str
    name: str
    prefix: Annotated[str, Field(description="The first characters of its secret, to tell keys apart by.")]
    scopes: list[Scope]
    requests_per_minute: int
    images_per_day: int
    unfinished_jobs: int
    created_at: datetime
    expires_at: Annotated[datetime | None, Field(description="Null: it is good until it is revoked.")]
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: Key) -> "KeyDocument":
        """Describe a key."""
        return cls.model_validate({**vars(key), "scopes": list(key.scopes)})


class NewKeyDocument(KeyDocument):
    """An API key that was just made."""

    secret: Annotated[str, Field(description="What goes after `Bearer`. It is told now and never again.")]


class ChangeDocument(BaseModel):
    """One thing that was changed."""

    object: Literal["change"] = "change"
    id: Annotated[int, Field(description="Rises with time; what a list is resumed from.")]
    at: datetime
    key: Annotated[str | None, Field(description="The id of the key that asked for it; null: none was needed.")]
    action: Annotated[str, Field(description="What was done: `job.post`, `model.put`, `key.revoke`, …")]
    target: Annotated[str, Field(description="To what: the id of a job or key, or a model's name.")]
    request_id: Annotated[str | None, Field(description="The `X-Request-ID` of the answer; null: the command line.")]

    @classmethod
    def of(cls, entry: Entry) -> "ChangeDocument":
        """Describe an entry of the audit."""
        return cls.model_validate({**vars(entry), "id": entry.seq, "key": entry.key_id})


class FamilyDocument(BaseModel):
    """A kind of GAN that can be asked for."""

    object: Literal["family"] = "family"
    name: str
    title: str
    paper: str
    paper_url: str
    serves: Annotated[
        list[str], Field(description="What a checkpoint can answer; `labels` only where the spec's knobs ask for it.")
    ]
    defaults: Annotated[dict[str, Json], Field(description="Every knob's default, by preset.")]
    spec_schema: Annotated[Json, Field(description="JSON Schema of the spec that `POST /jobs` takes.")]
    url: Url

    @classmethod
    def of(cls, name: str, facts: FamilyFacts) -> "FamilyDocument":
        """Describe a family."""
        return cls(
            name=name,
            title=facts.title,
            paper=facts.paper,
            paper_url=facts.url,
            serves=list(facts.serves),
            defaults={preset: _defaults(name, preset) for preset in ("quick", "paper")},
            spec_schema=facts.spec.model_json_schema(),
            url=f"/families/{name}",
        )


class WorkerDocument(BaseModel):
    """A process that trains."""

    object: Literal["worker"] = "worker"
    id: str
    host: str
    pid: int
    device: str
    started_at: datetime
    seen_at: datetime
    job_id: Annotated[str | None, Field(description="The job it holds.")]

    @classmethod
    def of(cls, worker: Worker) -> "WorkerDocument":
        """Describe a worker."""
        return cls.model_validate(vars(worker))


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether requests can be answered, and how each part is. Without the doorbell jobs start later, not never."""

    status: Literal["ready", "degraded"]
    checks: dict[str, Check]


def schemas() -> Json:
    """Return the JSON Schemas that routes only point at."""
    named = (Problem, SampleDocument, ImagesDocument)
    _, described = models_json_schema(
        [(model, "serialization") for model in named], ref_template="#/components/schemas/{model}"
    )
    found: Json = described["$defs"]
    return found


@cache
def family(name: str) -> FamilyDocument:
    """Describe the family of this name."""
    return FamilyDocument.of(name, FAMILIES[name])


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


def _milestone(job_id: str, found: Milestone | Checkpoint | None) -> MilestoneDocument | None:
    if found is None:
        return None
    url = f"/jobs/{job_id}/checkpoints/{found.step}"
    return MilestoneDocument(step=found.step, created_at=found.created_at, url=url)


def _defaults(name: str, preset: str) -> Json:
    knobs = SPEC.validate_python({"family": name, "preset": preset}).model_dump(mode="json")
    return {knob: value for knob, value in knobs.items() if knob not in ("family", "preset")}
