"""Problems, and the descriptions of answers that routes share."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from app.errors import MEDIA_TYPE
from app.serving.documents import ImagesDocument, SampleDocument
from store.lifecycle import JobState

Json = dict[str, Any]  # Any: JSON whose shape the family decides


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


def schemas() -> Json:
    """Return the JSON Schemas that routes only point at."""
    named = (Problem, SampleDocument, ImagesDocument)
    _, described = models_json_schema(
        [(model, "serialization") for model in named], ref_template="#/components/schemas/{model}"
    )
    found: Json = described["$defs"]
    return found
