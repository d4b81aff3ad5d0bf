"""What a request means: which job or model, which checkpoints, which label."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeVar

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection

from app.inputs import one_of, shown
from app.refusals import FileDamaged, InputRefused, NothingToServe, NothingToServeYet
from app.serving.cards import ABILITIES, IMAGES, LABELS, abilities
from ganmodels.specs import DATASETS, SPEC, answered
from store import aliases, checkpoints, jobs
from store.aliases import DEFAULT, Step
from store.checkpoints import Checkpoint
from store.jobs import Filters, Job

RETRY_AFTER = timedelta(seconds=5)
LOOKED_AT = 100
HOW_TO_POST = 'post one: POST /jobs with {"family": "dcgan", "conditional": true, "dataset": "mnist"}'
WHO_CAN = "GET /families says which families can"

Answer = TypeVar("Answer")

log = structlog.get_logger()


@dataclass(frozen=True)
class Source:
    """Who is asked to answer: a job by its id, a model by its name, or nobody in particular; and which checkpoint."""

    job: str | None = None
    model: str | None = None
    step: Step | None = None

    def __post_init__(self) -> None:
        """Raise InputRefused where both a job and a model are named."""
        if self.job is not None and self.model is not None:
            raise InputRefused("/model", "A model stands for a job: name one or the other.")


@dataclass(frozen=True)
class Label:
    """A label asked for by index or name; `pointer` says where."""

    text: str
    pointer: str = "/label"


@dataclass(frozen=True)
class Chosen:
    """The job that answers, and which of its checkpoints."""

    job: Job
    step: Step


def choose(connection: Connection, source: Source, what: str, labels: Collection[Label] = ()) -> Chosen:
    """Return the job or model named, else the model `default`, else the newest job with a checkpoint for `what`.

    Raises JobNotFound, AliasNotFound, InputRefused where a label is wanted and none serves any, NothingToServeYet,
    NothingToServe.
    """
    if source.job is not None:
        return Chosen(jobs.get(connection, source.job), "latest" if source.step is None else source.step)
    alias = aliases.find(connection, DEFAULT) if source.model is None else aliases.get(connection, source.model)
    if alias is not None:
        return Chosen(jobs.get(connection, alias.job), alias.step if source.step is None else source.step)
    return Chosen(_newest(connection, what, labels), "latest" if source.step is None else source.step)


def candidates(
    connection: Connection, chosen: Chosen, what: str, labels: Collection[Label] = ()
) -> Iterator[Checkpoint]:
    """Yield the checkpoints that may answer, the one asked for first; only `latest` has others to fall back on.

    Raises CheckpointNotFound, CheckpointPruned or NothingToServeYet; InputRefused for what the job never will serve.
    """
    job, step = chosen.job, chosen.step
    if isinstance(step, int):
        yield checkpoints.at(connection, job.number, step)
        return
    newest_first = _newest_first(connection, job)
    newest = next(newest_first, None)
    if newest is None:
        _refuse_to_wait(job, what, labels)
    if step == "best":
        yield checkpoints.chosen(connection, job.number, "best")
    else:
        yield newest
        yield from newest_first


def answer(job: Job, found: Iterable[Checkpoint], ask: Callable[[Checkpoint], Answer]) -> Answer:
    """Answer from the first checkpoint whose files are whole; raise FileDamaged when none of those found is."""
    damage: FileDamaged | None = None
    for checkpoint in found:
        try:
            return ask(checkpoint)
        except FileDamaged as error:
            log.error("checkpoint damaged", job=job.id, step=checkpoint.step, reason=str(error))
            damage = damage or error
    assert damage is not None  # candidates yields at least one, or raises
    raise damage


def check_able(job: Job, serves: Collection[str], what: str, labels: Collection[Label] = ()) -> None:
    """Raise InputRefused, saying what it can do, unless the job serves `what`."""
    if what in serves:
        return
    refused = f"Job {job.id} ({job.family}) cannot {ABILITIES[what]}; it can {abilities(serves)}"
    if what == LABELS and IMAGES in serves:
        pointer = next((label.pointer for label in labels), "/label")
        other = "or ask a job that learns labels, such as dcgan with `conditional: true`"
        raise InputRefused(pointer, f"{refused}: leave `{pointer.split('/')[1]}` out, {other}.")
    raise InputRefused("/job", f"{refused}.")


class Names:
    """The labels that a job may be asked for, by index or name."""

    def __init__(self, names: Sequence[str], allowed: Iterable[int] | None = None) -> None:
        """Take each label's name, and which of them are to be had, where that is not all."""
        indices = range(len(names)) if allowed is None else allowed
        self._named = {index: names[index] for index in indices if index < len(names)}
        self._found = {name.casefold(): index for index, name in reversed(self._named.items())}
        self._found |= {str(index): index for index in self._named}

    def index(self, label: Label, job: Job) -> int:
        """Return the index of the label asked for; raise InputRefused where there is none."""
        text, named = label.text, self._named
        if (found := self._found.get(text.casefold())) is not None:
            return found
        known = ", ".join(name if name == str(index) else f"{index} ({name})" for index, name in named.items())
        hint = "" if text.isdigit() else one_of(text, named.values()).partition("Allowed")[0]
        raise InputRefused(label.pointer, f"Job {job.id} has no label {shown(text)}. {hint}Allowed: {known}.")


def promised(job: Job) -> tuple[str, ...]:
    """Return what the checkpoints of a job will serve, as its spec has it before there is one."""
    try:
        spec = SPEC.validate_python(job.spec)
    except ValidationError:  # written by another version, whose menu this one does not know
        return (IMAGES,)
    return answered(spec.serves, DATASETS[spec.dataset].kind, spec.labels_from)


def _newest(connection: Connection, what: str, labels: Collection[Label]) -> Job:
    if job := jobs.newest_able(connection, what):
        return job
    newest, _ = jobs.page(connection, Filters(), None, LOOKED_AT)
    for job in newest:
        if not job.terminal and what in promised(job):
            _refuse_to_wait(job, what, labels)
    if what == LABELS and (job := jobs.newest_able(connection, IMAGES)):
        check_able(job, promised(job), what, labels)
    how = HOW_TO_POST if what in (IMAGES, LABELS) else WHO_CAN
    raise NothingToServe(f"no job has a checkpoint that can {ABILITIES[what]}; {how}")


def _newest_first(connection: Connection, job: Job) -> Iterator[Checkpoint]:
    below = None
    while True:
        found, _ = checkpoints.page(connection, job.number, below, limit=1)
        if not found:
            return
        yield found[0]
        below = found[0].step


def _refuse_to_wait(job: Job, what: str, labels: Collection[Label]) -> NoReturn:
    """Say that a job has no checkpoint yet, unless waiting is vain: for what it will never serve."""
    check_able(job, promised(job), what, labels)
    if job.dataset in DATASETS:
        names = Names(DATASETS[job.dataset].label_names)
        for label in labels:
            names.index(label, job)
    if job.terminal:
        raise NothingToServeYet(f"job {job.id} is {job.state} and left no checkpoint", None)
    progress = f"step {job.step} of {job.total_steps}"
    raise NothingToServeYet(f"job {job.id} is {job.state} at {progress} and has no checkpoint yet", RETRY_AFTER)
