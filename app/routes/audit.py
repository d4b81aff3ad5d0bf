"""`/audit`: who changed what."""

from fastapi import APIRouter

from app.documents.keys import ChangeDocument
from app.documents.pages import Page
from app.documents.responses import problems
from app.parameters import AfterChange, Limit
from app.resources import Reading
from store import audit

router = APIRouter(tags=["keys"])


@router.get("/audit", summary="List changes", responses=problems())
def list_changes(connection: Reading, after: AfterChange = None, limit: Limit = 20) -> Page[ChangeDocument, int]:
    """Return what was changed, by which key and in which request, newest first."""
    found, has_more = audit.page(connection, after, limit)
    return Page.of([ChangeDocument.of(entry) for entry in found], [entry.seq for entry in found], has_more)
