"""`/jobs/{id}/metrics`: the curves of a job, as JSON or CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query
from sqlalchemy import Connection
from starlette.responses import Response

from app import documents
from app.documents import Page, PointDocument, SeriesDocument, problems
from app.parameters import MOST, JobId, Whole
from app.patterns import TEXT
from app.resources import Reading
from store import jobs, metrics

router = APIRouter(tags=["jobs"])

MetricName = Annotated[str, Query(min_length=1, max_length=64, pattern=TEXT)]
Names = Annotated[
    list[MetricName] | None, Query(max_length=50, description="Only these, repeated for more; all when left out.")
]
FromStep = Annotated[Whole, Query(ge=0, le=MOST, description="Leave out earlier steps.")]
MaxPoints = Annotated[
    Whole,
    Query(ge=2, le=10_000, description="Thin each curve to so many points; its ends, lows and highs are kept."),
]
CSV = {"text/csv": {"schema": {"type": "string"}, "example": "name,step,value\nd_loss,100,0.62\n"}}


@router.get(
    "/jobs/{job_id}/metrics",
    summary="Read a job's metrics",
    response_model=Page[SeriesDocument, str],
    responses={200: {"description": "One series per metric.", "content": CSV}, **problems(404)},
)
def read_metrics(
    connection: Reading,
    job_id: JobId,
    name: Names = None,
    from_step: FromStep = 0,
    max_points: MaxPoints = 1000,
    accept: Annotated[str, Header(include_in_schema=False)] = "application/json",
) -> Response:
    """Return the job's curves. With `Accept: text/csv`, as rows of name, step and value."""
    job = jobs.get(connection, job_id)
    wanted = list(dict.fromkeys(name)) if name else metrics.names(connection, job.number)
    series = [_series(connection, job.number, each, from_step, max_points) for each in wanted]
    vary = {"Vary": "Accept"}
    if prefers_csv(accept):
        return Response(_csv(series), headers=vary, media_type="text/csv")
    body = documents.page(series, wanted, has_more=False).model_dump_json()
    return Response(body, headers=vary, media_type="application/json")


def prefers_csv(accept: str) -> bool:
    """Tell whether an `Accept` header ranks CSV above JSON."""
    ranks: dict[str, float] = {}
    for item in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        ranks[kind] = _quality(parameters)
    return ranks.get("text/csv", 0) > ranks.get("application/json", 0)


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0
    return 1


def _series(connection: Connection, job_number: int, name: str, from_step: int, most: int) -> SeriesDocument:
    points = metrics.series(connection, job_number, name, from_step)
    kept = [PointDocument(step=point.step, value=point.value) for point in metrics.thin(points, most)]
    return SeriesDocument(name=name, points=kept, total_points=len(points))


def _csv(series: Sequence[SeriesDocument]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["name", "step", "value"])
    for each in series:
        writer.writerows([each.name, point.step, point.value] for point in each.points)
    return target.getvalue()
