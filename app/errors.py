"""Problems: every answer that is not a success, as `application/problem+json` (RFC 9457).

The store and the API raise what happened, by name; this file alone knows the status codes.
"""

import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app import inputs, refusals
from store import errors

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
JOB_SECONDS = 60  # after which one of many jobs may have ended

# What happened → status, the last part of the problem's type, title.
PROBLEMS: Mapping[type[Exception], tuple[int, str, str]] = {
    errors.JobNotFound: (404, "job-not-found", "No such job"),
    errors.CheckpointNotFound: (404, "checkpoint-not-found", "No such checkpoint"),
    errors.CheckpointPruned: (410, "checkpoint-pruned", "Checkpoint removed"),
    errors.AliasNotFound: (404, "model-not-found", "No such model"),
    errors.KeyNotFound: (404, "key-not-found", "No such API key"),
    errors.PreviewNotFound: (404, "preview-not-found", "No such preview"),
    errors.ArtifactNotFound: (503, "file-damaged", "Stored file damaged"),
    errors.FilesUnavailable: (503, "files-unavailable", "Files unavailable"),
    errors.TransitionRefused: (409, "transition-refused", "Not in this state"),
    errors.NotInState: (409, "not-in-state", "Not in this state"),
    errors.StillNeeded: (409, "still-needed", "Still needed"),
    errors.StillNamed: (409, "still-needed", "Still needed"),
    errors.NoFurther: (422, "invalid-input", "Invalid input"),
    errors.OriginNotFound: (422, "invalid-input", "Invalid input"),
    errors.IdempotencyConflict: (422, "idempotency-conflict", "Idempotency key used before"),
    errors.TooManyJobs: (429, "too-many-jobs", "Too many unfinished jobs"),
    errors.CursorNotFound: (422, "invalid-input", "Invalid input"),
    refusals.KeyNeeded: (401, "key-needed", "API key needed"),
    refusals.ScopeMissing: (403, "scope-missing", "Not with this API key"),
    refusals.Misdirected: (421, "misdirected", "Not for this machine"),
    refusals.CrossSite: (403, "cross-site", "Not from this page"),
    refusals.AllowanceSpent: (429, "allowance-spent", "Too much for now"),
    refusals.InputRefused: (422, "invalid-input", "Invalid input"),
    refusals.JsonMalformed: (400, "malformed-json", "Malformed JSON"),
    refusals.MediaTypeRefused: (415, "unsupported-media-type", "Unsupported media type"),
    refusals.ImageTooLarge: (413, "content-too-large", "Content too large"),
    refusals.FamilyNotFound: (404, "family-not-found", "No such family"),
    refusals.FileNotInCheckpoint: (404, "file-not-found", "No such file"),
    refusals.NothingToServe: (404, "nothing-to-serve", "Nothing to serve"),
    refusals.NothingToServeYet: (409, "nothing-to-serve-yet", "No checkpoint yet"),
    refusals.FileDamaged: (503, "file-damaged", "Stored file damaged"),
    refusals.NoneSureEnough: (503, "label-not-found", "No image is sure to show the label"),
    refusals.NotFinite: (503, "not-finite", "The network has diverged"),
    refusals.Crowded: (503, "crowded", "Too many requests at once"),
    refusals.NotReady: (503, "not-ready", "Not ready"),
}

log = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Answer every exception that has a name with its problem."""
    app.add_exception_handler(errors.StoreError, _named)
    app.add_exception_handler(refusals.Refusal, _named)
    app.add_exception_handler(OperationalError, _named)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def problem(
    status: int,
    slug: str,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **extensions: Any,  # Any: JSON
) -> Response:
    """Build a problem document; the request's id comes from its context."""
    document = {
        "type": f"urn:ganymede:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
        **extensions,
    }
    return Response(json.dumps(document), status, headers, MEDIA_TYPE)


def unexpected() -> Response:
    """Answer for a fault of ours, whose traceback is in the log under the request's id."""
    return problem(500, "internal-error", "Internal error", "This is a fault of the service, and it is in its log.")


def too_large(most_bytes: int) -> HTTPException:
    """Return what to raise while a body is read that exceeds the limit."""
    return HTTPException(413, f"The body may have at most {most_bytes:,} bytes.")


def body_too_large(most_bytes: int) -> Response:
    """Answer a body that announces itself as too large."""
    error = too_large(most_bytes)
    return problem(error.status_code, "content-too-large", "Content too large", error.detail)


def answer(error: Exception) -> Response:
    """Answer what has a name with its problem; raise what has none."""
    if isinstance(error, OperationalError):
        return _unavailable(error)
    if type(error) not in PROBLEMS:
        raise error
    status, slug, title = PROBLEMS[type(error)]
    return problem(status, slug, title, _sentence(str(error)), _headers(error), **_extensions(error))


async def _named(request: Request, error: Exception) -> Response:
    return answer(error)


def _extensions(error: Exception) -> dict[str, Any]:  # Any: JSON
    match error:
        case errors.TransitionRefused() | errors.NotInState():
            return {"state": error.state, "allowed": error.allowed}
        case errors.NoFurther():
            return {"errors": [{"pointer": "/total_steps", "detail": _sentence(str(error))}]}
        case errors.OriginNotFound():
            return {"errors": [{"pointer": "/init_from", "detail": _sentence(str(error))}]}
        case errors.IdempotencyConflict():
            return {"errors": [{"pointer": "/idempotency-key", "detail": _sentence(str(error))}]}
        case errors.CursorNotFound():
            return {"errors": [{"pointer": "/after", "detail": _sentence(str(error))}]}
        case refusals.InputRefused():
            return {"errors": [{"pointer": error.pointer, "detail": str(error)}]}
        case refusals.NotReady():
            return {"checks": error.checks}
        case _:
            return {}


def _headers(error: Exception) -> dict[str, str]:
    match error:
        case refusals.KeyNeeded():
            return {"WWW-Authenticate": "Bearer"}
        case refusals.ScopeMissing():
            return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{error.scope}"'}
        case refusals.NothingToServeYet(retry_after=timedelta() as wait) | refusals.AllowanceSpent(retry_after=wait):
            return {"Retry-After": str(round(wait.total_seconds()))}
        case errors.TooManyJobs():
            return {"Retry-After": str(JOB_SECONDS)}
        case refusals.Crowded():
            return {"Retry-After": "1"}
        case _:
            return {}


async def _invalid(request: Request, error: Exception) -> Response:
    """Say of each wrong place what was found and what is allowed."""
    assert isinstance(error, RequestValidationError)
    findings = error.errors()
    if findings[0]["type"] == "json_invalid":
        what, where = findings[0]["ctx"]["error"], findings[0]["loc"][-1]
        return problem(400, "malformed-json", "Malformed JSON", f"The body is not JSON: {what} at character {where}.")
    if isinstance(error.body, bytes):
        found = inputs.shown(request.headers.get("content-type"))
        detail = f"Send JSON with `Content-Type: application/json`; found {found}."
        return problem(415, "unsupported-media-type", "Unsupported media type", detail)
    found_faults = inputs.faults(findings, error.body, _fields(request))
    named = ", ".join(fault["pointer"] or "the body" for fault in found_faults)
    return problem(422, "invalid-input", "Invalid input", f"Wrong or missing: {named}.", errors=found_faults)


def _fields(request: Request) -> Collection[str]:
    """Return the fields of the body that the route takes; none where they depend on the family."""
    body = request.scope["route"].body_field
    return getattr(body.field_info.annotation, "model_fields", ()) if body else ()


async def _http(request: Request, error: Exception) -> Response:
    """Answer what the framework raises: 404 and 405 for paths and methods, 400 and 413 for bodies."""
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    match error.status_code:
        case 404:
            detail = f"Nothing lives at {inputs.shown(request.url.path)}; /docs and /openapi.json say what does."
        case 405:
            allowed = ", ".join(_methods(request))
            detail = f"{request.method} is not allowed here; allowed: {allowed}."
            return problem(405, "method-not-allowed", title, detail, {"Allow": allowed})
        case 400:
            return problem(400, "malformed-json", "Malformed JSON", "The body cannot be read as JSON.")
        case 413:
            return problem(413, "content-too-large", "Content too large", error.detail)
        case _:
            detail = error.detail
    return problem(error.status_code, title.lower().replace(" ", "-"), title, detail, error.headers)


def _methods(request: Request) -> list[str]:
    """Return every method that the path takes; the framework names those of the first route alone."""
    routes = request.app.router.routes
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def _unavailable(error: OperationalError) -> Response:
    log.error("database unavailable", error=str(error))
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return problem(503, "database-unavailable", "Database unavailable", "The database does not answer.", headers)


def _sentence(text: str) -> str:
    """Begin with a capital, end with a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
