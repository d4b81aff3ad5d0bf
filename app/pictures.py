"""Drawings as answers: what their headers say, how long they are good, and whether the client has them already."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, suppress
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app import allowances
from app.conditional import is_fresh, not_modified
from app.documents.responses import headers
from app.refusals import FileDamaged, InputRefused
from app.resources import Resources
from app.serving.catalog import Found
from app.serving.choices import Source
from app.serving.drawings import Drawing, Format, Wish
from app.serving.noises import Seeded
from app.serving.studio import Picture, is_large
from app.serving.wrappings import MEDIA_TYPES
from store.jobs import Job
from store.keys import Key

BINARY = {"schema": {"type": "string", "format": "binary"}}
UNKEPT = "no-store"
TOLD = {
    "X_Label": "The label's index, asked for or drawn; left out where the images have several or none.",
    "X_Checkpoint_Step": "The step of the checkpoint that drew them.",
    "X_Job_ID": "The job of that checkpoint.",
}

log = structlog.get_logger()


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


async def answer(
    request: Request,
    held: Resources,
    holder: Key | None,
    source: Source,
    wish: Wish,
    cache: str | None,
    if_none_match: str | None,
) -> Response:
    """Draw a wish, wrap it and say what it is; where its bytes are a function of the request, 304 for who has them.

    `cache` is None for that. What is drawn counts for the key that asks. Raises what the choice of a checkpoint and
    drawing from it do, and AllowanceSpent.
    """
    found = await held.catalog.find(source, wish.what, wish.labels)
    try:
        return await _answer(request, held, holder, source, found, wish, cache, if_none_match)
    except FileDamaged as damage:
        log.error("checkpoint damaged", job=found.job.id, step=found.checkpoint.step, reason=str(damage))
        for other in await held.catalog.others(source, wish.what, wish.labels, found):
            with suppress(FileDamaged):
                return await _answer(request, held, None, source, other, wish, cache, if_none_match)  # paid already
        raise


async def _answer(
    request: Request,
    held: Resources,
    holder: Key | None,
    source: Source,
    found: Found,
    wish: Wish,
    cache: str | None,
    if_none_match: str | None,
) -> Response:
    if wish.is_streamed:
        drawing = await run_in_threadpool(Drawing.plan, found.job, found.checkpoint, wish)
    else:
        drawing = Drawing.plan(found.job, found.checkpoint, wish)
    told = _told(drawing, cache or kept(source, found.job))
    if cache is None:
        provider = held.graphs.provider
        told["ETag"] = await run_in_threadpool(drawing.tag, provider) if wish.is_streamed else drawing.tag(provider)
        if is_fresh(if_none_match, told["ETag"]):
            return not_modified(told)
    if holder is not None:
        held.studio.check_room(drawing)
        await held.allowances.spend(holder, allowances.images(holder), wish.count)
    if wish.is_streamed:
        return await _stream(held, drawing, told)
    drawn = held.studio.draw(drawing)
    picture = await (_while_waited_for(request, drawn) if is_large(drawing) else drawn)
    if picture.confidence is not None:
        told["X-Label-Confidence"] = f"{picture.confidence:.6f}"
    return Response(picture.content, headers=told, media_type=MEDIA_TYPES[wish.format])


async def _while_waited_for(request: Request, drawn: Coroutine[None, None, Picture]) -> Picture:
    """Await what takes long for as long as the client does."""
    drawing, gone = asyncio.create_task(drawn), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({drawing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not drawing.done():
            raise HTTPException(400)  # for the log: nobody is there to read it
        return drawing.result()
    finally:
        gone.cancel()
        drawing.cancel()
        await asyncio.wait({drawing, gone})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stream(held: Resources, drawing: Drawing, told: dict[str, str]) -> Response:
    """Begin to draw before the answer is begun: what goes wrong at once can still be said."""
    pieces = held.studio.stream(drawing)
    first = await anext(pieces)

    async def all_pieces() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return StreamingResponse(all_pieces(), headers=told, media_type=MEDIA_TYPES[drawing.wish.format])


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
