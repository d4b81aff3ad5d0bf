import os
import subprocess
import sys
from pathlib import Path

import pytest

from store import hosts
from store.hosts import OtherHost


def test_processes_of_one_machine_share_its_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'ganymede.db'}"
    hosts.refuse_other(url)  # nobody uses it yet
    hosts.claim(url)
    hosts.refuse_other(url)


def test_a_server_serves_all_machines() -> None:
    url = "postgresql+psycopg://ganymede@nowhere/ganymede"
    hosts.claim(url)
    hosts.refuse_other(url)


def test_a_worker_refuses_the_sqlite_of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'ganymede.db'}"
    monkeypatch.setattr(hosts, "BOOT_ID", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("another\n")
    hosts.claim(url)
    monkeypatch.undo()
    with pytest.raises(OtherHost, match="mark is another"):
        hosts.refuse_other(url)
    environment = {**os.environ, "GANYMEDE_DATABASE_URL": url, "GANYMEDE_HOME": str(tmp_path)}
    worker = subprocess.run(
        [sys.executable, "-m", "worker"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert worker.returncode == 1
    assert worker.stderr.startswith(f"The SQLite database {tmp_path / 'ganymede.db'} is used on another machine")
    assert "Traceback" not in worker.stderr
