"""Files that no row points at: left behind by attempts that were killed between writing them and saying so."""

import re

from sqlalchemy import select

from store.artifacts import JOBS, Artifacts, job_folder
from store.database import Database
from store.lifecycle import HELD
from store.tables import checkpoints, jobs, previews

ATTEMPT = re.compile(r"/attempt-(\d+)/")


def sweep(database: Database, artifacts: Artifacts) -> list[str]:
    """Remove the files of jobs that are gone, and those of ended attempts that no row points at; return their paths.

    Files are listed before rows are read: a file whose row is still to come belongs to an attempt that holds its job.
    """
    removed: list[str] = []
    for folder in artifacts.folders(JOBS):
        orphans = _orphans(database, folder.rpartition("/")[2], artifacts.files(folder))
        artifacts.remove(orphans)
        removed += orphans
    return removed


def _orphans(database: Database, job_id: str, files: list[str]) -> list[str]:
    with database.read() as connection:
        job = connection.execute(select(jobs.c.number, jobs.c.token, jobs.c.state).where(jobs.c.id == job_id)).first()
        if job is None:
            return files
        pointed_at = connection.scalars(
            select(checkpoints.c.folder).where(
                checkpoints.c.job_number == job.number, checkpoints.c.pruned_at.is_(None)
            )
        )
        known = {f"{folder}/" for folder in pointed_at}
        drawn = set(connection.scalars(select(previews.c.path).where(previews.c.job_number == job.number)))
    live = f"{job_folder(job_id)}/attempt-{job.token}/" if job.state in HELD else None
    return [
        file
        for file in files
        if file not in drawn
        and f"{file.rpartition('/')[0]}/" not in known
        and not (live and file.startswith(live))
        and (tried := ATTEMPT.search(file)) is not None
        and int(tried[1]) <= job.token
    ]
