"""`/classify` and `/score`: what a trained discriminator makes of images that are sent to it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.responses import Response

from app.documents.responses import headers, problems
from app.parameters import LabelShown, SourceWanted
from app.requests import WholeBody
from app.resources import Held, Reading
from app.serving import choices, readings, uploads
from app.serving.cards import CLASSES, SCORES, Card
from app.serving.choices import Chosen
from app.serving.documents import ClassificationDocument, ScoreDocument
from store.checkpoints import Checkpoint

router = APIRouter(tags=["sample"])

EXAMPLE = (  # the first of scikit-learn's digits, a zero of 8 by 8 pixels
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAARklEQVR42gXBYRVAMBgAwHt7/vsiaGCaLIJGIqyCBp4EI4E1III7"
    "lLYFaG99i0Gelh55T+LqbpI4GUm+WeQP01PqAdZW8QOg+BHx1aT2vAAAAABJRU5ErkJggg=="
)
BINARY = {"schema": {"type": "string", "format": "binary"}}
UPLOAD: Mapping[str, Any] = {  # Any: an OpenAPI document
    "requestBody": {
        "description": "One image as it is, or several in base64.",
        "required": True,
        "content": {
            uploads.JSON: {
                "schema": {"$ref": "#/components/schemas/ImagesDocument"},
                "example": {"images": [EXAMPLE]},
            },
            **dict.fromkeys(uploads.READERS, BINARY),
        },
    }
}
ANSWERED = headers(
    X_Checkpoint_Step="The step of the checkpoint that answered.", X_Job_ID="The job of that checkpoint."
)
ContentType = Annotated[str | None, Header(include_in_schema=False)]


@router.post(
    "/classify",
    summary="Classify images",
    response_model=ClassificationDocument,
    responses={
        200: {"description": "Each label's probability.", "headers": ANSWERED},
        **problems(400, 404, 409, 410, 413, 415),
    },
    openapi_extra=dict(UPLOAD),
)
def classify(
    body: WholeBody,
    connection: Reading,
    held: Held,
    source: SourceWanted,
    content_type: ContentType = None,
) -> Response:
    """Tell what images show, by the class head of a trained discriminator or by a trained classifier.

    Send PNG, JPEG or WebP of exactly the model's size. Color becomes grey where the model is; what is transparent
    becomes black.
    """
    images = uploads.read(body, content_type)
    chosen = choices.choose(connection, source, CLASSES)
    look = partial(readings.classify, held.graphs, chosen.job, images=images)
    return _answer(connection, chosen, CLASSES, look)


@router.post(
    "/score",
    summary="Score images",
    response_model=ScoreDocument,
    responses={
        200: {"description": "How real each looks.", "headers": ANSWERED},
        **problems(400, 404, 409, 410, 413, 415),
    },
    openapi_extra=dict(UPLOAD),
)
def score(
    body: WholeBody,
    connection: Reading,
    held: Held,
    source: SourceWanted,
    label: LabelShown = None,
    content_type: ContentType = None,
) -> Response:
    """Tell how real images look to a trained discriminator, given a `label` where it asks for one.

    Send PNG, JPEG or WebP of exactly the model's size. Color becomes grey where the model is; what is transparent
    becomes black.
    """
    images = uploads.read(body, content_type)
    chosen = choices.choose(connection, source, SCORES)
    look = partial(readings.score, held.graphs, chosen.job, images=images, label=label)
    return _answer(connection, chosen, SCORES, look)


def _answer(connection: Connection, chosen: Chosen, what: str, look: Callable[[Checkpoint], BaseModel]) -> Response:
    """Let the newest checkpoint that is able to look at the images, or the one asked for."""
    job = chosen.job

    def ask(checkpoint: Checkpoint) -> Response:
        choices.check_able(job, Card.of(checkpoint).serves, what)
        told = {"X-Checkpoint-Step": str(checkpoint.step), "X-Job-ID": job.id}
        return Response(look(checkpoint).model_dump_json(), headers=told, media_type="application/json")

    return choices.answer(job, choices.candidates(connection, chosen, what), ask)
