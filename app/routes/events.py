"""`/jobs/{id}/events`: what happened to a job."""

from fastapi import APIRouter

from app import documents
from app.documents import EventDocument, Page, problems
from app.parameters import AfterEvent, JobId, Limit
from app.resources import Reading
from store import events, jobs

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}/events", summary="List a job's events", responses=problems(404))
def list_events(
    connection: Reading, job_id: JobId, after: AfterEvent = 0, limit: Limit = 100
) -> Page[EventDocument, int]:
    """Return what happened to the job, oldest first. The last event of a finished job is `done`."""
    job = jobs.get(connection, job_id)
    found, has_more = events.page(connection, job.number, after, limit)
    return documents.page([EventDocument.of(event) for event in found], [event.seq for event in found], has_more)
