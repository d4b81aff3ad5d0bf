"""Requests that nobody should send, as bytes: each must be refused, or answered, and cost others next to nothing."""

import base64
import io
import itertools
import json
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def send(port: int, job: str, seconds: float) -> Counter[int]:
    """Send one after the other, round and round, each on a connection of its own; count the answers' statuses."""
    requests = itertools.cycle([*_queries(job), *_bodies(job), *_uploads(job)])
    statuses: Counter[int] = Counter()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            with suppress(ConnectionError):  # who is refused before all is said may still read the answer
                connection.sendall(next(requests))
            statuses[int(connection.recv(65_536)[9:12])] += 1
    return statuses


def _queries(job: str) -> Iterator[bytes]:
    for query in (
        "n=1000000000",
        "n=1000&scale=32",
        "n=50000&format=json",
        "grid=99999x99999",
        "grid=1x1&n=1000",
        "scale=-1",
        "seed=1000000000",
        "seed=99999999999999999999999999",
        "seed=1e9",
        "seed=%D9%A7",  # an Arabic seven
        "seed=%EF%BC%97",  # a full-width seven
        "label=%D9%A7",
        "label=" + "9" * 5_000,
        "label=7&label=7",
        "truncation=nan",
        "truncation=1e-300",
        "step=-1",
        "step=" + "9" * 400,
        "format=exe",
        "job=../../etc/passwd",
        "index=9007199254740993",
        "&".join(f"a{number}=1" for number in range(500)),
    ):
        yield _get(f"/sample?job={job}&{query}")
    yield _get(f"/interpolate?job={job}&from_seed=1&to_seed=2&frames=100000")


def _bodies(job: str) -> Iterator[bytes]:
    for body in (
        '{"latents": [[NaN]]}',
        '{"latents": [[1e999]]}',
        json.dumps({"latents": [[0.0] * 100] * 1_001}),
        json.dumps({"latents": [[1e30] * 100]}),
        json.dumps({"seeds": list(range(100_000))}),
        json.dumps({"labels": ["7" * 10_000]}),
        json.dumps({"labels": [[]] * 1_000}),
        json.dumps({f"field{number}": 1 for number in range(10_000)}),
        "[" * 100_000,
        '{"seeds": [1], "seeds": [2',
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ):
        yield _post("/sample", "application/json", body.encode())
    yield _post("/jobs", "application/json", json.dumps({"family": "gan", "name": "x" * 900_000}).encode())
    yield _post("/sample", "application/json", b"x" * 2_000_000)


def _uploads(job: str) -> Iterator[bytes]:
    whole = io.BytesIO()
    Image.new("L", (28, 28)).save(whole, "PNG")
    content = whole.getvalue()
    for upload in (
        _png(100_000, 100_000, b""),
        _png(30_000, 30_000, zlib.compress(bytes(30_001) * 3_000)),
        content[:40],
        content[:-20],
        content[:-20] + b"\xff" * 20,
        PNG,
        b"GIF89a" + b"\xff" * 1_000,
        b"",
    ):
        yield _post(f"/classify?job={job}", "image/png", upload)
        yield _post(f"/score?job={job}&label=7", "image/png", upload)
    listed = json.dumps({"images": [base64.b64encode(content).decode()] * 65})
    yield _post(f"/score?job={job}&label=7", "application/json", listed.encode())


def _png(width: int, height: int, pixels: bytes) -> bytes:
    """Write a PNG that says of itself what it likes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return PNG + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def _post(path: str, media_type: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
