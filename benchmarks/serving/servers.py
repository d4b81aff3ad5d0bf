"""The servers that are compared, each one process on a port of its own, and the request that each is asked."""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from ganymede.stack import free_port

PEERS = Path(__file__).parent / "peers"
LABEL = 7
PICTURES = (b"\x89PNG", b'["iVBOR')  # as it is, or in a list and in base64
START_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """A running server; `request` builds the next request, no two alike."""

    name: str
    port: int
    request: Callable[[], bytes]
    process: psutil.Process

    @property
    def megabytes(self) -> float:
        """Return the resident memory of all its processes, in MiB."""
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in processes) / 2**20


def asking(path: str) -> Callable[[], bytes]:
    """Build GET requests, each with another seed."""
    seeds = itertools.count()
    return lambda: f"GET {path}&seed={next(seeds)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def posting(path: str, name: str) -> Callable[[], bytes]:
    """Build POST requests with a JSON body, each with another seed; BentoML batches lists."""
    seeds = itertools.count()

    def build() -> bytes:
        asked = {"seed": next(seeds), "label": LABEL}
        body = json.dumps({"asked": [asked]} if name == "bentoml, batched" else asked)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    return build


@contextmanager
def serving(
    name: str,
    command: Callable[[int], list[str]],
    request: Callable[[], bytes],
    environment: Mapping[str, str],
    folder: Path,
) -> Iterator[Server]:
    """Start a server and wait until it answers; end it with all that it has started."""
    port = free_port()
    with (folder / f"{name}.log").open("wb") as log:
        started = psutil.Popen(
            command(port),
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        server = Server(name, port, request, started)
        _await_answer(server, folder / f"{name}.log")
        yield server
    finally:
        family = [started, *started.children(recursive=True)]
        for process in family:
            process.terminate()
        _, deaf = psutil.wait_procs(family, timeout=20)
        for process in deaf:
            process.kill()


def _await_answer(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        while True:
            try:
                if _first(client, server).content.startswith(PICTURES):
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline or not server.process.is_running():
                raise SystemExit(f"{server.name} does not answer:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)


def _first(client: httpx.Client, server: Server) -> httpx.Response:
    head, _, body = server.request().partition(b"\r\n\r\n")
    method, path, _ = head.split(b"\r\n")[0].decode().split()
    return client.request(method, path, content=body, headers={"Content-Type": "application/json"} if body else {})


def uvicorn(python: str, app: str, *options: str) -> Callable[[int], list[str]]:
    """Return a command line that serves an application with uvicorn."""
    return lambda port: [
        *(python, "-m", "uvicorn", app, *options, "--host", "127.0.0.1", "--port", str(port)),
        *("--log-level", "warning", "--no-access-log"),
    ]


OURS = uvicorn(sys.executable, "benchmarks.serving.watched:create_app", "--factory")
CONSTANT = uvicorn(sys.executable, "benchmarks.serving.constant:create_app", "--factory")


def peer(python: str, name: str) -> Callable[[int], list[str]]:
    """Return the command line of a peer, run by the Python that it is installed for."""
    match name:
        case "plain":
            return uvicorn(python, "plain:app", "--app-dir", str(PEERS))
        case "litserve" | "litserve, batched":
            return lambda port: [python, str(PEERS / "lit.py"), str(port), *(["batched"] if "," in name else [])]
        case _:
            return lambda port: [
                *(python, "-m", "bentoml", "serve", "bento:Generator", "--working-dir", str(PEERS)),
                *("--host", "127.0.0.1", "--port", str(port)),
            ]
