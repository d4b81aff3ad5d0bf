"""`/jobs/{id}/previews`: the same fixed noise at every preview step."""

from fastapi import APIRouter
from starlette.responses import Response

from app.conditional import is_fresh, not_modified
from app.documents.checkpoints import PreviewDocument
from app.documents.pages import Page
from app.documents.responses import MEANINGS, headers, problems
from app.parameters import AfterStep, IfNoneMatch, JobId, Limit, StepPath
from app.resources import Held, Reading
from app.serving import timelines
from app.serving.graphs import verify
from store import jobs, previews
from store.errors import PreviewNotFound

router = APIRouter(tags=["jobs"])

PICTURE = {
    "description": "The picture.",
    "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    "headers": headers(ETag="The picture's SHA-256."),
}
ANIMATION = {
    "description": "The animation.",
    "content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}},
    "headers": headers(ETag="Of the bytes; changes with every new preview."),
}


@router.get("/jobs/{job_id}/previews", summary="List a job's previews", responses=problems(404))
def list_previews(
    connection: Reading, job_id: JobId, after: AfterStep = None, limit: Limit = 20
) -> Page[PreviewDocument, int]:
    """Return the job's previews, newest first."""
    job = jobs.get(connection, job_id)
    found, has_more = previews.page(connection, job.number, after, limit)
    data = [PreviewDocument.of(job.id, preview) for preview in found]
    return Page.of(data, [preview.step for preview in found], has_more)


@router.get(
    "/jobs/{job_id}/previews/timeline.webp",
    summary="Watch the previews as an animation",
    response_class=Response,
    responses={200: ANIMATION, 304: {"description": MEANINGS[304]}, **problems(404)},
)
def read_timeline(connection: Reading, held: Held, job_id: JobId, if_none_match: IfNoneMatch = None) -> Response:
    """Return the job's previews one after the other, oldest first; of more than 100, evenly many are left out.

    All frames are of one size, and shrunk where they would be more than 8 megapixels together.
    """
    job = jobs.get(connection, job_id)
    found = previews.timeline(connection, job.number, timelines.MOST_FRAMES)
    if not found:
        raise PreviewNotFound("the job has no preview yet")
    known = {"ETag": timelines.tag(found), "Cache-Control": "no-cache"}
    if is_fresh(if_none_match, known["ETag"]):
        return not_modified(known)
    return Response(timelines.animate(found, held.artifacts), headers=known, media_type="image/webp")


@router.get(
    "/jobs/{job_id}/previews/{step}.png",
    summary="Look at one preview",
    response_class=Response,
    responses={200: PICTURE, 304: {"description": MEANINGS[304]}, **problems(404)},
)
def read_preview(
    connection: Reading, held: Held, job_id: JobId, step: StepPath, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the picture that the job drew at this step."""
    job = jobs.get(connection, job_id)
    preview = previews.at(connection, job.number, step)
    known = {"ETag": f'"{preview.sha256}"', "Cache-Control": "no-cache"}
    if is_fresh(if_none_match, known["ETag"]):
        return not_modified(known)
    content = held.artifacts.get(preview.path)
    verify(f"{step}.png", content, preview.sha256, step)
    return Response(content, headers=known, media_type="image/png")
