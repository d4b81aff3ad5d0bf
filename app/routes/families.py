"""`/families`: what kinds of GAN can be asked for."""

from fastapi import APIRouter

from app.documents.pages import Page
from app.documents.responses import problems
from app.documents.service import FamilyDocument
from app.inputs import one_of
from app.parameters import FamilyPath
from app.refusals import FamilyNotFound
from ganmodels.specs import FAMILIES

router = APIRouter(tags=["families"])


@router.get("/families", summary="List the families", responses=problems())
def list_families() -> Page[FamilyDocument, str]:
    """Return every family with its paper, defaults, JSON Schema and what it can serve."""
    return Page.of([FamilyDocument.of(name) for name in FAMILIES], list(FAMILIES), has_more=False)


@router.get("/families/{name}", summary="Read one family", responses=problems(404))
def read_family(name: FamilyPath) -> FamilyDocument:
    """Return one family with its paper, defaults, JSON Schema and what it can serve."""
    if name not in FAMILIES:
        raise FamilyNotFound(f"there is no family {name}. {one_of(name, FAMILIES)}")
    return FamilyDocument.of(name)
