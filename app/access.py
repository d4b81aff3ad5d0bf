"""Access: which route needs which scope, and whether the key at hand has it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from structlog.contextvars import get_contextvars

from app.documents import responses
from app.refusals import ScopeMissing
from app.swagger import FILES
from store.audit import Author
from store.keys import Key, Scope

# Health, for whoever watches the process; and the page that says how to ask, which holds nothing of this installation.
OPEN = frozenset({"/livez", "/readyz", "/openapi.json", *FILES})

NEEDED: Mapping[str, Scope] = {
    "GET /jobs": Scope.READ,
    "POST /jobs": Scope.TRAIN,
    "GET /jobs/{job_id}": Scope.READ,
    "DELETE /jobs/{job_id}": Scope.TRAIN,
    "POST /jobs/{job_id}/cancel": Scope.TRAIN,
    "POST /jobs/{job_id}/pause": Scope.TRAIN,
    "POST /jobs/{job_id}/resume": Scope.TRAIN,
    "POST /jobs/{job_id}/retry": Scope.TRAIN,
    "POST /jobs/{job_id}/extend": Scope.TRAIN,
    "GET /jobs/{job_id}/metrics": Scope.READ,
    "GET /jobs/{job_id}/events": Scope.READ,
    "GET /jobs/{job_id}/logs": Scope.TRAIN,  # what a process says may name paths and machines
    "GET /jobs/{job_id}/checkpoints": Scope.READ,
    "GET /jobs/{job_id}/checkpoints/{step}": Scope.READ,
    "GET /jobs/{job_id}/checkpoints/{step}/files/{name}": Scope.READ,
    "GET /jobs/{job_id}/previews": Scope.READ,
    "GET /jobs/{job_id}/previews/timeline.webp": Scope.READ,
    "GET /jobs/{job_id}/previews/{step}.png": Scope.READ,
    "GET /sample": Scope.SAMPLE,
    "POST /sample": Scope.SAMPLE,
    "GET /interpolate": Scope.SAMPLE,
    "POST /classify": Scope.SAMPLE,
    "POST /score": Scope.SAMPLE,
    "GET /models": Scope.READ,
    "GET /models/{name}": Scope.READ,
    "PUT /models/{name}": Scope.TRAIN,
    "DELETE /models/{name}": Scope.TRAIN,
    "GET /keys": Scope.ADMIN,
    "POST /keys": Scope.ADMIN,
    "DELETE /keys/{key_id}": Scope.ADMIN,
    "GET /audit": Scope.ADMIN,
    "GET /families": Scope.READ,
    "GET /families/{name}": Scope.READ,
    "GET /workers": Scope.READ,
    "GET /metrics": Scope.READ,
}

SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key. Needed wherever the service listens to other machines; on loopback alone, none is.",
}
REFUSALS = {"401": "KeyNeeded", "403": "ScopeMissing", "421": "Misdirected", "429": "AllowanceSpent"}


async def _holder(request: Request) -> Key | None:
    key: Key | None = request.state.key
    return key


Holder = Annotated[Key | None, Depends(_holder)]  # None where no key is needed


async def check_scope(request: Request, holder: Holder) -> None:
    """Refuse a key that lacks the route's scope; a route that `NEEDED` lacks is the administrator's."""
    if holder is None:
        return
    scope = NEEDED.get(f"{request.method} {request.scope['route'].path}", Scope.ADMIN)
    if not holder.allows(scope):
        raise ScopeMissing(scope, holder.scopes)


async def _author(holder: Holder) -> Author:
    return Author(holder.id if holder else None, get_contextvars().get("request_id"))


By = Annotated[Author, Depends(_author)]


def describe(document: dict[str, Any]) -> None:  # Any: an OpenAPI document
    """Write into the OpenAPI document which scope each operation needs, and how one without it is answered."""
    components = document["components"]
    components["securitySchemes"] = {"key": SCHEME}
    components["responses"] = {name: responses.problems(int(status))[int(status)] for status, name in REFUSALS.items()}
    refused = {status: {"$ref": f"#/components/responses/{name}"} for status, name in REFUSALS.items()}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in OPEN:
                operation["security"] = []
            else:
                operation["security"] = [{"key": [NEEDED.get(f"{method.upper()} {path}", Scope.ADMIN)]}]
                operation["responses"].update(refused)
