"""`/workers`: who is alive, on which device, doing what."""

from fastapi import APIRouter

from app.documents.pages import Page
from app.documents.responses import problems
from app.documents.service import WorkerDocument
from app.resources import Held, Reading
from store import workers

router = APIRouter(tags=["workers"])


@router.get("/workers", summary="List the workers alive", responses=problems())
def list_workers(connection: Reading, held: Held) -> Page[WorkerDocument, str]:
    """Return the processes that train and were heard of lately, and the job each holds."""
    alive = workers.alive(connection, held.settings.longest_silence)
    return Page.of([WorkerDocument.of(worker) for worker in alive], [worker.id for worker in alive], False)
