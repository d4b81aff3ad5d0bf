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


class IdempotencyConflict(StoreError):
    """The idempotency key was used before with another body."""


class CursorNotFound(StoreError):
    """The `after` of a list names nothing."""
