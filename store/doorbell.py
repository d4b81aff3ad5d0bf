"""The doorbell: a wake-up without arguments, heard by every worker. Losing one costs seconds, a second one a query.

It is broadcast, so that a worker busy with a job cannot swallow the ring that an idle one should have heard.
"""

import structlog
from celery import Celery
from kombu.common import Broadcast
from kombu.entity import Exchange

from store.settings import Settings

WAKE = "ganymede.wake"
EXCHANGE = Exchange("ganymede.doorbell", type="fanout")  # type: ignore[no-untyped-call]  # kombu's types are partial
RINGS_AT_ONCE = 100  # connections: with fewer, rings at a frozen Redis wait for each other's timeouts

log = structlog.get_logger()


def celery_app(settings: Settings) -> Celery:
    """Build the Celery application that rings or, with a `ganymede.wake` task registered, hears.

    That task must return at once. Prefetching is unlimited for the same reason: where Celery pauses a broadcast queue,
    its event loop spins on the unread socket, at the cost of a whole core for as long as the task lasts.
    """
    celery = Celery("ganymede", broker=settings.redis_url)
    timeout = settings.redis_timeout_seconds
    # The routing key is part of the channel's name in Redis: unless both sides say the same, nobody hears.
    queue = Broadcast(EXCHANGE.name, exchange=EXCHANGE, routing_key=WAKE, no_ack=True)  # type: ignore[no-untyped-call]
    celery.conf.update(
        task_queues=(queue,),
        task_routes={WAKE: {"queue": EXCHANGE.name}},
        task_ignore_result=True,
        task_acks_late=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=0,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=timeout,
        broker_pool_limit=RINGS_AT_ONCE,
        broker_transport_options={
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry_on_timeout": False,
            "max_retries": 0,
        },
    )
    return celery


class Doorbell:
    """Rings for the workers, best effort: the database already knows, and they look by themselves in the end."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet."""
        self._celery = celery_app(settings)

    def ring(self) -> bool:
        """Wake every worker; return whether the ring went out, at the latest after two timeouts."""
        try:
            # Declared, else kombu takes the exchange for a direct one and the ring is dropped without a word.
            self._celery.send_task(WAKE, retry=False, declare=[EXCHANGE])
        except Exception as error:  # noqa: BLE001  # whatever Redis throws: a lost ring costs seconds, never a job
            log.warning("doorbell unreachable", error=str(error))
            return False
        return True

    def ping(self) -> bool:
        """Return whether Redis answers."""
        try:
            with self._celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=0)
        except Exception:  # noqa: BLE001  # as above
            return False
        return True
