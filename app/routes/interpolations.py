"""`/interpolate`: what lies between the images of two seeds; a pure function of its URL."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app import pictures
from app.access import Holder
from app.documents.responses import MEANINGS, problems
from app.parameters import MOST, IfNoneMatch, LabelWanted, Scale, SourceWanted, Whole
from app.resources import Held
from app.serving.choices import Label
from app.serving.drawings import Format, Wish
from app.serving.noises import Between

router = APIRouter(tags=["sample"])

FRAMES = pictures.described([Format.PNG, Format.WEBP, Format.NPZ], ETag="Of the bytes.")

FromSeed = Annotated[
    Whole, Query(ge=0, le=MOST, description="The first frame is that of `GET /sample?seed=<this>`.", examples=[1])
]
ToSeed = Annotated[
    Whole, Query(ge=0, le=MOST, description="The last frame is that of `GET /sample?seed=<this>`.", examples=[2])
]
Frames = Annotated[Whole, Query(ge=2, le=64, description="How many images, both ends counted.")]
FormatWanted = Annotated[
    Literal[Format.PNG, Format.WEBP, Format.NPZ],
    Query(description="`png`: the frames side by side. `webp`: an animation. `npz`: `images`, `labels`, both `seed`s."),
]


@router.get(
    "/interpolate",
    summary="Draw what lies between two images",
    response_class=Response,
    response_model=None,
    responses={200: FRAMES, 304: {"description": MEANINGS[304]}, **problems(404, 409, 410)},
)
async def interpolate(
    request: Request,
    held: Held,
    holder: Holder,
    source: SourceWanted,
    from_seed: FromSeed,
    to_seed: ToSeed,
    label: LabelWanted = None,
    frames: Frames = 16,
    format: FormatWanted = Format.PNG,
    scale: Scale = 1,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Walk from the noise of one seed to that of another: on a great circle where it is normal, straight where uniform.

    All frames show one label: the one asked for, else the one that `from_seed` draws. A model that chooses images of a
    label among candidates cannot follow one along the way, and says so.
    """
    pictures.check_scale(format, scale)
    labels = () if label is None else (Label(label),) * frames
    wish = Wish(Between(from_seed, to_seed, frames), labels, format, None, scale, "/frames")
    return await pictures.answer(request, held, holder, source, wish, None, if_none_match)
