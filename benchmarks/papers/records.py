"""What is kept of a finished run: its spec, its figures, where and from which commit it came."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ganmodels.specs import SPEC

# Knobs that no figure of the table depends on.
IDLE = {"name", "tags", "priority", "webhooks", "init_from", "max_minutes", "keep_checkpoints"}

Spec = Mapping[str, Any]  # Any: JSON
Series = list[tuple[int, float]]


@dataclass(frozen=True)
class Record:
    """One run, as it ended.

    `series` are the curves that a row of the table reads, by metric and step, `verdicts` what was made of its health.
    """

    key: str
    spec: Spec
    figures: Mapping[str, float | None]
    series: Mapping[str, Series]
    verdicts: list[tuple[int, str]]
    state: str
    reason: str | None
    seconds: float
    commit: str
    numerics_version: int
    hardware: str
    finished_at: str

    @property
    def cpu_minutes(self) -> float:
        """Return the CPU time of the training process."""
        return (self.figures.get("cpu_seconds") or 0.0) / 60


def key(spec: Spec) -> str:
    """Name a run by every knob, those left out filled in: where a default has changed since, it is another run."""
    knobs = SPEC.validate_python(spec).model_dump(mode="json", exclude=IDLE)
    return hashlib.sha256(json.dumps(knobs, sort_keys=True).encode()).hexdigest()[:16]


def key_as_written(spec: Spec) -> str:
    """Name a run of the write-up's code, faults and all."""
    return f"{key(spec)}-as-written"


def load(path: Path) -> dict[str, Record]:
    """Read the records by key; none where the file is not there yet."""
    if not path.exists():
        return {}
    found = [Record(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["runs"]]
    return {record.key: record for record in found}


def save(path: Path, records: Iterable[Record]) -> None:
    """Write the records, the file whole or not at all."""
    runs = [asdict(record) for record in sorted(records, key=lambda record: (record.spec["family"], record.key))]
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"runs": runs}, indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, path)
