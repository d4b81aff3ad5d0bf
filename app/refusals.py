"""What the API itself refuses, by name; `app/errors.py` alone turns these into status codes."""

from collections.abc import Collection
from datetime import timedelta


class Refusal(Exception):
    """Something asked for cannot be answered; the message says what was found and what would do."""


class KeyNeeded(Refusal):
    """No API key came with the request, or one that is not good."""


class ScopeMissing(Refusal):
    """The API key that came is good, and not for this."""

    def __init__(self, scope: str, found: Collection[str]) -> None:
        """Remember what it would have to be good for."""
        super().__init__(f"this needs a key of the scope `{scope}`; this one has: {', '.join(found)}")
        self.scope = scope


class Misdirected(Refusal):
    """The request is for another machine, as it says itself, and came here all the same."""


class CrossSite(Refusal):
    """A page of another site would have a browser change something here."""


class AllowanceSpent(Refusal):
    """The API key has used what it may for now; `retry_after` says when there is more."""

    def __init__(self, detail: str, retry_after: timedelta) -> None:
        """Remember when asking again makes sense."""
        super().__init__(detail)
        self.retry_after = retry_after


class InputRefused(Refusal):
    """A parameter has a value that cannot be meant; `pointer` names it."""

    def __init__(self, pointer: str, detail: str) -> None:
        """Remember which parameter it was."""
        super().__init__(detail)
        self.pointer = pointer


class JsonMalformed(Refusal):
    """The body is declared as JSON and is none."""


class MediaTypeRefused(Refusal):
    """The body is not declared as anything that can be read here."""


class ImageTooLarge(Refusal):
    """An uploaded image has more bytes than one may have."""


class FamilyNotFound(Refusal):
    """No family has this name."""


class FileNotInCheckpoint(Refusal):
    """The checkpoint has no file of this name."""


class NothingToServe(Refusal):
    """No job has a checkpoint, and none is under way."""


class NothingToServeYet(Refusal):
    """The job has no checkpoint that can answer; `retry_after` says when it may have one, if ever."""

    def __init__(self, detail: str, retry_after: timedelta | None) -> None:
        """Remember when asking again makes sense."""
        super().__init__(detail)
        self.retry_after = retry_after


class FileDamaged(Refusal):
    """A stored file is missing, or is not what its digest says."""


class NoneSureEnough(Refusal):
    """No candidate for an image shows the label that is asked for with enough confidence."""


class NotFinite(Refusal):
    """A network's answer is no number."""


class Crowded(Refusal):
    """More is waiting to be drawn than is worth waiting for."""


class NotReady(Refusal):
    """The service lacks something it cannot answer without; `checks` says what of each part."""

    def __init__(self, detail: str, checks: dict[str, dict[str, str | bool]]) -> None:
        """Remember what each part said."""
        super().__init__(detail)
        self.checks = checks
