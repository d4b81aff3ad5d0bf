"""A service that trains nothing: one job that comes a little further each time somebody looks."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

JOB = "0196a5b0-0000-7000-8000-000000000000"
TOTAL_STEPS = 20
STEERED = {"cancel": "cancelling", "pause": "pausing", "resume": "queued", "retry": "queued", "extend": "queued"}
MODEL = {"name": "digits", "job": JOB, "step": "best", "checkpoint": {"step": 5}}
KEY = {"id": JOB, "name": "lab 3", "scopes": ["train"], "revoked_at": None}
PNG = b"\x89PNG\r\n\x1a\n"
MISSPELLED = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "The job spec is not valid.",
    "request_id": "r-1",
    "errors": [{"pointer": "/totl_steps", "detail": "unknown knob; did you mean total_steps?"}],
}


@dataclass
class FakeService:
    """What was asked of it, and where its job stands."""

    url: str = ""
    step: int = 0
    final_state: str = "succeeded"
    error: dict[str, Any] | None = None
    confidence: str | None = None
    posted: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def job(self) -> dict[str, Any]:
        finished = self.step >= TOTAL_STEPS
        return {
            "object": "job",
            "id": JOB,
            "name": "a name",
            "state": self.final_state if finished else "running" if self.step else "queued",
            "state_reason": None,
            "spec": self.posted[-1] if self.posted else {"family": "dcgan", "dataset": "digits"},
            "progress": {
                "step": self.step,
                "total_steps": TOTAL_STEPS,
                "fraction": self.step / TOTAL_STEPS,
                "images_per_second": 1234.5 if self.step else None,
                "eta_seconds": 61.0 if self.step else None,
            },
            "metrics": {"d_loss": 0.5, "g_loss": None} if self.step else {},
            "queue_position": None if self.step else 3,
            "latest_checkpoint": {"step": self.step} if self.step else None,
            "error": self.error if finished else None,
        }

    def look(self) -> dict[str, Any]:
        seen = self.job()
        self.step = min(self.step + 10, TOTAL_STEPS)
        return seen


def page(*entries: dict[str, Any], last_id: str | None = None) -> dict[str, Any]:
    return {
        "object": "list",
        "data": list(entries),
        "has_more": last_id is not None,
        "first_id": None,
        "last_id": last_id,
    }


def curves(query: dict[str, list[str]]) -> dict[str, Any]:
    """Give the curves asked for by name, else `d_loss` on one page and `g_loss` on the next."""
    shown = query.get("name") or (["g_loss"] if "after" in query else ["d_loss"])
    points = [{"step": 1, "value": 0.5}, {"step": 2, "value": None}]
    entries = [{"name": name, "points": points, "total_points": 200} for name in shown]
    return page(*entries, last_id="d_loss" if shown == ["d_loss"] else None)


@contextmanager
def running() -> Iterator[FakeService]:
    service = FakeService()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            spec = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            service.headers.append(dict(self.headers))
            if self.path == "/sample":
                service.posted.append(spec)
                self.picture(seed=spec.get("seed"))
            elif self.path.startswith(("/classify", "/score")):
                service.asked.append(self.path)
                self.look(spec)
            elif self.path == "/keys":
                service.posted.append(spec)
                self.answer(201, {**KEY, **spec, "secret": "gm_secret"})
            elif "totl_steps" in spec:
                self.answer(422, MISSPELLED, "application/problem+json")
            elif self.path.endswith(tuple(STEERED)):
                service.asked.append(self.path)
                service.posted += [spec] if spec else []
                self.answer(202, service.job() | {"state": STEERED[self.path.rpartition("/")[2]]})
            else:
                service.posted.append(spec)
                self.answer(202, service.job())

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service.asked.append(f"PUT {self.path}")
            service.posted.append(body)
            self.answer(201, {**body, "name": self.path.rpartition("/")[2], "checkpoint": None})

        def do_DELETE(self) -> None:
            service.asked.append(f"DELETE {self.path}")
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            service.asked.append(self.path)
            service.headers.append(dict(self.headers))
            path = urlsplit(self.path).path
            at = "2026-11-21T05:00:00Z"
            lists = {
                "/jobs": page(service.job()),
                f"/jobs/{JOB}/events": page({"id": 1, "type": "state", "at": at, "data": {"to": "queued"}}),
                f"/jobs/{JOB}/checkpoints": page(
                    {"step": 5, "created_at": at, "files": {"card.json": {"sha256": "00", "size": 1}}, "metrics": {}}
                ),
                f"/jobs/{JOB}/metrics": curves(parse_qs(urlsplit(self.path).query)),
                f"/jobs/{JOB}/logs": page(
                    {"id": 3, "number": 1, "worker": "a-worker", "state": "failed", "log": "Traceback: disk full"},
                    {"id": 4, "number": 2, "worker": "a-worker", "state": None, "log": ""},
                ),
                f"/jobs/{JOB}/previews": page({"step": 5, "score": 0.25}),
                "/models": page(MODEL, {**MODEL, "name": "letters", "step": 5, "checkpoint": None}),
                "/models/digits": MODEL,
                "/keys": page(KEY, {**KEY, "revoked_at": at}),
                "/families": page({"name": "dcgan"}),
                "/workers": page({"id": "a-worker"}),
                "/readyz": {"status": "ready"},
                "/jobs/proxy": None,
            }
            if path == f"/jobs/{JOB}":
                self.answer(200, service.look())
            elif path in ("/sample", "/interpolate"):
                self.picture()
            elif lists.get(path):
                self.answer(200, lists[path])
            else:
                self.send_error(502)

        def look(self, images: dict[str, Any]) -> None:
            service.posted.append(images)
            shown = {"label": 7, "label_name": "seven", "probability": 0.75, "probabilities": {"seven": 0.75}}
            results = [shown] if self.path.startswith("/classify") else [{"logit": -1.5, "probability": 0.1824}]
            self.answer(200, {"job_id": JOB, "step": 10, "results": results})

        def picture(self, seed: int | None = 42) -> None:
            self.send_response(200)
            label = parse_qs(urlsplit(self.path).query).get("label", ["3"])[0]
            told = {"X-Label": label, "X-Checkpoint-Step": "10", "X-Job-ID": JOB}
            if seed is not None:
                told["X-Seed"] = str(seed)
            if service.confidence is not None:
                told["X-Label-Confidence"] = service.confidence
            for name, value in {**told, "Content-Type": "image/png", "Content-Length": str(len(PNG))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(PNG)

        def answer(self, status: int, document: Any, media_type: str = "application/json") -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            """Say nothing: a test's output is its own."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
