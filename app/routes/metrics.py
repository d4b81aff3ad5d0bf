"""`/jobs/{id}/metrics`: the curves of a job, as JSON or CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from app.accepts import prefers
from app.documents.jobs import PointDocument, SeriesDocument
from app.documents.pages import Page
from app.documents.responses import headers, problems
from app.parameters import MOST, JobId, Whole
from app.patterns import TEXT
from app.refusals import InputRefused
from app.resources import Reading
from store import jobs, metrics
from store.jobs import Job

router = APIRouter(tags=["jobs"])

MetricName = Annotated[str, Query(min_length=1, max_length=64, pattern=TEXT)]
Names = Annotated[
    list[MetricName] | None, Query(max_length=50, description="Only these, repeated for more; all when left out.")
]
FromStep = Annotated[Whole, Query(ge=0, le=MOST, description="Leave out earlier steps.")]
AfterName = Annotated[
    str | None,
    Query(
        max_length=64,
        pattern=TEXT,
        description="Begin after the metric of this name: the `last_id` of the page before.",
    ),
]
Series = Annotated[Whole, Query(ge=1, le=100, description="How many series a page may hold where no `name` is given.")]
MaxPoints = Annotated[
    Whole,
    Query(ge=2, le=10_000, description="Thin each curve to so many points; its ends, lows and highs are kept."),
]
Form = Annotated[
    Literal["long", "epochs"],
    Query(
        description="`long`: a row for each value. `epochs`, for CSV alone: a row for each epoch and a column for each "
        "loss and accuracy, in training and in validation; never thinned."
    ),
]
EPOCH = "epoch"
COLUMNS: Mapping[str, str] = {  # of the wide form → the metric in it
    "epoch": EPOCH,
    "train_loss_D": "train_loss_d",
    "train_loss_G": "train_loss_g",
    "train_acc": "train_accuracy",
    "cv_loss_D": "validation_loss_d",
    "cv_loss_G": "validation_loss_g",
    "cv_acc": "validation_accuracy",
}
CSV = {"text/csv": {"schema": {"type": "string"}, "example": "name,step,value\nd_loss,100,0.62\n"}}


@router.get(
    "/jobs/{job_id}/metrics",
    summary="Read a job's metrics",
    response_model=Page[SeriesDocument, str],
    responses={
        200: {
            "description": "One series per metric, in the order of their names.",
            "content": CSV,
            "headers": headers(Link='Of CSV that has more: the next page, as `rel="next"`.'),
        },
        **problems(404),
    },
)
def read_metrics(
    connection: Reading,
    request: Request,
    job_id: JobId,
    name: Names = None,
    after: AfterName = None,
    limit: Series = 50,
    from_step: FromStep = 0,
    max_points: MaxPoints = 1000,
    form: Form = "long",
    accept: Annotated[str, Header(include_in_schema=False)] = "application/json",
) -> Response:
    """Return the job's curves. With `Accept: text/csv`, as rows of name, step and value, or one row for each epoch."""
    job = jobs.get(connection, job_id)
    vary = {"Vary": "Accept"}
    if form == "epochs":
        return Response(_epochs(connection, job, name, from_step, accept), headers=vary, media_type="text/csv")
    wanted, has_more = list(dict.fromkeys(name or ())), False
    if not wanted:
        wanted, has_more = metrics.names(connection, job.number, after or "", limit)
    elif after is not None:
        raise InputRefused("/after", "Series asked for by `name` are on one page; leave `after` out.")
    series = [_series(connection, job.number, each, from_step, max_points) for each in wanted]
    if prefers(accept, "text/csv"):
        following = request.url.include_query_params(after=wanted[-1]) if has_more else None
        link = {"Link": f'<{following.path}?{following.query}>; rel="next"'} if following else {}
        return Response(_csv(series), headers=vary | link, media_type="text/csv")
    body = Page.of(series, wanted, has_more).model_dump_json()
    return Response(body, headers=vary, media_type="application/json")


def _epochs(connection: Connection, job: Job, names: Sequence[str] | None, from_step: int, accept: str) -> str:
    """Write one row for each step at which an epoch ended; a cell is empty where its metric has no value there."""
    if not prefers(accept, "text/csv"):
        raise InputRefused("/form", "The form by epochs is CSV alone; ask for it with `Accept: text/csv`.")
    if names is not None:
        raise InputRefused("/name", "The form by epochs has columns of its own; leave `name` out.")
    values = {
        column: {point.step: point.value for point in metrics.series(connection, job.number, metric, from_step)}
        for column, metric in COLUMNS.items()
    }
    if not metrics.series(connection, job.number, EPOCH):
        raise InputRefused("/form", f"Job {job.id} ({job.family}) counts no epochs; leave `form` out.")
    rows = [[_cell(values[column].get(step)) for column in COLUMNS] for step in values[EPOCH]]
    return _table([list(COLUMNS), *rows])


def _cell(value: float | None) -> float | int | None:
    """Write a whole number without its fraction, as epochs are counted."""
    return int(value) if value is not None and value.is_integer() else value


def _series(connection: Connection, job_number: int, name: str, from_step: int, most: int) -> SeriesDocument:
    points = metrics.series(connection, job_number, name, from_step)
    kept = [PointDocument(step=point.step, value=point.value) for point in metrics.thin(points, most)]
    return SeriesDocument(name=name, points=kept, total_points=len(points))


def _csv(series: Sequence[SeriesDocument]) -> str:
    rows = [[each.name, point.step, point.value] for each in series for point in each.points]
    return _table([["name", "step", "value"], *rows])


def _table(rows: Iterable[Sequence[object]]) -> str:
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue()
