"""The operator's commands: `up` runs the whole stack on embedded defaults, `worker` one trainer beside it.

`keys` makes, lists and revokes API keys straight on the database, the first of them too; `backup` copies all that a
service keeps, and `restore` fills an empty one. Run as `python -m app.operate up`; the `ganymede` command does. It
starts Redis, the workers and the API as processes of their own and imports none of them.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Annotated

import httpx
import typer
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from app import entry
from app.embedded import CannotStart, Embedded, compose, log_path, service_url
from app.entry import NoEntry
from app.processes import POLL_SECONDS, KeepsDying, revive
from store import artifacts, audit, hosts, keys
from store import backup as backups
from store.audit import OPERATOR
from store.backup import BackupRefused, Copied
from store.database import Database
from store.errors import FilesUnavailable, KeyNotFound
from store.keys import Allowance, Key, Scope
from store.settings import Settings

SOCKET_PATH_BYTES = 100  # the kernel's own limit is 104 to 108
SOCKET = "redis.sock"
READY_TIMEOUT = timedelta(seconds=60)
NOTE = "up.json"  # in HOME: where a running stack can be reached

operator = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

keyring = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys, straight on the database.")
operator.add_typer(keyring, name="keys")

Allowed = Annotated[int, typer.Option(min=1, max=10**12)]
Home = Annotated[Path | None, typer.Option(help="Folder of all state; GANYMEDE_HOME or .ganymede when left out.")]


@operator.callback()
def commands() -> None:
    """Run Ganymede on this machine."""


@operator.command()
def up(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address the API listens on; 127.0.0.1 when left out.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one; 8000 when left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="One per GPU, or one on the CPU, when left out.")] = None,
) -> None:
    """Start Redis, the database, the workers and the API; Ctrl-C stops them in order and loses nothing."""
    with _plain_failures():
        settings = _settings(home=home, host=host, port=port)
        folder = settings.home.absolute()
        with _alone_in(folder), _socket_folder(folder) as sockets:
            port = _listenable(settings.host, settings.port)
            settings = settings.model_copy(update={"port": port})
            hosts.claim(settings.database)  # before the workers look, which start before the API does
            database = Database(settings.database)
            database.migrate()
            entry.prepare(settings, database)
            database.close()
            artifacts.check_access(settings.artifacts)
            _run(settings, compose(settings, sockets, workers))


@operator.command()
def worker(home: Home = None) -> None:
    """Start one more worker, for the stack that runs in HOME or the services named in the environment."""
    with _plain_failures():
        folder = _settings(home=home).home.absolute()
    environment = {**os.environ, "GANYMEDE_HOME": str(folder)}
    with suppress(OSError, ValueError, KeyError):
        environment.setdefault("GANYMEDE_REDIS_URL", _note(folder)["redis_url"])
    os.execve(sys.executable, [sys.executable, "-m", "worker"], environment)


@operator.command()
def migrate() -> None:
    """Bring the database that the environment names to this version; `up` does it by itself."""
    with _plain_failures():
        Database(_settings().database).migrate()


@operator.command()
def backup(folder: Annotated[Path, typer.Argument(help="Not there yet, or empty.")], home: Home = None) -> None:
    """Write all that a service keeps into a folder, while it runs; `up --home FOLDER` would run it."""
    with _plain_failures(), backups.opened(_settings(home=home)) as source:
        _say_copied(f"Backed up in {folder}", backups.save(source, folder))


@operator.command()
def restore(folder: Annotated[Path, typer.Argument(help="As `backup` wrote it.")], home: Home = None) -> None:
    """Fill an empty database, and the artifacts beside it, from a backup, which stays as it is."""
    with _plain_failures(), backups.opened(_settings(home=home)) as target:
        _say_copied(f"Restored from {folder}", backups.restore(folder, target))


def _say_copied(done: str, copied: Copied) -> None:
    for file in copied.damaged:
        typer.echo(f"Left out: {file.path} is missing, or its SHA-256 is not {file.sha256}.", err=True)
    _say(f"{done}: {copied.jobs} jobs, {copied.files} files.")


@keyring.command()
def create(
    name: Annotated[str, typer.Argument(help="For people.", metavar="NAME")],
    scope: Annotated[list[Scope], typer.Option(help="As often as needed; train includes read, admin includes all.")],
    expires_in_days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Never when left out.")] = None,
    requests_per_minute: Allowed = Allowance.requests_per_minute,
    images_per_day: Allowed = Allowance.images_per_day,
    unfinished_jobs: Allowed = Allowance.unfinished_jobs,
    home: Home = None,
) -> None:
    """Make a key and print its secret, which nobody can print again."""
    secret, allowance = keys.draw(), Allowance(requests_per_minute, images_per_day, unfinished_jobs)
    good_for = None if expires_in_days is None else timedelta(days=expires_in_days)
    with _plain_failures(), _database(home) as database, database.write() as connection:
        key = keys.add(connection, secret, name, scope, allowance, good_for)
        audit.append(connection, OPERATOR, "key.create", key.id)
    typer.echo(f"Key {key.id} is good for: {', '.join(key.scopes)}. Its secret is shown this once:", err=True)
    _say(secret)


@keyring.command("list")
def list_(home: Home = None) -> None:
    """List the keys, newest first, each by its id and the first characters of its secret."""
    after, has_more = None, True
    with _plain_failures(), _database(home) as database:
        while has_more:
            with database.read() as connection:
                found, has_more = keys.page(connection, after, 100)
            for key in found:
                after = key.id
                _say(f"{key.id}  {key.prefix}…  {','.join(key.scopes)}  {_until(key)}  {key.name}")


@keyring.command()
def revoke(id: Annotated[str, typer.Argument(help="The key's id.", metavar="ID")], home: Home = None) -> None:
    """Let a key open nothing more, for good."""
    with _plain_failures(), _database(home) as database, database.write() as connection:
        if keys.revoke(connection, id):
            audit.append(connection, OPERATOR, "key.revoke", id)


@contextmanager
def _database(home: Path | None) -> Iterator[Database]:
    """Open the database, brought to this version first: before `up` has run there is none."""
    database = Database(_settings(home=home).database)
    try:
        database.migrate()
        yield database
    finally:
        database.close()


def _until(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    return "good until it is revoked" if key.expires_at is None else f"until {key.expires_at:%Y-%m-%d}"


def _run(settings: Settings, stack: Embedded) -> None:
    """Keep the stack alive until SIGINT or SIGTERM, then stop the API, the workers and Redis, in this order."""
    signals: list[int] = []  # as received: the first one stops in order, a second one at once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: signals.append(received))
    note = settings.home.absolute() / NOTE
    try:
        for process in stack.processes:
            process.start()
        note.write_text(json.dumps({"pid": os.getpid(), "url": service_url(settings), "redis_url": stack.redis_url}))
        if _await_ready(settings, stack, signals):
            _say(
                f"Ganymede answers at {service_url(settings)} and keeps its state in {settings.home}. Ctrl-C stops it."
            )
        while not signals:
            revive(stack.processes, _say)
            time.sleep(POLL_SECONDS)
        _say("Stopping: whoever trains writes a checkpoint first. Ctrl-C again stops at once.")
    finally:
        note.unlink(missing_ok=True)
        _stop(stack, signals)
    _say("Stopped. `up` again carries on.")


def _stop(stack: Embedded, signals: list[int]) -> None:
    """Stop who takes requests, then who trains (all at the same time), then the doorbell between them."""

    def is_urgent() -> bool:
        return len(signals) > 1

    stack.api.stop(is_urgent)
    for process in stack.workers:
        process.ask_to_stop()
    for process in [*stack.workers, *stack.redis]:
        process.stop(is_urgent)


def _await_ready(settings: Settings, stack: Embedded, signals: list[int]) -> bool:
    """Wait until the API says that it is ready; return False when asked to stop first."""
    deadline = time.monotonic() + READY_TIMEOUT.total_seconds()
    while not signals:
        revive(stack.processes, _say)
        with suppress(httpx.TransportError):
            if httpx.get(f"{service_url(settings)}/readyz", timeout=5, trust_env=False).is_success:
                return True
        if time.monotonic() > deadline:
            waited = f"The API was not ready within {READY_TIMEOUT.seconds} s"
            raise CannotStart(f"{waited}; its log is {log_path(settings, 'api')}.")
        time.sleep(POLL_SECONDS)
    return False


def _settings(**asked: object) -> Settings:
    """Read the environment; what is asked for on the command line goes before it."""
    try:
        settings = Settings()
    except ValidationError as error:
        faults = [f"GANYMEDE_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" for fault in error.errors()]
        raise CannotStart("\n".join(faults)) from error
    return settings.model_copy(update={name: value for name, value in asked.items() if value is not None})


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Hold HOME for this process; raise CannotStart when another `up` does. The kernel frees it with the process."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "up.lock").open("w")
    except OSError as error:
        raise CannotStart(f"The home folder {home} cannot be used: {error.strerror}.") from error
    with lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise CannotStart(f"Another `up` already runs in {home}{_whereabouts(home)}.") from None
        yield


def _whereabouts(home: Path) -> str:
    with suppress(OSError, ValueError, KeyError):
        note = _note(home)
        return f": process {note['pid']}, at {note['url']}"
    return ""


def _note(home: Path) -> dict[str, str]:
    """Return what a running `up` wrote down about itself."""
    note: dict[str, str] = json.loads((home / NOTE).read_text())
    return note


@contextmanager
def _socket_folder(home: Path) -> Iterator[Path]:
    """Give a folder for sockets: HOME, or one of its own where HOME's path is too long for a socket's."""
    if len(os.fsencode(home / SOCKET)) < SOCKET_PATH_BYTES:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="ganymede-", dir="/tmp") as folder:  # the owner's alone: mode 0700
        yield Path(folder)


def _listenable(host: str, port: int) -> int:
    """Return the port the API can listen on, a free one for 0; raise CannotStart, in plain words, where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the API will: old connections don't count
        try:
            listener.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {host}:{port}: {error.strerror}. Choose with --host, --port."
            ) from error
        bound: int = listener.getsockname()[1]
    return bound


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Say what stands in the way in a line or two, without a traceback."""
    try:
        yield
    except (BackupRefused, CannotStart, FilesUnavailable, KeepsDying, KeyNotFound, NoEntry) as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None
    except OperationalError as error:
        typer.echo(f"The database does not do as it is asked: {error.orig}", err=True)
        raise SystemExit(1) from None


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


if __name__ == "__main__":
    operator()
