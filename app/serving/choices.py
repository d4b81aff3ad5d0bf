"""What a request for images means: which job, which checkpoints, which label."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NoReturn

from pydantic import ValidationError
from sqlalchemy import Connection

from app.inputs import one_of, shown
from app.refusals import InputRefused, NothingToServe, NothingToServeYet
from ganmodels.specs import DATASETS, SPEC
from store import checkpoints, jobs
from store.checkpoints import Checkpoint
from store.errors import CheckpointNotFound
from store.jobs import Filters, Job

RETRY_AFTER = timedelta(seconds=5)
LOOKED_AT = 100
HOW_TO_POST = 'post one: POST /jobs with {"family": "dcgan", "conditional": true, "dataset": "mnist"}'


def find_job(connection: Connection, job_id: str | None, label: str | None) -> Job:
    """Return the job named, else the newest that can answer.

    Raises JobNotFound, InputRefused where a label is wanted and none serves any, NothingToServeYet, NothingToServe.
    """
    if job_id is not None:
        return jobs.get(connection, job_id)
    if job := jobs.newest_able(connection, labels=label is not None):
        return job
    newest, _ = jobs.page(connection, Filters(), None, LOOKED_AT)
    for job in newest:
        if not job.terminal and (label is None or label_names(job, None)):
            _refuse_to_wait(job, label)
    if label is not None and (job := jobs.newest_able(connection, labels=False)):
        raise InputRefused("/label", _no_labels(job))
    raise NothingToServe(f"no job has a checkpoint; {HOW_TO_POST}")


def candidates(connection: Connection, job: Job, step: int | str, label: str | None) -> Iterator[Checkpoint]:
    """Yield the checkpoints that may answer, the one asked for first; only `latest` has others to fall back on.

    Raises CheckpointNotFound, CheckpointPruned or NothingToServeYet; InputRefused for a label that never will be.
    """
    if isinstance(step, int):
        yield checkpoints.at(connection, job.number, step)
        return
    newest_first = _newest_first(connection, job)
    newest = next(newest_first, None)
    if newest is None:
        _refuse_to_wait(job, label)
    if step == "best":
        yield _best(connection, job)
    else:
        yield newest
        yield from newest_first


def label_index(text: str, job: Job, checkpoint: Checkpoint | None) -> int:
    """Return the index of the label asked for by index or name; raise InputRefused unless the job serves it."""
    names = label_names(job, checkpoint)
    if names is None:
        raise InputRefused("/label", _no_labels(job))
    for index in range(len(names)):
        if text == str(index):
            return index
    for index, name in enumerate(names):
        if text.casefold() == name.casefold():
            return index
    known = ", ".join(name if name == str(index) else f"{index} ({name})" for index, name in enumerate(names))
    hint = "" if text.isdigit() else one_of(text, names).partition("Allowed")[0]
    raise InputRefused("/label", f"Job {job.id} has no label {shown(text)}. {hint}Allowed: {known}.")


def label_names(job: Job, checkpoint: Checkpoint | None) -> list[str] | None:
    """Return the names of the labels that can be asked for; None where none can.

    Read from the checkpoint's card, or before there is one from the spec.
    """
    if checkpoint is not None:
        return checkpoint.card["label_names"] if "labels" in checkpoint.card["serves"] else None
    try:
        spec = SPEC.validate_python(job.spec)
    except ValidationError:  # written by another version, whose menu this one does not know
        return None
    return list(DATASETS[spec.dataset].label_names) if spec.serves_labels else None


def _newest_first(connection: Connection, job: Job) -> Iterator[Checkpoint]:
    below = None
    while True:
        found, _ = checkpoints.page(connection, job.number, below, limit=1)
        if not found:
            return
        yield found[0]
        below = found[0].step


def _best(connection: Connection, job: Job) -> Checkpoint:
    _, best = checkpoints.milestones(connection, [job.number])[job.number]
    if best is None:
        raise CheckpointNotFound(f"no checkpoint of job {job.id} was evaluated, so none is known to be the best")
    return checkpoints.at(connection, job.number, best.step)


def _refuse_to_wait(job: Job, label: str | None) -> NoReturn:
    """Say that a job has no checkpoint yet, unless waiting is vain: for a label that it will never draw."""
    if label is not None:
        label_index(label, job, None)
    if job.terminal:
        raise NothingToServeYet(f"job {job.id} is {job.state} and left no checkpoint", None)
    progress = f"step {job.step} of {job.total_steps}"
    raise NothingToServeYet(f"job {job.id} is {job.state} at {progress} and has no checkpoint yet", RETRY_AFTER)


def _no_labels(job: Job) -> str:
    able = "leave `label` out, or ask a job whose family learns labels, such as dcgan with `conditional: true`"
    return f"Job {job.id} ({job.family}) draws images but was not trained to draw a given label: {able}."
