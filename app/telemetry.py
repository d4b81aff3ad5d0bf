"""Telemetry: what this process has done, and what the whole service does, as families of metrics for Prometheus."""

import threading
from collections.abc import Iterator
from functools import cache

from prometheus_client import Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Scope

from app.resources import Resources
from store import census, claims, workers
from store.census import Census
from store.workers import Worker

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "other"  # a method or a path that no route takes: clients may invent as many as they like
PATIENCE_SECONDS = 5.0  # for a scrape that asks the database already; scrapers wait ten
TRIES = {"delivered": "webhook_delivered", "failed": "webhook_failed", "refused": "webhook_refused"}

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began: nobody asks


class RequestFigures(Collector):
    """Requests that this process has answered; written on the event loop, some microseconds each."""

    def __init__(self) -> None:
        """Count from 0."""
        labels = ["method", "route"]
        told = "Requests answered; status 0: the client left before."
        self._answered = Counter("ganymede_http_requests", told, [*labels, "status"], registry=None)
        told = "Time until the whole answer was sent, in seconds."
        self._took = Histogram("ganymede_http_request_duration_seconds", told, labels, buckets=SECONDS, registry=None)
        self._in_flight = Gauge("ganymede_http_requests_in_flight", "Requests being answered.", registry=None)
        self._bound = cache(self._bind)

    def began(self) -> None:
        """Count a request that has come."""
        self._in_flight.inc()

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one that has been answered."""
        self._in_flight.dec()
        method = scope["method"] if scope["method"] in METHODS else OTHER
        answered, took = self._bound(method, getattr(scope.get("route"), "path", OTHER), status)
        answered.inc()
        took.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Give what was counted."""
        for each in (self._answered, self._took, self._in_flight):
            yield from each.collect()

    def _bind(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._answered.labels(method, route, status), self._took.labels(method, route)


class Telemetry(Collector):
    """Everything that is told, gathered anew each time it is asked for."""

    def __init__(self, requests: RequestFigures, held: Resources) -> None:
        """Ask nobody yet."""
        self._requests = requests
        self._held = held
        self._process = ProcessCollector(registry=None)
        self._asking = threading.Lock()

    def text(self) -> bytes:
        """Return Prometheus' text format."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Give every family of metrics; without a database those of this process alone."""
        yield from self._requests.collect()
        yield from self._process.collect()
        yield from _of_process(self._held)
        found = self._ask()
        yield _gauge("ganymede_database_up", "Whether the database has answered this scrape.", float(found is not None))
        if found is not None:
            yield from _of_service(*found)

    def _ask(self) -> tuple[Census, list[Worker]] | None:
        """Ask the database, one scrape at a time: one that hangs must not take all threads with it."""
        if not self._asking.acquire(timeout=PATIENCE_SECONDS):
            return None
        try:
            with self._held.database.read() as connection:
                alive = workers.alive(connection, self._held.settings.longest_silence)
                return census.take(connection), alive
        except SQLAlchemyError:
            return None
        finally:
            self._asking.release()


def _of_process(held: Resources) -> Iterator[Metric]:
    studio = held.studio
    drawn = {"together": studio.images, "apart": studio.images_apart}
    tries = {outcome: held.messenger.tries[type_] for outcome, type_ in TRIES.items()}
    yield _counters("ganymede_images_drawn", "Images drawn, by whether others shared the pass.", "how", drawn)
    yield _counter("ganymede_executions", "Passes through a network, for the images drawn together.", studio.executions)
    yield _counter("ganymede_requests_crowded", "Requests refused because too many images waited.", studio.refused)
    yield _gauge("ganymede_event_streams", "Event streams open.", held.broadcast.listeners)
    yield _counters("ganymede_webhook_tries", "Webhooks sent, each try, by how it went.", "outcome", tries)


def _of_service(found: Census, alive: list[Worker]) -> Iterator[Metric]:
    states = {state.value: count for state, count in found.jobs.items()}
    failures = {claims.WORKER_LOST: 0, **found.failed_attempts}
    wait = found.longest_wait.total_seconds()
    yield _gauges("ganymede_jobs", "Jobs, by state.", "state", states)
    yield _gauge("ganymede_queue_longest_wait_seconds", "How long the first job of the queue has waited.", wait)
    yield _gauge("ganymede_training_images_per_second", "Of all jobs that run.", found.images_per_second)
    told = "Attempts that failed, by the error's code; worker_lost: a lease ended unrenewed."
    yield _counters("ganymede_attempts_failed", told, "code", failures)
    yield _gauge("ganymede_workers", "Workers alive.", len(alive))
    used = {each.id: each.memory_used_bytes for each in alive if each.memory_used_bytes is not None}
    total = {each.id: each.memory_total_bytes for each in alive if each.memory_total_bytes is not None}
    yield _gauges("ganymede_gpu_memory_used_bytes", "Taken on a worker's GPU, by whomever.", "worker", used)
    yield _gauges("ganymede_gpu_memory_bytes", "Of a worker's GPU.", "worker", total)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value)


def _counter(name: str, told: str, value: float) -> Metric:
    return CounterMetricFamily(name, told, value)


def _gauges(name: str, told: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _counters(name: str, told: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, told, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
