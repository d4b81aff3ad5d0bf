"""The client: one method for each thing the service answers, over one HTTP connection pool."""

import base64
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from json import loads
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from ganymede.answers import (
    Attempt,
    Checkpoint,
    Classification,
    Document,
    Event,
    Family,
    Job,
    Key,
    Model,
    Page,
    Preview,
    Sample,
    Score,
    Series,
    Worker,
)
from ganymede.errors import ApiError, ConnectionFailed, Fault, JobNotFinished

DEFAULT_URL = "http://127.0.0.1:8000"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
POLL_SECONDS = 1.0
QUIET_SECONDS = 60.0  # a stream says something every 15
NOTHING_MORE = 204

Image = bytes | str | Path  # the bytes of a PNG, JPEG or WebP, or where they lie
Query = Mapping[str, str | int | float | Sequence[str] | None]


class Client:
    """A Ganymede service at `url`. Safe to share between threads; close it, or use it in a `with` block."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 60,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect to nothing yet. The key is GANYMEDE_API_KEY's when left out; `transport` replaces the network."""
        api_key = api_key or os.environ.get("GANYMEDE_API_KEY")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout_seconds,
            transport=transport,
            trust_env=httpx.URL(url).host not in LOOPBACK,  # a proxy named in the environment cannot reach this machine
        )

    def submit(self, *, idempotency_key: str | None = None, **spec: Any) -> Job:  # Any: the menu is the service's
        """Post a job: `submit(family="dcgan", conditional=True, dataset="mnist")`; raise ApiError naming a bad knob."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return Job.read(self._send("POST", "/jobs", json=spec, headers=headers).json())

    def job(self, id: str) -> Job:
        """Return a job as it is now."""
        return Job.read(self._json(f"/jobs/{id}"))

    def jobs(
        self,
        *,
        state: str | None = None,
        family: str | None = None,
        dataset: str | None = None,
        name: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Page[Job]:
        """Return one page of jobs, newest first."""
        filters = {"state": state, "family": family, "dataset": dataset, "name": name}
        return Page.read(self._json("/jobs", {**filters, "after": after, "limit": limit}), Job.read)

    def cancel(self, id: str) -> Job:
        """Stop a job for good; what it has trained so far stays."""
        return Job.read(self._send("POST", f"/jobs/{id}/cancel").json())

    def pause(self, id: str) -> Job:
        """Set a job aside; one that runs writes a checkpoint first."""
        return Job.read(self._send("POST", f"/jobs/{id}/pause").json())

    def resume(self, id: str) -> Job:
        """Put a paused job back into the queue."""
        return Job.read(self._send("POST", f"/jobs/{id}/resume").json())

    def retry(self, id: str) -> Job:
        """Queue a new job like one that failed or was cancelled, from its newest checkpoint if there is one."""
        return Job.read(self._send("POST", f"/jobs/{id}/retry").json())

    def extend(self, id: str, total_steps: int) -> Job:
        """Queue a new job that trains a finished one further, to `total_steps` in all."""
        return Job.read(self._send("POST", f"/jobs/{id}/extend", json={"total_steps": total_steps}).json())

    def delete(self, id: str) -> None:
        """Forget a finished job and all that it has drawn and learned."""
        self._send("DELETE", f"/jobs/{id}")

    def logs(self, id: str, *, after: int | None = None, limit: int | None = None) -> Page[Attempt]:
        """Return one page of the attempts at a job, oldest first, with the end of what each one's process said."""
        return Page.read(self._json(f"/jobs/{id}/logs", {"after": after, "limit": limit}), Attempt.read)

    def metrics(
        self,
        id: str,
        *,
        name: Sequence[str] | None = None,
        from_step: int | None = None,
        max_points: int | None = None,
    ) -> dict[str, Series]:
        """Return a job's curves by name; a long one is thinned to `max_points`, extremes kept."""
        query = {"name": name, "from_step": from_step, "max_points": max_points}
        curves: dict[str, Series] = {}
        after, has_more = None, True
        while has_more:
            page = Page.read(self._json(f"/jobs/{id}/metrics", {**query, "after": after}), Series.read)
            curves |= {series.name: series for series in page}
            after, has_more = page.last_id, page.has_more
        return curves

    def events(self, id: str, *, after: int | None = None, limit: int | None = None) -> Page[Event]:
        """Return one page of what happened to a job, oldest first."""
        return Page.read(self._json(f"/jobs/{id}/events", {"after": after, "limit": limit}), Event.read)

    def follow(self, id: str, *, after: int = 0) -> Iterator[Event]:
        """Yield what happens to a job as it happens, up to `done`; a stream that breaks off is taken up again."""
        while True:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            try:
                with self._http.stream("GET", f"/jobs/{id}/events", headers=headers, timeout=QUIET_SECONDS) as stream:
                    if not stream.is_success:
                        stream.read()
                        raise _refusal(stream)
                    if stream.status_code == NOTHING_MORE:
                        return
                    for event in _events(stream.iter_lines()):
                        after = event.id
                        yield event
                        if event.type == "done":
                            return
            except httpx.ConnectError as error:
                raise ConnectionFailed(_unreachable(self.url, error)) from error
            except httpx.TransportError:
                pass  # taken up again where it broke off
            time.sleep(POLL_SECONDS)

    def checkpoints(self, id: str, *, after: int | None = None, limit: int | None = None) -> Page[Checkpoint]:
        """Return one page of a job's checkpoints, newest first."""
        return Page.read(self._json(f"/jobs/{id}/checkpoints", {"after": after, "limit": limit}), Checkpoint.read)

    def previews(self, id: str, *, after: int | None = None, limit: int | None = None) -> Page[Preview]:
        """Return one page of a job's previews."""
        return Page.read(self._json(f"/jobs/{id}/previews", {"after": after, "limit": limit}), Preview.read)

    def sample(
        self,
        *,
        label: int | str | None = None,
        n: int | None = None,
        seed: int | None = None,
        index: int | None = None,
        job: str | None = None,
        model: str | None = None,
        step: int | str | None = None,
        format: str | None = None,
        grid: str | None = None,
        scale: int | None = None,
        truncation: float | None = None,
    ) -> Sample:
        """Draw images: of one label, `n` of them, as `png`, `npz` or `json`; the same seed draws the same bytes.

        `index` is the first image's place in the seed's row: with `n` of 1, that image alone.
        The smaller `truncation`, from 4 down, the more usual and alike the images of a model with normal noise.
        Raises ApiError of status 503 when a model that chooses images of a label finds none that it is sure of.
        """
        query = {"label": label, "n": n, "seed": seed, "index": index}
        source = {"job": job, "model": model, "step": step}
        look = {"format": format, "grid": grid, "scale": scale, "truncation": truncation}
        return _sample(self._send("GET", "/sample", {**query, **source, **look}))

    def sample_each(
        self,
        *,
        labels: Sequence[int | str] | None = None,
        seeds: Sequence[int] | None = None,
        latents: Sequence[Sequence[float]] | None = None,
        seed: int | None = None,
        job: str | None = None,
        model: str | None = None,
        step: int | str | None = None,
        format: str | None = None,
        grid: str | None = None,
        scale: int | None = None,
        truncation: float | None = None,
    ) -> Sample:
        """Draw an image for each of a list of labels, of seeds or of latent vectors; labels may stand beside others.

        `seed` is for labels alone. Raises as `sample`.
        """
        lists = {"labels": labels, "seeds": seeds, "latents": latents, "seed": seed}
        source = {"job": job, "model": model, "step": step}
        look = {"format": format, "grid": grid, "scale": scale, "truncation": truncation}
        wanted = {name: value for name, value in {**lists, **source, **look}.items() if value is not None}
        return _sample(self._send("POST", "/sample", json=wanted))

    def interpolate(
        self,
        from_seed: int,
        to_seed: int,
        *,
        label: int | str | None = None,
        frames: int | None = None,
        job: str | None = None,
        model: str | None = None,
        step: int | str | None = None,
        format: str | None = None,
        scale: int | None = None,
    ) -> Sample:
        """Draw the way from one seed's image to another's: a strip as `png`, an animation as `webp`, or `npz`."""
        query = {"from_seed": from_seed, "to_seed": to_seed, "label": label, "frames": frames}
        source = {"job": job, "model": model, "step": step}
        return _sample(self._send("GET", "/interpolate", {**query, **source, "format": format, "scale": scale}))

    def classify(
        self, image: Image, *, job: str | None = None, model: str | None = None, step: int | str | None = None
    ) -> Classification:
        """Tell what an image shows: a PNG, JPEG or WebP of the model's size, by path or as bytes."""
        (found,) = Classification.read(self._look("/classify", image, {"job": job, "model": model, "step": step}))
        return found

    def score(
        self,
        image: Image,
        *,
        label: int | str | None = None,
        job: str | None = None,
        model: str | None = None,
        step: int | str | None = None,
    ) -> Score:
        """Tell how real an image looks to the discriminator, which may ask for the label that it is to show."""
        query = {"label": label, "job": job, "model": model, "step": step}
        (found,) = Score.read(self._look("/score", image, query))
        return found

    def models(self, *, after: str | None = None, limit: int | None = None) -> Page[Model]:
        """Return one page of the names that serve."""
        return Page.read(self._json("/models", {"after": after, "limit": limit}), Model.read)

    def model(self, name: str) -> Model:
        """Return what a name stands for."""
        return Model.read(self._json(f"/models/{name}"))

    def set_model(self, name: str, job: str, step: int | str = "latest") -> Model:
        """Let a name stand for a job's newest checkpoint, its `best` one, or that of a step; `default` for all."""
        return Model.read(self._send("PUT", f"/models/{name}", json={"job": job, "step": step}).json())

    def delete_model(self, name: str) -> None:
        """Forget a name; the job that it stood for stays."""
        self._send("DELETE", f"/models/{name}")

    def create_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        expires_in_days: int | None = None,
        requests_per_minute: int | None = None,
        images_per_day: int | None = None,
        unfinished_jobs: int | None = None,
    ) -> Key:
        """Make an API key for `read`, `sample`, `train` or `admin`; only this answer has its `secret`."""
        what = {"name": name, "scopes": list(scopes), "expires_in_days": expires_in_days}
        limits = {"requests_per_minute": requests_per_minute, "images_per_day": images_per_day}
        asked = {**what, **limits, "unfinished_jobs": unfinished_jobs}
        wanted = {field: value for field, value in asked.items() if value is not None}
        return Key.read(self._send("POST", "/keys", json=wanted).json())

    def keys(self, *, after: str | None = None, limit: int | None = None) -> Page[Key]:
        """Return one page of API keys, newest first, without their secrets."""
        return Page.read(self._json("/keys", {"after": after, "limit": limit}), Key.read)

    def revoke_key(self, id: str) -> None:
        """Let an API key open nothing more, for good."""
        self._send("DELETE", f"/keys/{id}")

    def families(self) -> list[Family]:
        """Return the kinds of GAN that can be asked for."""
        return [Family.read(entry) for entry in self._json("/families")["data"]]

    def workers(self) -> list[Worker]:
        """Return who trains, and on what."""
        return [Worker.read(entry) for entry in self._json("/workers")["data"]]

    def ready(self) -> bool:
        """Return whether the service can take and answer requests."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def wait(
        self, id: str, on_progress: Callable[[Job], object] | None = None, *, timeout_seconds: float | None = None
    ) -> Job:
        """Return the job once it is finished; `on_progress` sees it about once a second until then.

        Raises JobNotFinished when `timeout_seconds` pass first. A failed job is returned, not raised.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            job = self.job(id)
            if on_progress is not None:
                on_progress(job)
            if job.is_finished:
                return job
            if deadline is not None and time.monotonic() >= deadline:
                raise JobNotFinished(f"job {id} is still {job.state}, at step {job.progress.step}")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Keep the connections for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def _look(self, path: str, image: Image, query: Query) -> Document:
        content = image if isinstance(image, bytes) else Path(image).read_bytes()
        images = {"images": [base64.b64encode(content).decode()]}
        document: Document = self._send("POST", path, query, json=images).json()
        return document

    def _json(self, path: str, query: Query | None = None) -> Document:
        document: Document = self._send("GET", path, query).json()
        return document

    def _send(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        json: Document | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request; raise ApiError for a problem, ConnectionFailed when nobody answers."""
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            response = self._http.request(method, path, params=asked, json=json, headers=headers)
        except httpx.TransportError as error:
            raise ConnectionFailed(_unreachable(self.url, error)) from error
        if not response.is_success:
            raise _refusal(response)
        return response


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """Read a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return (Event.read(loads(line.removeprefix("data: "))) for line in lines if line.startswith("data: "))


def _sample(response: httpx.Response) -> Sample:
    headers = response.headers
    return Sample(
        content=response.content,
        media_type=headers["Content-Type"].partition(";")[0],
        seed=int(headers["X-Seed"]) if "X-Seed" in headers else None,
        label=headers.get("X-Label"),
        step=int(headers["X-Checkpoint-Step"]),
        job=headers["X-Job-ID"],
        url=str(response.request.url),
        confidence=float(headers["X-Label-Confidence"]) if "X-Label-Confidence" in headers else None,
    )


def _refusal(response: httpx.Response) -> ApiError:
    """Read a problem document; an answer that is none (a proxy's page, say) keeps its status at least."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    faults = [Fault(entry.get("pointer", ""), entry["detail"]) for entry in problem.get("errors") or []]
    title = problem.get("title") or f"HTTP {response.status_code} {response.reason_phrase}"
    return ApiError(response.status_code, title, problem.get("detail") or "", faults, problem.get("request_id"))


def _unreachable(url: str, error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"{url} took too long to answer."
    return f"No Ganymede service answers at {url}. Start one with `ganymede up`, or name another with --url."
