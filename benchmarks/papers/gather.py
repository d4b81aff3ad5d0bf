"""Runs as jobs of a service of one's own: what is not recorded yet is submitted, what has ended is recorded."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.papers import provenance, records
from benchmarks.papers.records import Record, Series, Spec
from ganmodels.specs import NUMERICS_VERSION
from ganymede import Client, Job
from ganymede.stack import Stack

POLL_SECONDS = 5.0
MOST_POINTS = 10_000
LOST = ("worker_lost", "child_lost")  # the machine's failures, of which the run knows nothing: it goes on
TIMES = ("started_at", "finished_at")


@dataclass
class Gathering:
    """The runs that are wanted, the file they are recorded in, and the curves to keep of each."""

    wanted: Mapping[str, Spec]
    series: Mapping[str, tuple[str, ...]]
    path: Path
    jobs: dict[str, str] = field(default_factory=dict)  # key of a run: id of its job
    lost: dict[str, list[str]] = field(default_factory=dict)  # and of those that it goes on from

    def run(self, home: Path, workers: int, deadline: float) -> None:
        """Submit what is missing and record what ends, until then at most; jobs go on where they stopped next time."""
        if not any(self._missing()):
            return
        with Stack(home, workers=workers) as stack, Client(stack.url) as client:
            for key, spec in self._missing():
                self.jobs[key] = client.submit(**spec, idempotency_key=f"{key}-{provenance.commit()}").id
                print(f"waiting for {self.jobs[key]}: {spec['name']}", flush=True)
            while self.jobs and time.monotonic() < deadline:
                self._record_ended(client)
                time.sleep(POLL_SECONDS)

    def _missing(self) -> Iterator[tuple[str, Spec]]:
        there = records.load(self.path)
        return ((key, spec) for key, spec in self.wanted.items() if key not in there)

    def _record_ended(self, client: Client) -> None:
        for key, id in list(self.jobs.items()):
            job = client.job(id)
            if job.error and job.error.code in LOST:
                self.jobs[key] = client.retry(id).id
                self.lost.setdefault(key, []).append(id)
            elif job.is_finished:
                there = records.load(self.path)
                there[key] = self._record(client, key, job)
                records.save(self.path, there.values())
                del self.jobs[key]
                print(f"{job.state}: {job.name} in {there[key].seconds:.0f} s", flush=True)

    def _record(self, client: Client, key: str, job: Job) -> Record:
        names = [name for name in self.series[key] if name in job.metrics]
        ids = [*self.lost.get(key, []), job.id]
        times = {name: datetime.fromisoformat(job.document[name] or job.document["created_at"]) for name in TIMES}
        return Record(
            key=key,
            spec=self.wanted[key],
            figures=dict(job.metrics),
            series=_curves(client, ids, names),
            verdicts=[verdict for id in ids for verdict in _verdicts(client, id)],
            state=job.state,
            reason=job.error.message if job.error else job.state_reason,
            seconds=round((times["finished_at"] - times["started_at"]).total_seconds(), 1),
            commit=provenance.commit(),
            numerics_version=NUMERICS_VERSION,
            hardware=provenance.hardware(),
            finished_at=times["finished_at"].isoformat(timespec="seconds"),
        )


def _curves(client: Client, ids: Sequence[str], names: Sequence[str]) -> dict[str, Series]:
    """Read the curves of a run, of which each job wrote what came after the last checkpoint of the one before."""
    points: dict[str, dict[int, float]] = {name: {} for name in names}
    for id in ids if names else []:
        for each in client.metrics(id, name=list(names), max_points=MOST_POINTS).values():
            points[each.name] |= {step: value for step, value in each.points if value is not None}
    return {name: sorted(found.items()) for name, found in points.items()}


def _verdicts(client: Client, id: str) -> Iterator[tuple[int, str]]:
    """Walk over what the service made of the run's health, by step."""
    after: int | None = None
    while True:
        page = client.events(id, after=after, limit=100)
        yield from ((event.data["step"], event.data["verdict"]) for event in page if event.type == "health")
        if not page.has_more:
            return
        after = page.data[-1].id
