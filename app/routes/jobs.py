"""`/jobs`: posting, listing, reading, steering, carrying on and deleting training runs."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Body
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection
from starlette.responses import Response

from app.access import By
from app.conditional import entity_tag, is_fresh, not_modified
from app.documents.jobs import JobDocument
from app.documents.pages import Page
from app.documents.responses import MEANINGS, headers, problems
from app.parameters import (
    AfterJob,
    DatasetFilter,
    FamilyFilter,
    IdempotencyKey,
    IfNoneMatch,
    JobId,
    Limit,
    NameFilter,
    StateFilter,
)
from app.resources import Held, Reading, Writing
from ganmodels.specs import Spec, TotalSteps
from store import audit, checkpoints, jobs
from store.artifacts import job_folder
from store.jobs import Filters, Job
from store.lifecycle import JobState

router = APIRouter(tags=["jobs"])


class Further(BaseModel):
    """How far a finished job is to be trained."""

    model_config = ConfigDict(extra="forbid", strict=True)
    total_steps: TotalSteps


EXAMPLES = {
    "digits, by label": {
        "summary": "A convolutional GAN that learns MNIST's digits with their labels",
        "value": {"family": "dcgan", "conditional": True, "dataset": "mnist", "total_steps": 1500},
    },
    "a minute on any laptop": {
        "summary": "A small fully connected GAN on scikit-learn's digits, which need no download",
        "value": {"family": "cgan", "dataset": "digits", "total_steps": 2000, "name": "small digits"},
    },
    "as published": {
        "summary": "DCGAN with its paper's settings",
        "value": {"family": "dcgan", "preset": "paper", "dataset": "mnist", "tags": {"course": "week 3"}},
    },
}
POSTED = {
    "description": "The job waits for a worker.",
    "headers": headers(
        Location="Where to read the job.", Idempotency_Replayed="`true` where the key came before with the same body."
    ),
}


@router.post("/jobs", status_code=202, summary="Post a job", responses={202: POSTED, **problems(400, 413, 415)})
def post_job(
    spec: Annotated[Spec, Body(openapi_examples=EXAMPLES)],
    connection: Writing,
    by: By,
    held: Held,
    background: BackgroundTasks,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobDocument:
    """Ask for a training run. Knobs left out are filled in from the preset; a knob that is unknown is refused."""
    submission = jobs.submit(connection, spec, idempotency_key, by.key_id)
    response.headers["Location"] = f"/jobs/{submission.job.id}"
    if submission.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    else:
        audit.append(connection, by, "job.post", submission.job.id)
    background.add_task(held.caretaker.ring)  # after the commit: who is woken must find the job
    return _describe(connection, [submission.job])[0]


@router.get("/jobs", summary="List jobs", responses=problems())
def list_jobs(
    connection: Reading,
    state: StateFilter = None,
    family: FamilyFilter = None,
    dataset: DatasetFilter = None,
    name: NameFilter = None,
    after: AfterJob = None,
    limit: Limit = 20,
) -> Page[JobDocument, str]:
    """Return jobs, newest first."""
    found, has_more = jobs.page(connection, Filters(state, family, dataset, name), after, limit)
    return Page.of(_describe(connection, found), [job.id for job in found], has_more)


@router.get(
    "/jobs/{job_id}",
    summary="Read one job",
    response_model=JobDocument,
    responses={
        200: {"description": "The job.", "headers": headers(ETag="Changes whenever the job does.")},
        304: {"description": MEANINGS[304]},
        **problems(404),
    },
)
def read_job(connection: Reading, job_id: JobId, if_none_match: IfNoneMatch = None) -> Response:
    """Return the job as it stands: state, progress, newest metrics, newest checkpoint."""
    body = _describe(connection, [jobs.get(connection, job_id)])[0].model_dump_json()
    known = {"ETag": entity_tag(body), "Cache-Control": "no-cache"}
    if is_fresh(if_none_match, known["ETag"]):
        return not_modified(known)
    return Response(body, headers=known, media_type="application/json")


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Cancel a job",
    responses={
        200: {"description": "The job is cancelled."},
        202: {"description": "Its worker was asked to stop.", "model": JobDocument},
        **problems(404, 409),
    },
)
def cancel_job(connection: Writing, by: By, job_id: JobId, response: Response) -> JobDocument:
    """Stop a job for good; its checkpoints stay. One that waits is cancelled now, one that runs by its worker."""
    job = jobs.cancel(connection, job_id)
    audit.append(connection, by, "job.cancel", job_id)
    response.status_code = 200 if job.state is JobState.CANCELLED else 202
    return _describe(connection, [job])[0]


@router.post(
    "/jobs/{job_id}/pause",
    summary="Pause a job",
    responses={
        200: {"description": "The job is paused."},
        202: {"description": "Its worker was asked to stop.", "model": JobDocument},
        **problems(404, 409),
    },
)
def pause_job(connection: Writing, by: By, job_id: JobId, response: Response) -> JobDocument:
    """Set a job aside until it is resumed. One that runs writes a checkpoint first, and frees its worker."""
    job = jobs.pause(connection, job_id)
    audit.append(connection, by, "job.pause", job_id)
    response.status_code = 200 if job.state is JobState.PAUSED else 202
    return _describe(connection, [job])[0]


@router.post("/jobs/{job_id}/resume", summary="Resume a paused job", responses=problems(404, 409))
def resume_job(connection: Writing, by: By, job_id: JobId, held: Held, background: BackgroundTasks) -> JobDocument:
    """Put a paused job back into the queue; it goes on from its newest checkpoint, to the same end to the bit."""
    job = jobs.resume(connection, job_id)
    audit.append(connection, by, "job.resume", job_id)
    background.add_task(held.caretaker.ring)  # after the commit: who is woken must find the job
    return _describe(connection, [job])[0]


NEW = {"description": "A new job waits for a worker.", "headers": headers(Location="Where to read it.")}


@router.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    summary="Try a job again",
    responses={202: NEW, **problems(404, 409)},
)
def retry_job(
    connection: Writing, by: By, job_id: JobId, held: Held, background: BackgroundTasks, response: Response
) -> JobDocument:
    """Queue a new job like one that failed or was cancelled. It goes on from the newest checkpoint, if there is one."""
    job = jobs.retry(connection, job_id, by.key_id)
    audit.append(connection, by, "job.retry", job.id)
    response.headers["Location"] = f"/jobs/{job.id}"
    background.add_task(held.caretaker.ring)
    return _describe(connection, [job])[0]


@router.post(
    "/jobs/{job_id}/extend",
    status_code=202,
    summary="Train a finished job further",
    responses={202: NEW, **problems(400, 404, 409, 413, 415)},
)
def extend_job(
    connection: Writing,
    by: By,
    job_id: JobId,
    further: Further,
    held: Held,
    background: BackgroundTasks,
    response: Response,
) -> JobDocument:
    """Queue a new job that goes on from a finished one's last checkpoint. Rates fall as in a run of the new length."""
    job = jobs.extend(connection, job_id, further.total_steps, by.key_id)
    audit.append(connection, by, "job.extend", job.id)
    response.headers["Location"] = f"/jobs/{job.id}"
    background.add_task(held.caretaker.ring)
    return _describe(connection, [job])[0]


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    summary="Delete a finished job",
    responses={204: {"description": "The job is gone, with all its files."}, **problems(404, 409)},
)
def delete_job(connection: Writing, by: By, job_id: JobId, held: Held, background: BackgroundTasks) -> None:
    """Forget a job that has ended, its metrics, events, checkpoints and previews; whatever it drew is drawn no more."""
    jobs.delete(connection, job_id)
    audit.append(connection, by, "job.delete", job_id)
    background.add_task(held.artifacts.delete, job_folder(job_id))  # after the commit: rows first, files second


def _describe(connection: Connection, found: list[Job]) -> list[JobDocument]:
    milestones = checkpoints.milestones(connection, [job.number for job in found])
    positions = jobs.queue_positions(connection, found)
    return [JobDocument.of(job, positions.get(job.number), *milestones[job.number]) for job in found]
