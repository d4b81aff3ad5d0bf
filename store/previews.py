"""Previews: rows that point at the fixed-noise grids a job has drawn."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from store.clock import now
from store.errors import PreviewNotFound
from store.tables import previews


@dataclass(frozen=True)
class Preview:
    """One grid of images, a PNG of `width` by `height` pixels, and its images' mean estimate of being real."""

    step: int
    path: str
    sha256: str
    width: int
    height: int
    score: float | None
    created_at: datetime


COLUMNS = [previews.c[name] for name in Preview.__dataclass_fields__]


@dataclass(frozen=True)
class Picture:
    """A picture that is written: where, what it must digest to, its size, and what the discriminator holds of it."""

    path: str
    sha256: str
    width: int
    height: int
    score: float | None


def record(connection: Connection, job_number: int, step: int, picture: Picture) -> None:
    """Point at a picture that is written; a later attempt's replaces an earlier one's of the same step."""
    values = {**asdict(picture), "created_at": now()}
    here = (previews.c.job_number == job_number, previews.c.step == step)
    if connection.execute(update(previews).where(*here).values(values)).rowcount == 0:
        connection.execute(insert(previews).values(job_number=job_number, step=step, **values))


def at(connection: Connection, job_number: int, step: int) -> Preview:
    """Return the preview of one step, or raise PreviewNotFound."""
    here = (previews.c.job_number == job_number, previews.c.step == step)
    row = connection.execute(select(*COLUMNS).where(*here)).one_or_none()
    if row is None:
        raise PreviewNotFound(f"the job has no preview at step {step}")
    return Preview(*row)


def timeline(connection: Connection, job_number: int, most: int) -> list[Preview]:
    """Return up to `most` ≥ 2 previews, evenly thinned, oldest first; the first and the last are among them."""
    of_job = previews.c.job_number == job_number
    steps = list(connection.scalars(select(previews.c.step).where(of_job).order_by(previews.c.step)))
    if len(steps) > most:
        steps = [steps[place * (len(steps) - 1) // (most - 1)] for place in range(most)]
    query = select(*COLUMNS).where(of_job, previews.c.step.in_(steps)).order_by(previews.c.step)
    return [Preview(*row) for row in connection.execute(query)]


def page(connection: Connection, job_number: int, after: int | None, limit: int) -> tuple[list[Preview], bool]:
    """Return up to `limit` previews below step `after`, newest first, and whether more follow."""
    query = select(*COLUMNS).where(previews.c.job_number == job_number).order_by(previews.c.step.desc())
    if after is not None:
        query = query.where(previews.c.step < after)
    found = [Preview(*row) for row in connection.execute(query.limit(limit + 1))]
    return found[:limit], len(found) > limit
