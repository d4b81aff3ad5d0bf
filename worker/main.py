"""The Celery process: hears the doorbell, and runs the supervisor from its start to its warm shutdown."""

from typing import Any

from celery.signals import setup_logging, worker_init, worker_shutdown, worker_shutting_down

from store import logs
from store.doorbell import WAKE, celery_app
from store.settings import Settings
from worker.supervisor import Supervisor

logs.configure("celery")
settings = Settings()
celery = celery_app(settings)
supervisor = Supervisor(settings)


@celery.task(name=WAKE)
def wake() -> None:
    """Look for a job now; whether there is one is the database's to say."""
    supervisor.wake()


@setup_logging.connect
def keep_logging(**_: Any) -> None:  # Any: what Celery tells its signals
    """Have Celery log as it is told above: it does not set up anything where somebody hears this."""


@worker_init.connect
def start(**_: Any) -> None:
    """Claim from the first moment, whether Redis is there or not."""
    supervisor.start()


@worker_shutting_down.connect
def drain(**_: Any) -> None:
    """Give the running job back before Celery stops."""
    supervisor.drain()


@worker_shutdown.connect
def join(**_: Any) -> None:
    """Stay until the job has been given back."""
    supervisor.drain()
    supervisor.join()
