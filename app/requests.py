"""What happens to every request: an id, a limit on its body, one line in the log, an answer even to our own faults."""

import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Annotated

import structlog
from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.browsers import with_policies
from app.telemetry import RequestFigures
from store import logs

MOST_BODY_BYTES = 1 << 20
MOST_UPLOAD_BYTES = 16 << 20
MOST_LIST_BYTES = 4 << 20
LARGER: Mapping[str, int] = {"/classify": MOST_UPLOAD_BYTES, "/score": MOST_UPLOAD_BYTES, "/sample": MOST_LIST_BYTES}
CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger()


def configure_logging() -> None:
    """Log JSON, what the server says included, but not its line for each request: that is written here."""
    logs.configure("uvicorn")
    logging.getLogger("uvicorn.access").handlers.clear()


class RequestMiddleware:
    """Wraps the application, inside nothing but the server."""

    def __init__(self, app: ASGIApp, requests: RequestFigures) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._serve(scope, receive, send, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self._requests.began()
        started, status, received = time.perf_counter(), 0, 0
        most_bytes = LARGER.get(scope["path"], MOST_BODY_BYTES)

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most_bytes and not status:
                raise errors.too_large(most_bytes)
            return message

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*with_policies(message["headers"]), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            if _announced_bytes(scope) > most_bytes:
                await errors.body_too_large(most_bytes)(scope, receive, send_with_id)
            else:
                await self._app(scope, receive_limited, send_with_id)
        except Exception:  # any fault of ours: the client gets a problem, the log the traceback
            log.exception("unexpected error", method=scope["method"], path=scope["path"])
            if status:
                raise
            await errors.unexpected()(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            self._requests.ended(scope, status, seconds)
            milliseconds = round(seconds * 1000, 1)
            log.info("request", method=scope["method"], path=scope["path"], status=status, milliseconds=milliseconds)


async def _whole_body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as gone:
        raise HTTPException(400) from gone  # for the log: nobody is there to read it


WholeBody = Annotated[bytes, Depends(_whole_body)]  # waited for here; what is made of it belongs into a thread


def _request_id(headers: Headers) -> str:
    """Keep the client's id where it is harmless, else make one."""
    given = headers.get("X-Request-ID", "")
    return given if CLIENT_ID.fullmatch(given) else str(uuid.uuid4())


def _announced_bytes(scope: Scope) -> int:
    """Return what `Content-Length` says, 0 where it says nothing that can be read."""
    announced = Headers(scope=scope).get("content-length", "")
    return int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 20 else 0
