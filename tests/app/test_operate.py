"""The operator's commands: what they refuse, in plain words, and what the parts of the stack are told."""

import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import time
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from sqlalchemy import text

from app import destinations, embedded, operate
from app.embedded import compose
from store import audit, backup, claims, keys
from store.backup import BackupRefused
from store.database import Database
from store.keys import Scope
from store.settings import Settings
from tests.store import scenes

ROOT = Path(__file__).parents[2]


def run_up(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("up", *words, **environment)


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.operate", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_refused(answer: subprocess.CompletedProcess[str], words: str) -> None:
    assert answer.returncode == 1
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = run_up("--home", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert_refused(answer, "Address already in use")


def test_a_second_up_in_the_same_home_is_refused_and_told_where_the_first_is(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text(json.dumps({"pid": 123, "url": "http://127.0.0.1:9", "redis_url": ""}))
    with (tmp_path / "up.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        answer = run_up("--home", str(tmp_path), "--port", "0")
    assert_refused(answer, "process 123, at http://127.0.0.1:9")


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(run_up("--home", str(tmp_path / "file" / "home")), "cannot be used")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    assert_refused(run_up("--home", str(tmp_path), GANYMEDE_LEASE_SECONDS="soon"), "GANYMEDE_LEASE_SECONDS")


def test_artifacts_that_cannot_be_kept_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = run_up("--home", str(tmp_path / "home"), "--port", "0", GANYMEDE_ARTIFACTS=str(tmp_path / "file"))
    assert_refused(answer, f"The artifacts cannot be used: {tmp_path / 'file'}: ")


def test_a_key_is_made_listed_and_revoked_at_the_command_line(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    made = run("keys", "create", "lab 3", "--scope", "train", "--scope", "sample", "--expires-in-days", "30", *home)
    (secret,) = made.stdout.splitlines()
    database = Database(Settings(home=tmp_path).database)
    with database.read() as connection:
        key = keys.holder(connection, keys.digest(secret))
    assert key is not None
    assert (key.name, key.scopes) == ("lab 3", (Scope.SAMPLE, Scope.TRAIN))
    assert key.expires_at is not None
    listed = run("keys", "list", *home).stdout
    for told in (key.id, key.prefix, "lab 3", "sample,train", f"until {key.expires_at:%Y-%m-%d}"):
        assert told in listed
    assert secret not in listed + made.stderr
    assert run("keys", "revoke", key.id, *home).returncode == 0
    assert "revoked" in run("keys", "list", *home).stdout
    with database.read() as connection:
        assert keys.holder(connection, keys.digest(secret)) is None
        assert [entry.action for entry in audit.page(connection, None, 9)[0]] == ["key.revoke", "key.create"]
    database.close()
    assert_refused(run("keys", "revoke", "nobody's", *home), "no key nobody's")


def fill(home: Path, points: int = 1) -> str:
    """Leave a job with a checkpoint of one file, and metric points, in a home; return where the file lies."""
    with backup.opened(Settings(home=home)) as made:
        made.database.migrate()
        held = scenes.run(made.database)
        folder = f"jobs/{held.job.id}/attempt-{held.token}/checkpoints/10"
        made.artifacts.put(f"{folder}/card.json", b"{}")
        files = {"card.json": {"sha256": hashlib.sha256(b"{}").hexdigest(), "size": 2}}
        with made.database.write() as connection:
            claims.checkpoint(connection, held, 10, folder, files, scenes.CARD)
            steps = (
                "WITH RECURSIVE steps (step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM steps WHERE step < :points)"
            )
            connection.execute(
                text(f"INSERT INTO metrics {steps} SELECT 1, 'd_loss', step, 0.5 FROM steps"), {"points": points}
            )
    return f"{folder}/card.json"


def test_a_backup_is_made_and_restored_at_the_command_line(tmp_path: Path) -> None:
    path = fill(tmp_path / "home")
    today, other = str(tmp_path / "backups" / "today"), ("--home", str(tmp_path / "other"))
    home = ("--home", str(tmp_path / "home"))
    assert run("backup", today, *home).stdout == f"Backed up in {today}: 1 jobs, 1 files.\n"
    assert_refused(run("backup", today, *home), "is not empty")
    assert run("restore", today, *other).stdout == f"Restored from {today}: 1 jobs, 1 files.\n"
    assert_refused(run("restore", today, *other), "is in use: it has rows of jobs")
    (tmp_path / "home" / "artifacts" / path).write_text("{ }")
    damaged = run("backup", str(tmp_path / "damaged"), *home)
    assert (damaged.returncode, damaged.stdout.endswith("1 jobs, 0 files.\n")) == (0, True)
    assert f"Left out: {path}" in damaged.stderr


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    away = {"GANYMEDE_HOME": str(tmp_path), "GANYMEDE_DATABASE_URL": f"postgresql+psycopg://x@/x?host={tmp_path}"}
    assert_refused(run("backup", str(tmp_path / "today"), **away), "The database does not do as it is asked")


def is_read(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # nobody has it open
        return False
    return True


def is_poured(folder: Path) -> bool:
    """Tell whether rows are on their way into a database, whose empty tables take less than this."""
    return any(log.stat().st_size > 2_000_000 for log in folder.glob("*.half/*.db-wal"))


@pytest.mark.parametrize("moment", ["files", "rows"])
def test_a_killed_backup_leaves_nothing_to_be_taken_for_one(moment: str, tmp_path: Path) -> None:
    path = tmp_path / "home" / "artifacts" / fill(tmp_path / "home", 300_000)
    if moment == "files":  # copying lasts for as long as nobody writes
        path.unlink()
        os.mkfifo(path)
    words = [sys.executable, "-m", "app.operate", "backup", str(tmp_path / "today"), "--home", str(tmp_path / "home")]
    process = subprocess.Popen(words, cwd=ROOT)
    try:
        while not (is_read(path) if moment == "files" else is_poured(tmp_path)):
            assert process.poll() is None, "it was over before it was killed"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "today").exists()
    (half,) = tmp_path.glob("today.*.half")
    for folder in (half, *(found for found in half.rglob("*") if found.is_dir())):
        with backup.opened(Settings(home=tmp_path / "other")) as other:
            with pytest.raises(BackupRefused, match="is no backup"):
                backup.restore(folder, other)
        with backup.opened(Settings(home=folder)) as started:
            assert started.database.revisions()[0] is None


def test_a_socket_lies_in_a_short_private_folder_when_home_is_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with operate._socket_folder(deep) as folder:
        assert len(os.fsencode(folder / operate.SOCKET)) < operate.SOCKET_PATH_BYTES
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_a_socket_lies_in_home_when_its_path_is_short() -> None:
    with operate._socket_folder(Path("/tmp/home")) as folder:
        assert folder == Path("/tmp/home")


def test_redis_opens_no_port_and_everyone_is_told_its_socket(tmp_path: Path) -> None:
    stack = compose(Settings(home=tmp_path), tmp_path)
    command = " ".join(stack.redis[0].command)
    assert f"--port 0 --unixsocket {tmp_path}/redis.sock" in command
    assert stack.redis_url == f"redis+socket://{tmp_path}/redis.sock"
    told = {process.environment["GANYMEDE_REDIS_URL"] for process in [*stack.workers, stack.api]}
    assert told == {stack.redis_url}


def test_a_redis_named_in_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANYMEDE_REDIS_URL", "redis://doorbell:6379/0")
    stack = compose(Settings(home=tmp_path), tmp_path)
    assert stack.redis == []
    assert stack.api.environment["GANYMEDE_REDIS_URL"] == "redis://doorbell:6379/0"


@pytest.mark.parametrize(
    ("cards", "count", "expected"),
    [
        ([], None, [None]),
        ([], 2, [None, None]),
        (["0", "1"], None, ["0", "1"]),
        (["0", "1"], 3, ["0", "1", "0"]),
        (["0"], 0, []),
    ],
)
def test_workers_are_spread_over_the_gpus(
    cards: list[str], count: int | None, expected: list[str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "gpus", lambda: cards)
    workers = compose(Settings(home=tmp_path), tmp_path, count).workers
    assert [worker.environment.get("CUDA_VISIBLE_DEVICES") for worker in workers] == expected


@pytest.mark.parametrize(("chosen", "expected"), [("", []), ("-1", []), ("3", ["3"]), ("0, 2", ["0", "2"])])
def test_the_operators_choice_of_gpus_holds(chosen: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert embedded.gpus() == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("gpu7", False)]
)
def test_only_this_machine_itself_counts_as_loopback(host: str, expected: bool) -> None:
    assert destinations.is_loopback(host) is expected
