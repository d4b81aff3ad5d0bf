"""Browsers: what every answer tells them, and which of their pages may ask where no key is needed."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

from app.destinations import is_loopback
from app.inputs import shown
from app.refusals import CrossSite, Misdirected

RawHeader = tuple[bytes, bytes]

ALWAYS: tuple[RawHeader, ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-site"),  # a notebook on another port of this machine may show pictures
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
INSTEAD = "ask for 127.0.0.1 or localhost, or start the service with GANYMEDE_AUTH=true and send a key"


def with_policies(headers: Sequence[RawHeader]) -> list[RawHeader]:
    """Return an answer's headers and those of `ALWAYS` that it does not have itself."""
    said = dict(headers)
    return [*headers, *(each for each in ALWAYS if each[0] not in said)]


def check_page(scope: Scope) -> None:
    """Refuse what a page of another site has a browser ask, where whoever asks is answered.

    Raises Misdirected for a host that is not this machine's own, as of a name that was made to lead here, and CrossSite
    for a change that another site asks for.
    """
    headers = Headers(scope=scope)
    host = headers.get("Host", "")
    if not is_loopback(_name(host)):
        raise Misdirected(f"without a key only this machine is answered, and `Host` is {shown(host)}; {INSTEAD}")
    if scope["method"] not in SAFE and not _is_near(headers):
        origin = shown(headers.get("Origin", "another site"))
        raise CrossSite(f"without a key only pages of this machine may change anything, not {origin}; {INSTEAD}")


def _is_near(headers: Headers) -> bool:
    """Tell whether no page asks, or one of this machine; browsers that do not say how near it is say where it is."""
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None:
        return site != "cross-site"
    return origin is None or is_loopback(_name(origin.partition("://")[2]))


def _name(place: str) -> str:
    """Return the name or address in `name`, `name:port`, `[address]` or `[address]:port`."""
    name = place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
    return name.lower()
