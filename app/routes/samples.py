"""`/sample`: images from a trained generator; with a seed, the answer is a pure function of its URL."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Body, Query
from starlette.requests import Request
from starlette.responses import Response

from app import pictures
from app.access import Holder
from app.documents.responses import MEANINGS, problems
from app.parameters import MOST, Decimal, IfNoneMatch, LabelWanted, Scale, SourceWanted, Whole
from app.patterns import GRID
from app.quick import QuickRoute
from app.refusals import InputRefused
from app.resources import Held
from app.serving.choices import Label, Source
from app.serving.documents import LEAST_TRUNCATION, MOST_TRUNCATION, SampleRequest
from app.serving.drawings import MOST_IMAGES, MOST_STREAMED, PICTURES, Format, Wish
from app.serving.noises import Given, Noise, Seeded

router = APIRouter(tags=["sample"], route_class=QuickRoute)

SURE = "Where the model's class head chose images of the label: the lowest p(label) among them."
SEED = "The one seed of all images, drawn where none was given."
IMAGES = pictures.described(list(Format), X_Seed=SEED, X_Label_Confidence=SURE, ETag="Of the bytes.")
LISTED = pictures.described(list(Format), X_Seed=SEED, X_Label_Confidence=SURE)
EXAMPLES = {
    "labels": {
        "summary": "One of each, side by side",
        "value": {"labels": list(range(10)), "seed": 1, "grid": "1x10"},
    },
    "seeds": {
        "summary": "The images of these seeds, as arrays",
        "value": {"seeds": [1, 2, 3], "format": "npz"},
    },
    "seeds and labels": {
        "summary": "The same noise as three labels",
        "value": {"seeds": [5, 5, 5], "labels": [0, 1, 7], "format": "json"},
    },
}

Count = Annotated[
    Whole | None,
    Query(
        ge=1,
        le=MOST_STREAMED,
        description="How many images; 1, or as many as `grid` has places. "
        f"More than {MOST_IMAGES:,} come as `zip` or `npz`, sent while they are drawn.",
        examples=[16],
    ),
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
        ge=LEAST_TRUNCATION,
        le=MOST_TRUNCATION,
        description="The truncation trick: each number of the noise that is farther from 0 is drawn again until it is "
        "not. The smaller, the more usual and the more alike the images. For models whose noise is normal.",
        examples=[0.7],
    ),
]


@router.get(
    "/sample",
    summary="Draw images",
    response_class=Response,
    response_model=None,
    responses={200: IMAGES, 304: {"description": MEANINGS[304]}, **problems(404, 409, 410)},
)
async def sample(
    request: Request,
    held: Held,
    holder: Holder,
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

    With `seed`, the answer is a pure function of checkpoint, label, seed, n, index, truncation and format: the same
    bytes, always. A generator that takes no labels still answers for one where the model has a class head: of up to 256
    candidates for an image, the first that the head is sure of is taken, and 503 says so when there is none.
    """
    pictures.check_scale(format, scale)
    places = _places(grid, format)
    count = _count(n, places)
    drawn_seed = secrets.randbits(32) if seed is None else seed
    labels = () if label is None else (Label(label),) * count
    wish = Wish(Seeded.row(drawn_seed, index, count, truncation), labels, format, places, scale)
    cache = pictures.UNKEPT if seed is None else None
    return await pictures.answer(request, held, holder, source, wish, cache, if_none_match)


@router.post(
    "/sample",
    summary="Draw images of lists",
    response_class=Response,
    response_model=None,
    responses={200: LISTED, **problems(400, 404, 409, 410, 413, 415)},
)
async def sample_listed(
    request: Request,
    held: Held,
    holder: Holder,
    wanted: Annotated[SampleRequest, Body(openapi_examples=EXAMPLES)],
) -> Response:
    """Draw an image for each of a list of labels, seeds or latent vectors, up to 1,000.

    `labels` may stand alone, with one `seed` for all of them, or beside `seeds` or `latents` of the same length. Each
    image is the one that `GET /sample` draws: with its seed, label and index 0, or for `labels` alone with `index` as
    its place in the list.
    """
    pictures.check_scale(wanted.format, wanted.scale)
    places = _places(wanted.grid, wanted.format)
    noise, counted = _noise(wanted)
    labels = [Label(str(text), f"/labels/{place}") for place, text in enumerate(wanted.labels or [])]
    if labels and len(labels) != len(noise):
        raise InputRefused("/labels", f"{len(labels)} labels for {len(noise)} images: send one for each.")
    _count(len(noise), places)
    wish = Wish(noise, labels, wanted.format, places, wanted.scale, counted)
    source = Source(wanted.job, wanted.model, wanted.step)
    return await pictures.answer(request, held, holder, source, wish, pictures.UNKEPT, None)


def _noise(wanted: SampleRequest) -> tuple[Noise, str]:
    """Return the noise of a list's images, and what points at the list; raise InputRefused for what does not agree."""
    if wanted.latents is not None:
        _refuse_beside("latents", wanted, "seeds", "seed", "truncation")
        return Given(wanted.latents), "/latents"
    if wanted.seeds is not None:
        _refuse_beside("seeds", wanted, "seed")
        return Seeded(tuple((seed, 0) for seed in wanted.seeds), wanted.truncation), "/seeds"
    if wanted.labels is not None:
        seed = secrets.randbits(32) if wanted.seed is None else wanted.seed
        return Seeded.row(seed, 0, len(wanted.labels), wanted.truncation), "/labels"
    raise InputRefused("", "Send a list of `labels`, of `seeds` or of `latents`.")


def _refuse_beside(which: str, wanted: SampleRequest, *others: str) -> None:
    for other in others:
        if getattr(wanted, other) is not None:
            raise InputRefused(f"/{other}", f"`{which}` say what noise to draw from; leave `{other}` out.")


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
