"""What a supervisor and its child say to each other: JSON, one message a line, never pickle."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Json = dict[str, Any]  # Any: JSON
Verdict = Literal["healthy", "collapsing", "discriminator_dominates", "diverging"]


class Message(BaseModel):
    """One line. Losses that are not finite travel as the constants NaN and Infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Source(Message):
    """A checkpoint to go on from: where its files lie, and what they must digest to.

    `use` says whether a run goes on where that one was, or begins at step 0 with the weights of its networks.
    """

    owner: str  # the id of the job that wrote it
    use: Literal["state", "weights"] = "state"
    step: int
    folder: str
    files: Json


class Assignment(Message):
    """Told to the child once: train this job. `numerics` and `health` are what an earlier attempt found, if any did."""

    job_id: str
    token: int
    spec: Json
    numerics: Json | None
    health: Verdict | None = None
    sources: list[Source]  # newest first
    artifacts: str
    data_dir: str


class Resolved(Message):
    """The spec with every choice made for this machine, and what else fixes the numbers."""

    kind: Literal["resolved"] = "resolved"
    spec: Json
    numerics: Json


class Damaged(Message):
    """A checkpoint that could not be resumed from."""

    kind: Literal["damaged"] = "damaged"
    owner: str
    step: int
    reason: str


class Began(Message):
    """Training goes on from `step`."""

    kind: Literal["began"] = "began"
    step: int


class Progress(Message):
    """Points of metrics in order of step; none of them when only the step moved on."""

    kind: Literal["progress"] = "progress"
    step: int
    points: list[tuple[int, dict[str, float]]] = []
    images_per_second: float | None = None


class CheckpointWritten(Message):
    """A checkpoint whose files are all in place."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    folder: str
    files: Json
    card: Json


class PreviewWritten(Message):
    """A preview that is in place."""

    kind: Literal["preview"] = "preview"
    step: int
    path: str
    sha256: str
    width: int
    height: int
    score: float | None


class HealthChanged(Message):
    """The run is judged otherwise than before."""

    kind: Literal["health"] = "health"
    verdict: Verdict
    step: int
    reasons: list[str]


class RolledBack(Message):
    """Training goes on from an earlier step with fresh noise, since a number was not finite."""

    kind: Literal["rolled_back"] = "rolled_back"
    step: int
    left: int
    rollbacks: int
    reason: str


class Noted(Message):
    """Something worth an event."""

    kind: Literal["noted"] = "noted"
    type: str
    data: Json


class Ended(Message):
    """The last step is done and everything is written; `reason` says why there are no more, where it was not all."""

    kind: Literal["ended"] = "ended"
    reason: str | None = None


class Stopped(Message):
    """Stopped as told, with a checkpoint where there was a step to keep."""

    kind: Literal["stopped"] = "stopped"
    step: int


class Failed(Message):
    """The attempt cannot go on. `code` is for programs, `message` for people."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    step: int
    retryable: bool


Report = (
    Resolved
    | Damaged
    | Began
    | Progress
    | CheckpointWritten
    | PreviewWritten
    | HealthChanged
    | RolledBack
    | Noted
    | Ended
    | Stopped
    | Failed
)
REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])
