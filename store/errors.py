"""What can go wrong in the store, by name; `app/errors.py` alone turns these into status codes."""

from collections.abc import Collection


class StoreError(Exception):
    """Something the store was asked for cannot be had."""


class JobNotFound(StoreError):
    """No job has this id."""


class CheckpointNotFound(StoreError):
    """The job has no checkpoint at this step, or none yet."""


class CheckpointPruned(StoreError):
    """The checkpoint existed and was removed by retention."""


class PreviewNotFound(StoreError):
    """The job has no preview at this step."""


class ArtifactNotFound(StoreError):
    """No file lies under this path."""


class FilesUnavailable(StoreError, OSError):
    """The folder or bucket of files cannot be read or written: full, away, or not ours to use."""


class LeaseLost(StoreError):
    """The writer no longer holds the job: its token is stale or its lease is over. It must write nothing more."""


class TransitionRefused(StoreError):
    """The job is in a state from which the move is not allowed."""

    def __init__(self, state: str, wanted: str, allowed: Collection[str]) -> None:
        """Remember what was found and what it may become."""
        may = ", ".join(sorted(allowed)) or "nothing"
        super().__init__(f"the job is {state} and cannot become {wanted}; it may become: {may}")
        self.state = state
        self.allowed = sorted(allowed)


class NotInState(StoreError):
    """The job is not in a state in which this can be asked of it."""

    def __init__(self, state: str, what: str, allowed: Collection[str]) -> None:
        """Remember what was found and what would do."""
        super().__init__(f"the job is {state}; only one that is {' or '.join(sorted(allowed))} can be {what}")
        self.state = state
        self.allowed = sorted(allowed)


class OriginNotFound(StoreError):
    """The checkpoint that a job is to begin with is not there, or of another family."""


class NoFurther(StoreError):
    """A job is asked to go on to a step that it has reached already."""


class StillNeeded(StoreError):
    """Another job has yet to begin with a checkpoint of this one."""

    def __init__(self, job_id: str, state: str) -> None:
        """Remember where the other job stands."""
        super().__init__(f"job {job_id}, {state}, begins with a checkpoint of this one and has none of its own yet")
        self.state = state


class StillNamed(StoreError):
    """An alias points at this job."""


class AliasNotFound(StoreError):
    """No alias has this name."""


class IdempotencyConflict(StoreError):
    """The idempotency key was used before with another body."""


class KeyNotFound(StoreError):
    """No API key has this id."""


class TooManyJobs(StoreError):
    """An API key has as many unfinished jobs as it may."""


class CursorNotFound(StoreError):
    """The `after` of a list names nothing."""
