"""What may stand in a path, a query or a header: named types with their limits, meanings and examples."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Path, Query, Request
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BeforeValidator, Field

from app.inputs import one_of, shown
from app.patterns import FILE_NAME, KEY, SLUG, TEXT, UUID
from app.refusals import InputRefused
from app.serving.choices import Source
from ganmodels.specs import DATASETS, FAMILIES
from store.lifecycle import JobState

WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")
DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,18})?")
MOST = 2**53 - 1  # the largest integer every JSON reader keeps; databases hold more
MOST_SCALE = 32
KNOWN: dict[Callable[..., Any], dict[str, bool]] = {}  # Any: a route's function → its query parameters


def _whole(value: object) -> object:
    """Refuse what Python reads as an integer and nobody else would: `1_000`, ` 7`, `1.0`."""
    if isinstance(value, str) and not WHOLE.fullmatch(value):
        raise ValueError("Should be a whole number in plain digits")
    return value


def _decimal(value: object) -> object:
    """Refuse what Python reads as a number and nobody else would: `1_0`, ` 1`, `nan`."""
    if isinstance(value, str) and not DECIMAL.fullmatch(value):
        raise ValueError("Should be a number in plain digits, such as 0.5")
    return value


def _family(value: str) -> str:
    if value not in FAMILIES:
        raise ValueError(f"There is no family {shown(value)}. {one_of(value, FAMILIES)}")
    return value


def _dataset(value: str) -> str:
    if value not in DATASETS:
        raise ValueError(f"There is no data set {shown(value)}. {one_of(value, DATASETS)}")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Decimal = Annotated[float, BeforeValidator(_decimal)]

JobId = Annotated[str, Path(pattern=UUID, description="The job's id, a lower-case UUID.")]
StepPath = Annotated[Whole, Path(ge=0, le=MOST, description="The step it was written at.")]
FamilyPath = Annotated[str, Path(pattern=SLUG, description="The family's name.", examples=["dcgan"])]
FilePath = Annotated[
    str,
    Path(pattern=FILE_NAME, description="A key of the checkpoint's `files`.", examples=["card.json"]),
]

KeyId = Annotated[str, Path(pattern=UUID, description="The key's id, a lower-case UUID.")]
ModelPath = Annotated[str, Path(pattern=SLUG, description="The model's name.", examples=["digits"])]

StateFilter = Annotated[JobState | None, Query(description="Only jobs in this state.", examples=["running"])]
FamilyFilter = Annotated[
    Annotated[str, AfterValidator(_family)] | None,
    Query(description="Only jobs of this family.", json_schema_extra={"enum": [*FAMILIES, None]}),
]
DatasetFilter = Annotated[
    Annotated[str, AfterValidator(_dataset)] | None,
    Query(description="Only jobs that learn this data set.", json_schema_extra={"enum": [*DATASETS, None]}),
]
NameFilter = Annotated[
    str | None, Query(min_length=1, max_length=100, pattern=TEXT, description="Only jobs of exactly this name.")
]
AfterJob = Annotated[
    str | None,
    Query(pattern=UUID, description="Begin after the job of this id: the `last_id` of the page before."),
]
AfterKey = Annotated[
    str | None,
    Query(pattern=UUID, description="Begin after the key of this id: the `last_id` of the page before."),
]
AfterChange = Annotated[
    Whole | None, Query(ge=0, le=MOST, description="Begin below this id: the `last_id` of the page before.")
]
AfterStep = Annotated[
    Whole | None, Query(ge=0, le=MOST, description="Begin below this step: the `last_id` of the page before.")
]
AfterName = Annotated[
    str | None,
    Query(pattern=SLUG, description="Begin after the model of this name: the `last_id` of the page before."),
]
AfterEvent = Annotated[
    Whole, Query(ge=0, le=MOST, description="Begin after the event of this id: the `last_id` of the page before.")
]
AfterAttempt = Annotated[
    Whole, Query(ge=0, le=MOST, description="Begin after the attempt of this id: the `last_id` of the page before.")
]
LastEventId = Annotated[
    Whole | None,
    Header(ge=0, le=MOST, description="Of a stream that is taken up again: the id of the last event seen."),
]
Limit = Annotated[Whole, Query(ge=1, le=100, description="How many a page may hold.")]

LabelWanted = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=TEXT,
        description="A label's index or name. Left out, a generator that takes labels draws one per image.",
        examples=["7"],
    ),
]
LabelShown = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=TEXT,
        description="The index or name of the label that the images are to show, for a discriminator that asks for it.",
        examples=["7"],
    ),
]
JobWanted = Annotated[
    str | None,
    Query(
        pattern=UUID,
        description="The job that answers. Without it or `model`: the model `default`, else the newest job that can.",
    ),
]
ModelWanted = Annotated[
    str | None, Query(pattern=SLUG, description="The model that answers, by its name: see `PUT /models/{name}`.")
]
StepWanted = Annotated[
    Annotated[Whole, Field(ge=0, le=MOST)] | Literal["latest", "best"] | None,
    Query(
        description="Which checkpoint: `latest`, `best` (on validation), or a step to go back to. Left out, what the "
        "model stands for, `latest` of a job."
    ),
]


async def _source(job: JobWanted = None, model: ModelWanted = None, step: StepWanted = None) -> Source:
    return Source(job, model, step)


SourceWanted = Annotated[Source, Depends(_source)]
Scale = Annotated[
    Whole, Query(ge=1, le=MOST_SCALE, description="Enlarge each pixel to a square of so many; not for `npz`.")
]

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=KEY,
        description="Makes it safe to post again: the same key and body answer with the same job, and start no second.",
        examples=["digits-2025-11-21"],
    ),
]
IfNoneMatch = Annotated[str | None, Header(description="The `ETag` of the copy at hand; 304 when it is still good.")]


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not know, or that stands there twice: nobody means either."""
    route = request.scope["route"]
    known = _known(route) if isinstance(route, APIRoute) else {}
    for name in request.query_params:
        if name not in known:
            allowed = one_of(name, known) if known else "This takes none."
            raise InputRefused(f"/{name}", f"There is no such parameter. {allowed}")
        if not known[name] and len(request.query_params.getlist(name)) > 1:
            raise InputRefused(f"/{name}", "This may be given once.")


def _known(route: APIRoute) -> dict[str, bool]:
    """Return the names of a route's query parameters, and whether each may be repeated."""
    if route.endpoint not in KNOWN:  # to ask types what they are takes longer than to answer many a request
        KNOWN[route.endpoint] = {
            field.alias: "list[" in str(field.field_info.annotation) for field in _query_fields(route.dependant)
        }
    return KNOWN[route.endpoint]


def _query_fields(dependant: Dependant) -> list[ModelField]:
    return [*dependant.query_params, *(field for inner in dependant.dependencies for field in _query_fields(inner))]
