"""`/keys`: who may do what, and how much of it."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.access import By
from app.documents.keys import KeyDocument, NewKeyDocument
from app.documents.pages import Page
from app.documents.responses import problems
from app.parameters import AfterKey, KeyId, Limit
from app.patterns import TEXT
from app.resources import Reading, Writing
from store import audit, keys
from store.keys import Allowance, Scope

router = APIRouter(tags=["keys"])

MOST_ALLOWED = 10**12  # headers hold integers of 15 digits
Count = Annotated[int, Field(strict=True, ge=1, le=MOST_ALLOWED)]
DEFAULT = Allowance()


class KeyRequest(BaseModel):
    """What a new key is to be good for."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str, Field(min_length=1, max_length=100, pattern=TEXT, description="For people.", examples=["lab 3"])
    ]
    scopes: Annotated[
        list[Scope],
        Field(min_length=1, max_length=len(Scope), description="`train` includes `read`, `admin` includes all."),
    ]
    expires_in_days: Annotated[
        Annotated[int, Field(strict=True, ge=1, le=36_500)] | None,
        Field(description="After so many days it is good no more; left out, it is until it is revoked."),
    ] = None
    requests_per_minute: Annotated[Count, Field(description="How many requests it may make in a minute.")] = (
        DEFAULT.requests_per_minute
    )
    images_per_day: Annotated[Count, Field(description="How many images it may have drawn in a day.")] = (
        DEFAULT.images_per_day
    )
    unfinished_jobs: Annotated[Count, Field(description="How many of its jobs may be unfinished at once.")] = (
        DEFAULT.unfinished_jobs
    )


@router.post("/keys", status_code=201, summary="Make an API key", responses=problems(400, 413, 415))
def post_key(connection: Writing, by: By, wanted: KeyRequest, response: Response) -> NewKeyDocument:
    """Make a key. This answer alone holds its `secret`, what goes after `Bearer`: it is kept nowhere."""
    secret = keys.draw()
    good_for = None if wanted.expires_in_days is None else timedelta(days=wanted.expires_in_days)
    allowance = Allowance(wanted.requests_per_minute, wanted.images_per_day, wanted.unfinished_jobs)
    key = keys.add(connection, secret, wanted.name, wanted.scopes, allowance, good_for)
    audit.append(connection, by, "key.create", key.id)
    response.headers["Cache-Control"] = "no-store"
    return NewKeyDocument(**vars(KeyDocument.of(key)), secret=secret)


@router.get("/keys", summary="List API keys", responses=problems())
def list_keys(connection: Reading, after: AfterKey = None, limit: Limit = 20) -> Page[KeyDocument, str]:
    """Return the keys, newest first, those that are good no more among them."""
    found, has_more = keys.page(connection, after, limit)
    return Page.of([KeyDocument.of(key) for key in found], [key.id for key in found], has_more)


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    summary="Revoke an API key",
    responses={204: {"description": "The key opens nothing more, a second from now at the latest."}, **problems(404)},
)
def revoke_key(connection: Writing, by: By, key_id: KeyId) -> None:
    """Let a key open nothing more, for good; it stays in the list."""
    if keys.revoke(connection, key_id):
        audit.append(connection, by, "key.revoke", key_id)
