"""A real browser that is told what to do through pipes, and remembers what it complained of."""

import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no network but this machine
    "--remote-debugging-pipe",
]


class Browser:
    """One page. Messages are JSON that ends in a zero byte, as the DevTools protocol has it."""

    def __init__(self, told: io.FileIO, tells: io.FileIO) -> None:
        self._told, self._tells = told, tells
        self._rest, self._number, self._session = b"", 0, None
        self.asked: list[str] = []  # the addresses of every request
        self.complaints: list[str] = []  # errors on the console, refused and failed requests
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{part}.enable")

    def do(self, method: str, **params: Any) -> Any:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._told.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._hear(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def run(self, script: str) -> Any:
        """Return what a script in the page comes to."""
        result = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, script: str) -> Any:
        """Return what a script comes to once that is something."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.run(script)):
            assert time.monotonic() < deadline, (script, self.complaints)
            time.sleep(0.05)
        return found

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = self._tells.read(1 << 16)
            assert piece, "the browser has gone"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _hear(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message["method"]:
            case "Network.requestWillBeSent":
                self.asked.append(told["request"]["url"])
            case "Network.loadingFailed":
                self.complaints.append(f"{told['errorText']} {told.get('blockedReason', '')}")
            case "Network.responseReceived" if told["response"]["status"] >= 400:
                self.complaints.append(f"{told['response']['status']} {told['response']['url']}")
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(told["entry"]["text"])


@contextmanager
def browsing(chromium: str, profile: Path) -> Iterator[Browser]:
    """Start a browser, which reads from file descriptor 3 and writes to 4, and end it."""
    (reads, told), (tells, writes) = os.pipe(), os.pipe()
    script = f'exec "$@" 3<&{reads} 4>&{writes}'
    started = subprocess.Popen(
        ["bash", "-c", script, "bash", chromium, *OPTIONS, f"--user-data-dir={profile}"],
        pass_fds=(reads, writes),
        stderr=subprocess.DEVNULL,
    )
    os.close(reads)
    os.close(writes)
    try:
        with os.fdopen(told, "wb", 0) as told_to, os.fdopen(tells, "rb", 0) as told_by:
            yield Browser(told_to, told_by)
    finally:
        started.terminate()
        started.wait(PATIENCE_SECONDS)
