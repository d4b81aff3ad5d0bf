"""Entry: where keys are needed, the first of them, and the refusal to start where nobody could get in."""

import shlex

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from app.destinations import is_loopback
from store import audit, keys
from store.audit import OPERATOR
from store.database import Database
from store.keys import SECRET, Scope
from store.settings import Settings


class NoEntry(Exception):
    """The service must not start like this: nobody could get in, or the first key is none. The message says why."""


def needs_keys(settings: Settings) -> bool:
    """Tell whether every request needs a key, wherever it comes in."""
    return settings.auth or not is_loopback(settings.host)


def prepare(settings: Settings, database: Database) -> None:
    """Write the settings' own keys where there was none ever; raise NoEntry where one is needed and there is none."""
    _keep_first(settings, database)
    if needs_keys(settings):
        with database.read() as connection:
            if not keys.any_usable(connection):
                raise NoEntry(
                    f"The API is to listen on {settings.host}, where every request needs a key, and there is none that "
                    f"can be used. Make one first: {_command(settings)}"
                )


def _keep_first(settings: Settings, database: Database) -> None:
    own = [("first", settings.first_key, Scope.ADMIN), ("scrape", settings.scrape_key, Scope.READ)]
    drawn = [(name, _checked(name, secret), scope) for name, secret, scope in own if secret is not None]
    if not drawn:
        return
    try:
        with database.write() as connection:
            if not keys.any_ever(connection):
                for name, secret, scope in drawn:
                    key = keys.add(connection, secret, name, [scope])
                    audit.append(connection, OPERATOR, "key.create", key.id)
    except IntegrityError:  # another process that starts at the same time was quicker
        return


def _checked(name: str, key: SecretStr) -> str:
    secret = key.get_secret_value()
    if not SECRET.fullmatch(secret):
        raise NoEntry(
            f"GANYMEDE_{name.upper()}_KEY has {len(secret)} characters that are no key, expected `gm_` and 43 of A-Z, "
            """a-z, 0-9, - and _. Draw one: python -c 'import secrets; print("gm_" + secrets.token_urlsafe(32))'"""
        )
    return secret


def _command(settings: Settings) -> str:
    where = [] if settings.database_url else ["--home", str(settings.home.absolute())]
    return shlex.join(["ganymede", "keys", "create", "admin", "--scope", "admin", *where])
