"""Conditional requests: strong entity tags, and whether the client has the answer already."""

import hashlib
import json

from starlette.responses import Response


def entity_tag(*parts: object) -> str:
    """Return a strong entity tag of everything that the answer's bytes depend on."""
    return f'"{hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()}"'


def is_fresh(if_none_match: str | None, tag: str) -> bool:
    """Tell whether `If-None-Match` names this tag (RFC 9110, 13.1.2: compared weakly)."""
    if if_none_match is None:
        return False
    given = [item.strip().removeprefix("W/") for item in if_none_match.split(",")]
    return "*" in given or tag.removeprefix("W/") in given


def not_modified(headers: dict[str, str]) -> Response:
    """Answer that the client's copy is good."""
    return Response(status_code=304, headers=headers)
