"""What the service can train, who trains, and whether it works."""

from datetime import datetime
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.documents.checkpoints import Url
from app.documents.responses import Check, Json
from ganmodels.specs import FAMILIES, SPEC
from store.workers import Worker


class FamilyDocument(BaseModel):
    """A kind of GAN that can be asked for."""

    object: Literal["family"] = "family"
    name: str
    title: str
    paper: str
    paper_url: str
    serves: Annotated[
        list[str], Field(description="What a checkpoint can answer at most; a spec's knobs may ask for less.")
    ]
    defaults: Annotated[dict[str, Json], Field(description="Every knob's default, by preset.")]
    spec_schema: Annotated[Json, Field(description="JSON Schema of the spec that `POST /jobs` takes.")]
    url: Url

    @classmethod
    @cache
    def of(cls, name: str) -> "FamilyDocument":
        """Describe the family of this name."""
        facts = FAMILIES[name]
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


def _defaults(name: str, preset: str) -> Json:
    knobs = SPEC.validate_python({"family": name, "preset": preset}).model_dump(mode="json")
    return {knob: value for knob, value in knobs.items() if knob not in ("family", "preset")}
