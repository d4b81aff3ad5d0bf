"""One host for SQLite: what its processes share of it, the write-ahead log's index, is the memory of one machine."""

import platform
from pathlib import Path

from sqlalchemy import make_url

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux: the same in all containers of a machine


class OtherHost(Exception):
    """A process was started against the SQLite database of another machine."""


def claim(database_url: str) -> None:
    """Write beside a SQLite database which machine it is used on; a database server serves all."""
    if mark := _mark(database_url):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(_this_host())


def refuse_other(database_url: str) -> None:
    """Raise OtherHost where the database is a SQLite file that another machine uses."""
    mark = _mark(database_url)
    if mark and mark.exists() and (used_on := mark.read_text()) != (here := _this_host()):
        raise OtherHost(
            f"The SQLite database {mark.with_suffix('')} is used on another machine, or was before this one started "
            f"anew (its mark is {used_on}, this machine's {here}). SQLite serves one machine: start the API here "
            "first, or set GANYMEDE_DATABASE_URL to a PostgreSQL server."
        )


def _mark(database_url: str) -> Path | None:
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(f"{url.database}.host")


def _this_host() -> str:
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else platform.node()
