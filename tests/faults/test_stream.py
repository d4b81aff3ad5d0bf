"""A connection that breaks at any byte, again and again: its client misses nothing and hears nothing twice."""

import random
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

from tests.app.test_stream import parsed
from tests.e2e.conftest import PATIENCE_SECONDS, Running
from tests.faults.conftest import FINISHED, Told

CUTS = 50
MOST_BYTES = 2_000  # until a cut: within an event, or between two
TALKATIVE = {"checkpoint_every": 2, "preview_every": 2}


def test_an_event_client_cut_off_at_random_hears_of_every_event_once_in_order(
    running: Running, chance: random.Random, record_property: Told
) -> None:
    record_property("rounds", CUTS)
    job = running.submit(**TALKATIVE)
    heard: list[dict[str, Any]] = []
    for _ in range(CUTS):
        heard += follow(running, job, heard, chance.randrange(1, MOST_BYTES))
    assert running.job(job)["state"] not in FINISHED, "events came while the client was cut off"
    heard += follow(running, job, heard)
    assert [event["data"] for event in heard] == running.items(f"/jobs/{job}/events")
    assert heard[-1]["event"] == "done"


def follow(
    running: Running, job: str, heard: list[dict[str, Any]], most_bytes: int = 1_000_000
) -> list[dict[str, Any]]:
    """Go on after the last event heard; break off after so many bytes, and return the events that came whole."""
    last = {"Last-Event-ID": heard[-1]["id"]} if heard else {}
    received = b""
    connection = HTTPConnection("127.0.0.1", running.stack.port, timeout=PATIENCE_SECONDS)
    with closing(connection):
        connection.request("GET", f"/jobs/{job}/events", headers={"Accept": "text/event-stream", **last})
        answer = connection.getresponse()
        while len(received) < most_bytes and (more := answer.read1(most_bytes - len(received))):
            received += more
    whole, _, _ = received.rpartition(b"\n\n")
    return parsed(whole.decode())
