"""What can go wrong between a caller and the service, by name.

GanymedeError
├── ApiError           the service answered with a problem
├── ConnectionFailed   the service could not be reached
└── JobNotFinished     waiting for a job took longer than asked
"""

from collections.abc import Sequence
from dataclasses import dataclass


class GanymedeError(Exception):
    """Something asked of a Ganymede service cannot be had."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with what was sent: `pointer` is a JSON pointer to it, `detail` what is allowed."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class ApiError(GanymedeError):
    """The service refused: `status` is the HTTP status, `errors` name the fields."""

    def __init__(
        self, status: int, title: str, detail: str, errors: Sequence[Fault] = (), request_id: str | None = None
    ) -> None:
        super().__init__(status, title, detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id

    def __str__(self) -> str:
        """Say what was refused and why, a line for each fault that the first line does not tell already."""
        told = self.detail or self.title
        return "\n".join([told, *(f"  {fault}" for fault in self.errors if fault.detail != told)])


class ConnectionFailed(GanymedeError):
    """No service answers at this address, or it stopped in the middle."""


class JobNotFinished(GanymedeError):
    """The job was still at work when the time allowed for waiting was over."""
