"""Pages of lists."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

Item = TypeVar("Item")
Id = TypeVar("Id")


class Page(BaseModel, Generic[Item, Id]):
    """One page of a list. Ask for the next with `after=<last_id>` while `has_more`."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool
    first_id: Id | None
    last_id: Id | None

    @classmethod
    def of(cls, data: list[Item], ids: list[Id], has_more: bool) -> "Page[Item, Id]":
        """Describe items by their ids."""
        return cls(data=data, has_more=has_more, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None)
