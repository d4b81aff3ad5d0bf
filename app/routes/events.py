"""`/jobs/{id}/events`: what happened to a job, as a list or as it happens."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response, StreamingResponse

from app.accepts import prefers
from app.access import Holder
from app.documents.jobs import EventDocument
from app.documents.pages import Page
from app.documents.responses import problems
from app.parameters import AfterEvent, JobId, LastEventId, Limit
from app.resources import Held, Reading, Resources
from store import events, jobs
from store.events import Event
from store.keys import Key

STREAM = "text/event-stream"

router = APIRouter(tags=["jobs"])


@router.get(
    "/jobs/{job_id}/events",
    summary="List or follow a job's events",
    response_model=Page[EventDocument, int],
    responses={
        200: {"description": "The events, oldest first.", "content": {STREAM: {"schema": {"type": "string"}}}},
        204: {"description": "A stream that has nothing more to tell: the client has seen `done`."},
        **problems(404),
    },
)
def list_events(
    connection: Reading,
    held: Held,
    holder: Holder,
    job_id: JobId,
    after: AfterEvent = 0,
    limit: Limit = 100,
    last_event_id: LastEventId = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "application/json",
) -> Response:
    """Return what happened to the job, oldest first. The last event of a finished job is `done`.

    With `Accept: text/event-stream`, as server-sent events while they happen, up to `done`; an event's id is its
    number, so that a client which comes again with `Last-Event-ID` misses none and sees none twice.
    """
    job = jobs.get(connection, job_id)
    vary = {"Vary": "Accept"}
    if not prefers(accept, STREAM):
        found, has_more = events.page(connection, job.number, after, limit)
        shown = Page.of([EventDocument.of(event) for event in found], [event.seq for event in found], has_more)
        return Response(shown.model_dump_json(), headers=vary, media_type="application/json")
    seen = after if last_event_id is None else last_event_id
    if job.terminal and events.newest(connection, job.number, "done") <= seen:
        return Response(status_code=204, headers=vary)
    headers = {**vary, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # proxies pass each event on at once
    return StreamingResponse(_stream(held, holder, job.number, seen), headers=headers, media_type=STREAM)


async def _stream(held: Resources, holder: Key | None, job_number: int, seen: int) -> AsyncIterator[bytes]:
    """Write events as they happen, and a comment now and then, so that nobody takes the silence for an end.

    Ends before the first event that comes once the listener's key is good no more.
    """
    yield KEEPALIVE_COMMENT  # the head of the answer goes out with the first bytes
    async with aclosing(held.broadcast.listen(job_number, seen)) as happening:
        async for event in happening:
            if event is not None and holder is not None and await held.keyring.holder(holder.digest) is None:
                return
            yield KEEPALIVE_COMMENT if event is None else _written(event)


def _written(event: Event) -> bytes:
    body = EventDocument.of(event).model_dump_json()
    return format_sse_event(data_str=body, event=event.type, id=str(event.seq))
