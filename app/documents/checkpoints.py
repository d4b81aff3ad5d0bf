"""Checkpoints, previews, and the names that serve."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.documents.responses import Json
from store.aliases import Alias, Step
from store.checkpoints import Checkpoint, Milestone
from store.previews import Preview

Url = Annotated[str, Field(description="A path on this server.")]


class MilestoneDocument(BaseModel):
    """A checkpoint worth knowing."""

    step: int
    created_at: datetime
    url: Url

    @classmethod
    def of(cls, job_id: str, found: Milestone | Checkpoint | None) -> "MilestoneDocument | None":
        """Describe a checkpoint, where there is one."""
        if found is None:
            return None
        return cls(step=found.step, created_at=found.created_at, url=f"/jobs/{job_id}/checkpoints/{found.step}")


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
        now = MilestoneDocument.of(alias.job, checkpoint)
        return cls.model_validate({**vars(alias), "checkpoint": now, "url": f"/models/{alias.name}"})
