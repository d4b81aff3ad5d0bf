"""`/jobs/{id}/checkpoints`: what can be resumed and served, and its files to download."""

import base64

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from app.conditional import is_fresh, not_modified
from app.documents.checkpoints import CheckpointDocument
from app.documents.pages import Page
from app.documents.responses import MEANINGS, headers, problems
from app.parameters import AfterStep, FilePath, IfNoneMatch, JobId, Limit, StepPath
from app.refusals import FileNotInCheckpoint
from app.resources import Held, Reading
from store import checkpoints, jobs

router = APIRouter(tags=["jobs"])

FILE = {
    "description": "The file.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "headers": headers(
        ETag="The file's SHA-256, in hexadecimal.",
        Repr_Digest="The file's SHA-256, as RFC 9530 has it.",
        Content_Disposition="A name to save it under.",
    ),
}


@router.get("/jobs/{job_id}/checkpoints", summary="List a job's checkpoints", responses=problems(404))
def list_checkpoints(
    connection: Reading, job_id: JobId, after: AfterStep = None, limit: Limit = 20
) -> Page[CheckpointDocument, int]:
    """Return the job's checkpoints, newest first."""
    job = jobs.get(connection, job_id)
    found, has_more = checkpoints.page(connection, job.number, after, limit)
    data = [CheckpointDocument.of(job.id, checkpoint) for checkpoint in found]
    return Page.of(data, [checkpoint.step for checkpoint in found], has_more)


@router.get("/jobs/{job_id}/checkpoints/{step}", summary="Read one checkpoint", responses=problems(404, 410))
def read_checkpoint(connection: Reading, job_id: JobId, step: StepPath) -> CheckpointDocument:
    """Return what the checkpoint of this step says of itself."""
    job = jobs.get(connection, job_id)
    return CheckpointDocument.of(job.id, checkpoints.at(connection, job.number, step))


@router.get(
    "/jobs/{job_id}/checkpoints/{step}/files/{name}",
    summary="Download a checkpoint's file",
    response_class=Response,
    responses={200: FILE, 304: {"description": MEANINGS[304]}, **problems(404, 410)},
)
def download_file(
    connection: Reading, held: Held, job_id: JobId, step: StepPath, name: FilePath, if_none_match: IfNoneMatch = None
) -> Response:
    """Return a file of a checkpoint. What arrives must have the digest that the headers say."""
    job = jobs.get(connection, job_id)
    checkpoint = checkpoints.at(connection, job.number, step)
    file = checkpoint.files.get(name)
    if file is None:
        raise FileNotInCheckpoint(f"the checkpoint has no {name}; it has: {', '.join(sorted(checkpoint.files))}")
    known = {"ETag": f'"{file["sha256"]}"', "Cache-Control": "no-cache"}
    if is_fresh(if_none_match, known["ETag"]):
        return not_modified(known)
    described = {
        "Content-Length": str(file["size"]),
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(file['sha256'])).decode()}:",
        "Content-Disposition": f'attachment; filename="{job.id}-{step}-{name}"',
    }
    stream = held.artifacts.stream(checkpoint.path(name))
    return StreamingResponse(stream, headers={**known, **described}, media_type="application/octet-stream")
