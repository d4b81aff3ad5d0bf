"""`/livez` and `/readyz`: alive, and ready to answer."""

from collections.abc import Callable

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from app.documents.responses import Check, problems
from app.documents.service import Alive, Readiness
from app.refusals import NotReady
from app.resources import Held

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Tell whether the process answers", responses=problems())
def livez() -> Alive:
    """Answer; it takes nothing but this process."""
    return Alive()


@router.get("/readyz", summary="Tell whether requests can be answered", responses=problems())
def readyz(held: Held) -> Readiness:
    """Look at the database, its schema, the artifacts and the doorbell.

    A silent doorbell makes the service `degraded`: workers then find jobs by themselves, some seconds later.
    """
    checks = {
        "database": _try(held.database.ping),
        "schema": _try(lambda: _schema(held)),
        "artifacts": _try(held.artifacts.ping),
    }
    if missing := [name for name, check in checks.items() if not check.ok]:
        raise NotReady(f"not working: {', '.join(missing)}", {name: vars(check) for name, check in checks.items()})
    doorbell = _doorbell(held.caretaker.doorbell_answers)
    return Readiness(status="ready" if doorbell.ok else "degraded", checks={**checks, "doorbell": doorbell})


def _try(part: Callable[[], None]) -> Check:
    try:
        part()
    except (SQLAlchemyError, OSError, RuntimeError) as error:
        return Check(ok=False, detail=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return Check(ok=True, detail="answers")


def _schema(held: Held) -> None:
    """Raise unless the tables are this version's, or a later one's, which has only added to them."""
    found, expected = held.database.revisions()
    if found is None or (found != expected and held.database.knows(found)):
        raise RuntimeError(f"revision {found}, expected {expected}")


def _doorbell(answers: bool | None) -> Check:
    if answers is None:
        return Check(ok=False, detail="not tried yet")
    return Check(ok=answers, detail="answers" if answers else "Redis does not answer")
