"""`/models`: names that serve, each for a job and one of its checkpoints."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from app.access import By
from app.documents.checkpoints import ModelDocument
from app.documents.pages import Page
from app.documents.responses import headers, problems
from app.parameters import MOST, AfterName, Limit, ModelPath
from app.patterns import UUID
from app.refusals import InputRefused
from app.resources import Reading, Writing
from store import aliases, audit, checkpoints
from store.aliases import Alias
from store.errors import CheckpointNotFound, CheckpointPruned, JobNotFound

router = APIRouter(tags=["models"])


class Target(BaseModel):
    """What a name is to stand for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    job: Annotated[str, Field(pattern=UUID, description="The id of a job.")]
    step: Annotated[
        Annotated[int, Field(ge=0, le=MOST)] | Literal["latest", "best"],
        Field(description="Which checkpoint: `latest` as training goes on, `best` (on validation), or one for good."),
    ] = "latest"


NEW = {
    "description": "The name is new.",
    "model": ModelDocument,
    "headers": headers(Location="Where to read what it stands for."),
}


@router.put(
    "/models/{name}",
    summary="Give a model its name",
    responses={200: {"description": "The name was moved."}, 201: NEW, **problems(400, 413, 415)},
)
def put_model(connection: Writing, by: By, name: ModelPath, target: Target, response: Response) -> ModelDocument:
    """Let a name stand for a job and one of its checkpoints, in one move from whatever it stood for.

    `GET /sample?model=<name>` answers from there on; the model `default` also where neither job nor model is named.
    Neither the job nor a step that has a name is removed.
    """
    try:
        new = aliases.put(connection, name, target.job, target.step)
    except JobNotFound as missing:
        raise InputRefused("/job", f"There is {missing}.") from missing
    except (CheckpointNotFound, CheckpointPruned) as missing:
        raise InputRefused("/step", f"Job {target.job}: {missing}.") from missing
    audit.append(connection, by, "model.put", name)
    if new:
        response.status_code, response.headers["Location"] = 201, f"/models/{name}"
    return _describe(connection, aliases.get(connection, name))


@router.get("/models", summary="List models", responses=problems())
def list_models(connection: Reading, after: AfterName = None, limit: Limit = 20) -> Page[ModelDocument, str]:
    """Return the names that serve, in their order."""
    found, has_more = aliases.page(connection, after, limit)
    return Page.of([_describe(connection, alias) for alias in found], [alias.name for alias in found], has_more)


@router.get("/models/{name}", summary="Read one model", responses=problems(404))
def read_model(connection: Reading, name: ModelPath) -> ModelDocument:
    """Return what a name stands for."""
    return _describe(connection, aliases.get(connection, name))


@router.delete(
    "/models/{name}",
    status_code=204,
    summary="Delete a model",
    responses={204: {"description": "The name stands for nothing."}, **problems(404)},
)
def delete_model(connection: Writing, by: By, name: ModelPath) -> None:
    """Forget a name; the job that it stood for stays, and its checkpoints as long as retention keeps them."""
    aliases.remove(connection, name)
    audit.append(connection, by, "model.delete", name)


def _describe(connection: Connection, alias: Alias) -> ModelDocument:
    try:
        checkpoint = checkpoints.chosen(connection, alias.job_number, alias.step)
    except (CheckpointNotFound, CheckpointPruned):
        checkpoint = None
    return ModelDocument.of(alias, checkpoint)
