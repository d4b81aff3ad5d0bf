"""`/metrics`: what the service does, for Prometheus."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from app.documents.responses import problems
from app.telemetry import Telemetry

router = APIRouter(tags=["health"])

TEXT = {"text/plain": {"schema": {"type": "string"}}}


@router.get(
    "/metrics",
    summary="Tell Prometheus what the service does",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format.", "content": TEXT}, **problems()},
)
def read_telemetry(request: Request) -> Response:
    """Return this process's requests and drawings, and the whole service's jobs and workers while its database answers.

    Without the database `ganymede_database_up` is 0, and jobs and workers are left out.
    """
    telemetry: Telemetry = request.app.state.telemetry
    return Response(telemetry.text(), media_type=CONTENT_TYPE_LATEST)
