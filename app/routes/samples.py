"""`/sample`: images from a trained generator; with a seed, the answer is a pure function of its URL."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.conditional import is_fresh, not_modified
from app.documents import MEANINGS, headers, problems
from app.parameters import MOST, Decimal, IfNoneMatch, LabelWanted, SourceWanted, Whole
from app.patterns import GRID
from app.refusals import InputRefused
from app.resources import Held, Reading
from app.serving import choices
from app.serving.choices import Source
from app.serving.drawings import PICTURES, Drawing, Format, Wish
from app.serving.graphs import Graphs
from app.serving.noises import Seeded
from app.serving.wrappings import MEDIA_TYPES, wrap
from store.checkpoints import Checkpoint
from store.jobs import Job

router = APIRouter(tags=["sample"])

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
        X_Label_Confidence="Where the model's class head chose images of the label: the lowest p(label) among them.",
        X_Checkpoint_Step="The step of the checkpoint that drew them.",
        X_Job_ID="The job of that checkpoint.",
        ETag="Of the bytes, where a seed was given.",
    ),
}

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
FormatWanted = Annotated[
    Format,
    Query(
        description="`png` and `webp`: one picture, a grid of several images. `npz`: `images` uint8 (N, H, W, C), "
        "`labels` (−1: none), `seed`. `zip`: a PNG per image. `json`: PNGs in base64. Points of the plane are dots in "
        "one picture, `points` float32 (N, 2) in `npz`, and pairs of numbers in `json`."
    ),
]
Grid = Annotated[
    str | None,
    Query(pattern=GRID, description="Rows `x` columns of a picture; near square when left out.", examples=["4x4"]),
]
Truncation = Annotated[
    Decimal | None,
    Query(
        ge=0.01,
        le=4,
        description="The truncation trick: each number of the noise that is farther from 0 is drawn again until it is "
        "not. The smaller, the more usual and the more alike the images. For models whose noise is normal.",
        examples=[0.7],
    ),
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
    source: SourceWanted,
    label: LabelWanted = None,
    n: Count = None,
    seed: SeedWanted = None,
    index: Index = 0,
    format: FormatWanted = Format.PNG,
    grid: Grid = None,
    scale: Scale = 1,
    truncation: Truncation = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Draw images from a checkpoint of a job, which may still be training, or of a model that has a name.

    With `seed`, the answer is a pure function of checkpoint, label, seed, n, index, truncation and
    format: the same bytes, always.
    A generator that takes no labels still answers for one where the model has a class head: of up to 64 candidates for
    an image, the first that the head is sure of is taken, and 503 says so when there is none.
    """
    places = _places(grid, format)
    if format is Format.NPZ and scale > 1:
        raise InputRefused("/scale", "An npz holds what is drawn as it is; leave `scale` out.")
    drawn_seed = secrets.randbits(32) if seed is None else seed
    noise = Seeded.row(drawn_seed, index, _count(n, places), truncation)
    wish = Wish(noise, label, format, places, scale)
    chosen = choices.choose(connection, source, wish.what, label)
    cache = _cache_control(source, chosen.job, seed)
    known = None if seed is None else if_none_match

    def draw(checkpoint: Checkpoint) -> Response:
        return _draw(Drawing.plan(chosen.job, checkpoint, wish), held.graphs, cache, known)

    return choices.answer(chosen.job, choices.candidates(connection, chosen, wish.what, label), draw)


def _draw(drawing: Drawing, graphs: Graphs, cache: str, if_none_match: str | None) -> Response:
    described = {**_headers(drawing), "Cache-Control": cache}
    if is_fresh(if_none_match, drawing.tag):
        return not_modified(described)
    drawn = drawing.draw(graphs)
    if drawn.confidence is not None:
        described["X-Label-Confidence"] = f"{drawn.confidence:.6f}"
    return Response(wrap(drawing, drawn), headers=described, media_type=MEDIA_TYPES[drawing.wish.format])


def _places(grid: str | None, format: Format) -> tuple[int, int] | None:
    """Return the rows and columns of a grid."""
    if grid is None:
        return None
    if format not in PICTURES:
        raise InputRefused("/grid", f"A grid is for `png` and `webp`; {format} has the images one by one.")
    rows, columns = (int(side) for side in grid.split("x"))
    return rows, columns


def _count(n: int | None, places: tuple[int, int] | None) -> int:
    """Return how many images are wished for; raise InputRefused for more than the grid or an answer can hold."""
    if places is None:
        return n or 1
    rows, columns = places
    count = rows * columns if n is None else n
    if count > rows * columns:
        raise InputRefused("/grid", f"{rows}x{columns} has {rows * columns} places for {count} images.")
    if count > MOST_IMAGES:
        raise InputRefused(
            "/grid", f"{rows}x{columns} has {count} places; at most {MOST_IMAGES} images can be asked for."
        )
    return count


def _headers(drawing: Drawing) -> dict[str, str]:
    known = {
        "X-Seed": str(drawing.wish.noise.seed),
        "X-Checkpoint-Step": str(drawing.checkpoint.step),
        "X-Job-ID": drawing.job.id,
        "ETag": drawing.tag,
    }
    return known if drawing.label is None else {**known, "X-Label": str(drawing.label)}


def _cache_control(source: Source, job: Job, seed: int | None) -> str:
    if seed is None:
        return "no-store"
    pinned = source.job is not None and isinstance(source.step, int) and job.terminal
    return "max-age=31536000, immutable" if pinned else "no-cache"
