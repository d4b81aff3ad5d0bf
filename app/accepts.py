"""What a client would rather have."""

from collections.abc import Sequence


def prefers(accept: str, kind: str) -> bool:
    """Tell whether an `Accept` header ranks a media type above JSON."""
    ranks: dict[str, float] = {}
    for item in accept.split(","):
        named, *parameters = (part.strip().lower() for part in item.split(";"))
        ranks[named] = _quality(parameters)
    return ranks.get(kind, 0) > ranks.get("application/json", 0)


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0
    return 1
