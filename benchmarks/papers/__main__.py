"""Run what is missing of the table and write it anew: `make bench-papers ARGS="--rows T5,T17 --minutes 60"`."""

import argparse
import signal
import sys
import time
from pathlib import Path

from benchmarks.papers import as_written, gather, records, report
from benchmarks.papers.rows import ROWS

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results.json"
TABLE = ROOT / "docs" / "results.md"


def main() -> None:
    """Gather for the time given, then write the table of everything that is recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="T5,T17: rows' numbers, with commas between; all when left out")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="0 writes the table only")
    parser.add_argument("--workers", type=int, default=2, help="runs at the same time, of one thread each")
    parser.add_argument("--home", type=Path, default=ROOT / ".papers", help="where unfinished runs are kept")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that runs are recorded in")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; unfinished jobs go on next time"))
    numbers = asked.rows.split(",")
    chosen = [row for row in ROWS if not asked.rows or row.name.partition(",")[0] in numbers]
    arms = [arm for row in chosen for arm in row.arms]
    jobs = [(key, spec, arm.series) for arm in arms if not arm.as_written for key, spec in report.keyed(arm)]
    if asked.minutes:
        deadline = time.monotonic() + asked.minutes * 60
        gather.Gathering(
            wanted={key: spec for key, spec, _ in jobs},
            series={key: series for key, _, series in jobs},
            path=asked.results,
        ).run(asked.home, asked.workers, deadline)
        outside = (run for arm in arms if arm.as_written for run in report.keyed(arm))
        as_written.gather(dict(outside), asked.results, asked.home, deadline)
    TABLE.write_text(report.render(records.load(asked.results)), encoding="utf-8")


if __name__ == "__main__":
    main()
