"""The messenger: one thread that tells webhooks what happened, signed, again and again until they have heard it."""

import asyncio
import base64
import os
import random
import secrets
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks import Webhook

from app.destinations import Destination, DestinationRefused, is_loopback, resolve
from store import deliveries
from store.database import Database
from store.deliveries import Delivery
from store.settings import Settings

LOOK_SECONDS = 1.0
AT_ONCE = 20
PATIENCE_SECONDS = 15.0  # for a whole try, however slowly its answer comes
LEASE = timedelta(minutes=1)
FIRST_PAUSE = timedelta(seconds=5)
MOST_TRIES = 8  # the last some ten minutes after the first
GONE = 410  # says of itself that it wants to hear no more

log = structlog.get_logger()


class TryFailed(Exception):
    """The receiver did not take the message; the message says why."""


class Messenger:
    """Sends what is due, many at once, and writes how it went as events of the job."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Do nothing until started."""
        self._database = database
        self.tries = Counter[str]()  # so far, by how they went
        self._loopback = is_loopback(settings.host)
        self._signature = Webhook(secret_of(settings))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; tries under way are left to be made again."""
        self._stopped.set()
        self._thread.join(LOOK_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                asyncio.run(self.send_due())
            except SQLAlchemyError as error:  # what is due stays due
                log.warning("messenger failed", error=str(error))

    async def send_due(self) -> int:
        """Try everything that is due; return how much that was."""
        with self._database.write() as connection:
            due = deliveries.take(connection, AT_ONCE, LEASE)
        if due:
            limits = httpx.Limits(max_connections=AT_ONCE)
            async with httpx.AsyncClient(trust_env=False, follow_redirects=False, limits=limits) as client:
                await asyncio.gather(*(self._try(client, delivery) for delivery in due))
        return len(due)

    async def _try(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await self._post(client, delivery)
        except DestinationRefused as refusal:
            self._settle(delivery, "webhook_refused", {"reason": str(refusal)}, None)
        except TimeoutError:
            self._failed(delivery, f"no answer in {PATIENCE_SECONDS:g} s")
        except (httpx.HTTPError, TryFailed, OSError) as failure:
            self._failed(delivery, str(failure) or type(failure).__name__)
        else:
            self._settle(delivery, "webhook_delivered", {"status": status}, None)

    async def _post(self, client: httpx.AsyncClient, delivery: Delivery) -> int:
        """Send one message and return the status; of the answer nothing else is read."""
        *others, last = await resolve(delivery.url, self._loopback)
        for destination in others:
            with suppress(httpx.ConnectError):  # a name may have an address that nobody listens at
                return await self._post_to(client, delivery, destination)
        return await self._post_to(client, delivery, last)

    async def _post_to(self, client: httpx.AsyncClient, delivery: Delivery, destination: Destination) -> int:
        at = datetime.now(UTC)
        headers = {
            "Host": destination.host,
            "Content-Type": "application/json",
            "User-Agent": "Ganymede",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signature.sign(delivery.id, at, delivery.body),
        }
        names = {"sni_hostname": destination.name}
        content = delivery.body.encode()
        sending = client.stream("POST", destination.url, content=content, headers=headers, extensions=names)
        async with sending as answer:
            if answer.is_redirect:
                raise TryFailed(f"it answered {answer.status_code}, and redirects are not followed")
            if answer.status_code == GONE:
                raise DestinationRefused("it answered 410: it wants to hear no more")
            if not answer.is_success:
                raise TryFailed(f"it answered {answer.status_code}")
            return answer.status_code

    def _failed(self, delivery: Delivery, reason: str) -> None:
        """Try again later, each time after twice as long and never when everybody else does; or give up."""
        over = delivery.tries >= MOST_TRIES
        again = None if over else FIRST_PAUSE * 2 ** (delivery.tries - 1) * random.uniform(0.8, 1.2)
        later = {} if again is None else {"again_in_seconds": round(again.total_seconds())}
        self._settle(delivery, "webhook_failed", {"reason": reason, **later}, again)

    def _settle(self, delivery: Delivery, type_: str, data: Mapping[str, Any], again: timedelta | None) -> None:
        log.info(type_, delivery=delivery.id, host=urlsplit(delivery.url).hostname, **data)  # a path may be a secret
        self.tries[type_] += 1
        with self._database.write() as connection:
            deliveries.settle(connection, delivery, type_, data, again)


def secret_of(settings: Settings) -> str:
    """Return what is signed with: as set, or as made for this home the first time."""
    if settings.webhook_secret is not None:
        return settings.webhook_secret.get_secret_value()
    kept = settings.home.absolute() / "webhook-secret"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        with tempfile.NamedTemporaryFile("w", dir=kept.parent) as fresh:  # the owner's alone: mode 0600
            fresh.write(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
            fresh.flush()
            with suppress(FileExistsError):  # of two that begin together one is first, and its secret whole
                os.link(fresh.name, kept)
    return kept.read_text().strip()
