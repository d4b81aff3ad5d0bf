"""`/sample`: images from a trained generator; with a seed, the answer is a pure function of its URL."""

import secrets
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection
from starlette.responses import Response

from app.conditional import is_fresh, not_modified
from app.documents import MEANINGS, headers, problems
from app.parameters import MOST, IfNoneMatch, Whole
from app.patterns import GRID, TEXT, UUID
from app.refusals import FileDamaged, InputRefused
from app.resources import Held, Reading
from app.serving import choices, images
from app.serving.drawings import MEDIA_TYPES, Drawing, Format, Wish
from app.serving.generators import Generators
from store.jobs import Job

router = APIRouter(tags=["sample"])
log = structlog.get_logger()

MOST_IMAGES = 1000
BINARY = {"schema": {"type": "string", "format": "binary"}}
IMAGES = {
    "description": "The images.",
    "content": {
        **{kind: BINARY for wrapping, kind in MEDIA_TYPES.items() if wrapping is not Format.JSON},
        "application/json": {"schema": {"$ref": "#/components/schemas/SampleDocument"}},
    },
    "headers": headers(
        X_Seed="The seed, drawn where none was given.",
        X_Label="The label's index, asked for or drawn; left out where the images have several or none.",
        X_Checkpoint_Step="The step of the checkpoint that drew them.",
        X_Job_ID="The job of that checkpoint.",
        ETag="Of the bytes, where a seed was given.",
    ),
}

LabelWanted = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=TEXT,
        description="A label's index or name. Left out, a model that knows labels draws one per image.",
        examples=["7"],
    ),
]
Count = Annotated[
    Whole | None,
    Query(ge=1, le=MOST_IMAGES, description="How many images; 1, or as many as `grid` has places.", examples=[16]),
]
SeedWanted = Annotated[
    Whole | None,
    Query(ge=0, le=MOST, description="The same seed draws the same bytes. Left out, one is drawn: see `X-Seed`."),
]
Index = Annotated[
    Whole,
    Query(ge=0, le=MOST, description="The first image's index: with n = 1, image `index` of the seed's row alone."),
]
JobWanted = Annotated[
    str | None, Query(pattern=UUID, description="The job that draws; the newest that can answer when left out.")
]
StepWanted = Annotated[
    Annotated[Whole, Field(ge=0, le=MOST)] | Literal["latest", "best"],
    Query(description="Which checkpoint: `latest`, `best` (of lowest `fd_classifier`), or a step to go back to."),
]
FormatWanted = Annotated[
    Format,
    Query(
        description="`png` and `webp`: one picture, a grid of several images. `npz`: `images` uint8 (N, H, W, C), "
        "`labels` (−1: none), `seed`. `zip`: a PNG per image. `json`: PNGs in base64."
    ),
]
Grid = Annotated[
    str | None,
    Query(pattern=GRID, description="Rows `x` columns of a picture; near square when left out.", examples=["4x4"]),
]
Scale = Annotated[Whole, Query(ge=1, le=32, description="Enlarge each pixel to a square of so many; not for `npz`.")]


@router.get(
    "/sample",
    summary="Draw images",
    response_class=Response,
    response_model=None,
    responses={200: IMAGES, 304: {"description": MEANINGS[304]}, **problems(404, 409, 410)},
)
def sample(
    connection: Reading,
    held: Held,
    label: LabelWanted = None,
    n: Count = None,
    seed: SeedWanted = None,
    index: Index = 0,
    job: JobWanted = None,
    step: StepWanted = "latest",
    format: FormatWanted = Format.PNG,
    grid: Grid = None,
    scale: Scale = 1,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Draw images from a checkpoint of a job, which may still be training.

    With `seed`, the answer is a pure function of checkpoint, label, seed, n, index and format: the same bytes, always.
    """
    count, rows, columns = _layout(n, grid, format)
    if format is Format.NPZ and scale > 1:
        raise InputRefused("/scale", "An npz holds the images as they are drawn; leave `scale` out.")
    drawn_seed = secrets.randbits(32) if seed is None else seed
    wish = Wish(drawn_seed, index, count, label, format, rows, columns, scale)
    found = choices.find_job(connection, job, label)
    cache = _cache_control(found, step, seed)
    if seed is None:
        if_none_match = None
    return _answer(connection, held.generators, found, step, wish, cache, if_none_match)


def _answer(
    connection: Connection,
    generators: Generators,
    job: Job,
    step: int | str,
    wish: Wish,
    cache: str,
    if_none_match: str | None,
) -> Response:
    """Draw from the first checkpoint that is whole; raise FileDamaged when none of those that may answer is."""
    damage: FileDamaged | None = None
    for checkpoint in choices.candidates(connection, job, step, wish.label):
        drawing = Drawing.plan(job, checkpoint, wish)
        described = {**_headers(drawing), "Cache-Control": cache}
        if is_fresh(if_none_match, drawing.tag):
            return not_modified(described)
        try:
            generator = generators.open(job.id, checkpoint)
        except FileDamaged as found:
            log.error("checkpoint damaged", job=job.id, step=checkpoint.step, reason=str(found))
            damage = damage or found
            continue
        return Response(drawing.draw(generator), headers=described, media_type=MEDIA_TYPES[wish.format])
    assert damage is not None  # candidates yields at least one, or raises
    raise damage


def _layout(n: int | None, grid: str | None, format: Format) -> tuple[int, int, int]:
    """Return how many images, in how many rows and columns."""
    if grid is None:
        count = n or 1
        return count, *images.near_square(count)
    if format not in (Format.PNG, Format.WEBP):
        raise InputRefused("/grid", f"A grid is for `png` and `webp`; {format} has the images one by one.")
    rows, columns = (int(side) for side in grid.split("x"))
    count = rows * columns if n is None else n
    if count > rows * columns:
        raise InputRefused("/grid", f"{grid} has {rows * columns} places for {count} images.")
    if count > MOST_IMAGES:
        raise InputRefused("/grid", f"{grid} has {count} places; at most {MOST_IMAGES} images can be asked for.")
    return count, rows, columns


def _headers(drawing: Drawing) -> dict[str, str]:
    known = {
        "X-Seed": str(drawing.wish.seed),
        "X-Checkpoint-Step": str(drawing.checkpoint.step),
        "X-Job-ID": drawing.job.id,
        "ETag": drawing.tag,
    }
    return known if drawing.label is None else {**known, "X-Label": str(drawing.label)}


def _cache_control(job: Job, step: int | str, seed: int | None) -> str:
    if seed is None:
        return "no-store"
    pinned = isinstance(step, int) and job.terminal
    return "max-age=31536000, immutable" if pinned else "no-cache"
