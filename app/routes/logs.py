"""`/jobs/{id}/logs`: the attempts at a job, and what their processes said."""

from fastapi import APIRouter

from app.documents.jobs import AttemptDocument
from app.documents.pages import Page
from app.documents.responses import problems
from app.parameters import AfterAttempt, JobId, Limit
from app.resources import Reading
from store import attempts, jobs

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}/logs", summary="Read a job's logs", responses=problems(404))
def read_logs(
    connection: Reading, job_id: JobId, after: AfterAttempt = 0, limit: Limit = 20
) -> Page[AttemptDocument, int]:
    """Return each worker's try at the job, oldest first: how it ended and the end of what it said, tracebacks too."""
    job = jobs.get(connection, job_id)
    found, has_more = attempts.page(connection, job.number, after, limit)
    return Page.of([AttemptDocument.of(one) for one in found], [one.token for one in found], has_more)
