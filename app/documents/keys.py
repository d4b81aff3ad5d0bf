"""API keys, and who changed what."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from store.audit import Entry
from store.keys import Key, Scope


class KeyDocument(BaseModel):
    """An API key; its secret is told once, when it is made."""

    object: Literal["key"] = "key"
    id: str
    name: str
    prefix: Annotated[str, Field(description="The first characters of its secret, to tell keys apart by.")]
    scopes: list[Scope]
    requests_per_minute: int
    images_per_day: int
    unfinished_jobs: int
    created_at: datetime
    expires_at: Annotated[datetime | None, Field(description="Null: it is good until it is revoked.")]
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: Key) -> "KeyDocument":
        """Describe a key."""
        return cls.model_validate({**vars(key), "scopes": list(key.scopes)})


class NewKeyDocument(KeyDocument):
    """An API key that was just made."""

    secret: Annotated[str, Field(description="What goes after `Bearer`. It is told now and never again.")]


class ChangeDocument(BaseModel):
    """One thing that was changed."""

    object: Literal["change"] = "change"
    id: Annotated[int, Field(description="Rises with time; what a list is resumed from.")]
    at: datetime
    key: Annotated[str | None, Field(description="The id of the key that asked for it; null: none was needed.")]
    action: Annotated[str, Field(description="What was done: `job.post`, `model.put`, `key.revoke`, …")]
    target: Annotated[str, Field(description="To what: the id of a job or key, or a model's name.")]
    request_id: Annotated[str | None, Field(description="The `X-Request-ID` of the answer; null: the command line.")]

    @classmethod
    def of(cls, entry: Entry) -> "ChangeDocument":
        """Describe an entry of the audit."""
        return cls.model_validate({**vars(entry), "id": entry.seq, "key": entry.key_id})
