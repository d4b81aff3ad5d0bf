"""Run what is missing of the table and write it anew: `make bench-papers ARGS="--rows T5,T17 --minutes 60"`."""

import argparse
from pathlib import Path

from benchmarks.papers import gather, records, report
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
    numbers = asked.rows.split(",")
    chosen = [row for row in ROWS if not asked.rows or row.name.partition(",")[0] in numbers]
    arms = [(arm, spec) for row in chosen for arm in row.arms for spec in report.specs(arm)]
    if asked.minutes:
        gather.Gathering(
            wanted={records.key(spec): spec for _, spec in arms},
            series={records.key(spec): arm.series for arm, spec in arms},
            path=asked.results,
            commit=gather.commit(),
        ).run(asked.home, asked.workers, asked.minutes * 60)
    TABLE.write_text(report.render(records.load(asked.results)), encoding="utf-8")


if __name__ == "__main__":
    main()
