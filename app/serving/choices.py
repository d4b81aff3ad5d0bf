"""What a request for images means: which job, which checkpoints, which label."""

from collections.abc import Iterator
from datetime import timedelta

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


def find_job(connection: Connection, job_id: str | None, wants_label: bool) -> Job:
    """Return the job named, else the newest that can answer.

    Raises JobNotFound, InputRefused where a label is wanted and none serves any, NothingToServeYet, NothingToServe.
    """
    if job_id is not None:
        return jobs.get(connection, job_id)
    if job := jobs.newest_able(connection, wants_label):
        return job
    if wants_label and (job := jobs.newest_able(connection, labels=False)):
        raise InputRefused("/label", _no_labels(job))
    newest, _ = jobs.page(connection, Filters(), None, LOOKED_AT)
    for job in newest:
        if not job.terminal:
            raise _not_yet(job)
    raise NothingToServe(f"no job has a checkpoint; {HOW_TO_POST}")


def candidates(connection: Connection, job: Job, step: int | str) -> Iterator[Checkpoint]:
    """Yield the checkpoints that may answer, the one asked for first; only `latest` has others to fall back on.

    Raises NothingToServeYet, CheckpointNotFound or CheckpointPruned.
    """
    if isinstance(step, int):
        yield checkpoints.at(connection, job.number, step)
    elif step == "best":
        yield _best(connection, job)
    else:
        yield from _newest_first(connection, job)


def label_index(text: str, job: Job, checkpoint: Checkpoint | None) -> int:
    """Return the index of the label asked for by index or name; raise InputRefused unless the job serves it."""
    names = label_names(job, checkpoint)
    if names is None:
        raise InputRefused("/label", _no_labels(job))
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(names):
        return int(text)
    for index, name in enumerate(names):
        if name.casefold() == text.casefold():
            return index
    known = ", ".join(name if name == str(index) else f"{index} ({name})" for index, name in enumerate(names))
    hint = "" if text.isdigit() else one_of(text, names).partition("Allowed")[0]
    raise InputRefused("/label", f"Job {job.id} has no label {shown(text)}; {hint}allowed: {known}.")


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
    found, _ = checkpoints.page(connection, job.number, None, limit=1)
    if not found:
        raise _not_yet(job)
    while found:
        yield found[0]
        found, _ = checkpoints.page(connection, job.number, found[0].step, limit=1)


def _best(connection: Connection, job: Job) -> Checkpoint:
    latest, best = checkpoints.milestones(connection, [job.number])[job.number]
    if latest is None:
        raise _not_yet(job)
    if best is None:
        raise CheckpointNotFound(f"no checkpoint of job {job.id} was evaluated, so none is known to be the best")
    return checkpoints.at(connection, job.number, best.step)


def _not_yet(job: Job) -> NothingToServeYet:
    if job.terminal:
        return NothingToServeYet(f"job {job.id} is {job.state} and left no checkpoint", None)
    progress = f"step {job.step} of {job.total_steps}"
    return NothingToServeYet(f"job {job.id} is {job.state} at {progress} and has no checkpoint yet", RETRY_AFTER)


def _no_labels(job: Job) -> str:
    able = "leave `label` out, or ask a job whose family learns labels, such as dcgan with `conditional: true`"
    return f"Job {job.id} ({job.family}) draws images but was not trained to draw a given label: {able}."
