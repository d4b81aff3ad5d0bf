"""The doorkeeper: where keys are needed, nothing of a request is looked at before its key and what that may use.

Where none is, every page that a browser shows could ask: other sites' pages are turned away.
"""

from sqlalchemy.exc import OperationalError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import allowances, errors
from app.access import OPEN
from app.browsers import check_page
from app.destinations import is_loopback
from app.entry import needs_keys
from app.refusals import AllowanceSpent, CrossSite, KeyNeeded, Misdirected
from app.resources import Resources
from store import keys
from store.keys import SECRET, Key
from store.settings import Settings


class Doorkeeper:
    """Wraps the application, inside what happens to every request: hands on the key that came, or answers 401."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._always = needs_keys(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope.setdefault("state", {})["key"] = None
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
        elif self._always or _comes_from_outside(scope):
            await self._serve_holder(scope, receive, send)
        else:
            await self._serve_neighbor(scope, receive, send)

    async def _serve_neighbor(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what comes from this machine, unless a page of another site had a browser ask."""
        try:
            check_page(scope)
        except (Misdirected, CrossSite) as refused:
            await errors.answer(refused)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _serve_holder(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve whoever has a key, as far as it goes."""
        held: Resources = scope["app"].state.resources
        try:
            key = scope["state"]["key"] = await _identify(held, scope)
        except (KeyNeeded, AllowanceSpent, OperationalError) as error:
            await errors.answer(error)(scope, receive, send)
            return

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(await held.allowances.headers(key))
                headers["Cache-Control"] = _private(headers.get("Cache-Control"))
            await send(message)

        try:
            await held.allowances.spend(key, allowances.requests(key))
        except AllowanceSpent as spent:
            await errors.answer(spent)(scope, receive, send_with_limits)
            return
        await self._app(scope, receive, send_with_limits)


def _comes_from_outside(scope: Scope) -> bool:
    """Tell whether the connection's own end is not known to be on loopback, whatever address was asked for."""
    server = scope.get("server")
    return server is None or not is_loopback(server[0])


def _private(said: str | None) -> str:
    """Keep what a key has opened out of caches that others share: some heed neither `Authorization` nor its RFC."""
    return said if said == "no-store" else ", ".join(filter(None, ["private", said]))


async def _identify(held: Resources, scope: Scope) -> Key:
    given = Headers(scope=scope).getlist("Authorization")
    if not given:
        raise KeyNeeded("every request needs an API key, as `Authorization: Bearer <key>` and nowhere else")
    scheme, _, secret = given[0].partition(" ")
    if len(given) == 1 and scheme.lower() == "bearer" and SECRET.fullmatch(secret):
        digest = keys.digest(secret)
        if not held.keyring.has_seen(digest):
            await held.allowances.admit(scope["client"][0] if scope.get("client") else "")
        key = await held.keyring.holder(digest)
        if key is not None:
            return key
    raise KeyNeeded("this is not `Bearer` and a key that is known here, neither revoked nor expired")
