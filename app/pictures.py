"""Drawings as answers: what their headers say, how long they are good, and whether the client has them already."""

from typing import Any

from starlette.responses import Response

from app.conditional import is_fresh, not_modified
from app.documents import headers
from app.refusals import InputRefused
from app.serving.choices import Source
from app.serving.drawings import Drawing, Format
from app.serving.graphs import Graphs
from app.serving.noises import Seeded
from app.serving.wrappings import MEDIA_TYPES, wrap
from store.jobs import Job

BINARY = {"schema": {"type": "string", "format": "binary"}}
UNKEPT = "no-store"
TOLD = {
    "X_Label": "The label's index, asked for or drawn; left out where the images have several or none.",
    "X_Checkpoint_Step": "The step of the checkpoint that drew them.",
    "X_Job_ID": "The job of that checkpoint.",
}


def described(formats: list[Format], **told: str) -> dict[str, Any]:  # Any: an OpenAPI document
    """Describe an answer of images in these formats, and what its headers tell beside `TOLD`."""
    content = {MEDIA_TYPES[each]: BINARY for each in formats}
    if Format.JSON in formats:
        content[MEDIA_TYPES[Format.JSON]] = {"schema": {"$ref": "#/components/schemas/SampleDocument"}}
    return {"description": "The images.", "content": content, "headers": headers(**TOLD, **told)}


def check_scale(format: Format, scale: int) -> None:
    """Raise InputRefused where there are no pixels to enlarge."""
    if format is Format.NPZ and scale > 1:
        raise InputRefused("/scale", "An npz holds what is drawn as it is; leave `scale` out.")


def kept(source: Source, job: Job) -> str:
    """Return how long an answer with a seed is good: for good where its URL names a job that has ended, and a step."""
    pinned = source.job is not None and isinstance(source.step, int) and job.terminal
    return "max-age=31536000, immutable" if pinned else "no-cache"


def draw(drawing: Drawing, graphs: Graphs, cache: str) -> Response:
    """Draw and wrap. Raises FileDamaged, NotFinite, NoneSureEnough."""
    return _draw(drawing, graphs, _told(drawing, cache))


def draw_unless_known(drawing: Drawing, graphs: Graphs, cache: str, if_none_match: str | None) -> Response:
    """Draw and wrap what has an entity tag, unless the client has it: 304. Raises as `draw`."""
    told = {**_told(drawing, cache), "ETag": drawing.tag}
    return not_modified(told) if is_fresh(if_none_match, drawing.tag) else _draw(drawing, graphs, told)


def _draw(drawing: Drawing, graphs: Graphs, told: dict[str, str]) -> Response:
    drawn = drawing.draw(graphs)
    if drawn.confidence is not None:
        told = {**told, "X-Label-Confidence": f"{drawn.confidence:.6f}"}
    return Response(wrap(drawing, drawn), headers=told, media_type=MEDIA_TYPES[drawing.wish.format])


def _told(drawing: Drawing, cache: str) -> dict[str, str]:
    noise = drawing.wish.noise
    known = {
        "X-Seed": noise.seed if isinstance(noise, Seeded) else None,
        "X-Label": drawing.label,
        "X-Checkpoint-Step": drawing.checkpoint.step,
        "X-Job-ID": drawing.job.id,
        "Cache-Control": cache,
    }
    return {name: str(value) for name, value in known.items() if value is not None}
