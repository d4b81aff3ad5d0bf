"""The page that documents the API, and the files it is made of."""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.conditional import is_fresh, not_modified
from app.parameters import IfNoneMatch
from app.swagger import FILES

router = APIRouter(include_in_schema=False)


@router.get("/docs")
@router.get("/docs/{version}/{name}")
def file(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Return the page or a file of it."""
    found = FILES.get(request.scope["path"])
    if found is None:
        raise HTTPException(404)
    headers = dict(found.headers)
    if is_fresh(if_none_match, headers["ETag"]):
        return not_modified(headers)
    return Response(found.content, headers=headers, media_type=found.media_type)
