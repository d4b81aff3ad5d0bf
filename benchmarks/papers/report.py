"""docs/results.md: the table as it stands, made from docs/results.json and nothing else."""

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.papers import records
from benchmarks.papers.readings import Runs
from benchmarks.papers.records import Record
from benchmarks.papers.rows import ROWS, Arm, Row
from benchmarks.papers.statistics import Figure

HEAD = """# Results

What the papers report and what our runs give. `make bench-papers` writes this page from [results.json](results.json).
Every run is a job of the service unless it says `as written`, on MNIST unless said, with the family's quick preset
where no knob is named; figures are of the test split, read once at the end of a run, mean ± standard deviation over
the runs with seeds 0, 1, …; settings were chosen on validation, and [experiments.md](experiments.md) says what was
tried, and where test was seen before a choice. A Fréchet distance is taken in the features of the data set's own
classifier and compares with nothing outside this page. CPU minutes are those of the training process: training, looks
at validation and checkpoints, without the final look at test.

| | what | published | aim | ours | | CPU minutes a run |
| --- | --- | --- | --- | --- | --- | --- |
"""

RUNS = """
## The runs

The command of a row: `make bench-papers ARGS="--rows NAME"`. What is recorded is not run again, though the code may
have moved since. Of the numerics versions, 2 gave `gan`, `cgan` and `wgan` their quick presets. 3 averages
BatchNorm's statistics with the weights, which matters in the middle of a run, not where rates have fallen to 0. 4 has
`cgan` compute its losses in full precision where its layers do not, penalizes a pack as it does an image, and lets
`classifier`'s fully connected network look first at labeled images alone.

| row | arm | knobs | runs | commits | numerics | hardware |
| --- | --- | --- | --- | --- | --- | --- |
"""


def specs(arm: Arm) -> list[dict[str, object]]:
    """Give the spec of every run of an arm, as it is submitted."""
    shared = {"threads": 1, "device": "cpu", "checkpoint_every": arm.spec.get("evaluate_every", 1_000)}
    return [{**shared, **arm.spec, "seed": seed, "name": _name(arm.spec, seed)} for seed in range(arm.seeds)]


def _name(spec: Mapping[str, object], seed: int) -> str:
    shown = {name: value for name, value in spec.items() if name not in ("family", "measures", "evaluate_every")}
    words = " ".join(f"{name}={value}" for name, value in shown.items())
    return f"{spec['family']} {words}"[:80] + f" seed={seed}"


def runs_of(row: Row, found: Mapping[str, Record]) -> Runs:
    """Find a row's finished runs."""
    return {arm.name: list(_finished(arm, found)) for arm in row.arms}


def keyed(arm: Arm) -> Iterator[tuple[str, dict[str, object]]]:
    """Walk over the runs of an arm, by the key that each is recorded under."""
    name = records.key_as_written if arm.as_written else records.key
    return ((name(spec), spec) for spec in specs(arm))


def _finished(arm: Arm, found: Mapping[str, Record]) -> Iterator[Record]:
    ended = (found.get(key) for key, _ in keyed(arm))
    return (record for record in ended if record is not None and record.state == "succeeded")


def render(found: Mapping[str, Record]) -> str:
    """Write the page."""
    return HEAD + "".join(_line(row, found) for row in ROWS) + RUNS + "".join(_arms(row, found) for row in ROWS)


def _line(row: Row, found: Mapping[str, Record]) -> str:
    runs = runs_of(row, found)
    figures = row.read(runs)
    ours = "<br>".join(figure.text() for figure in figures) + (f"<br>*{row.note}*" if row.note else "")
    minutes = "<br>".join(_minutes(arm, some) for arm, some in runs.items())
    verdict = _verdict(row, runs, figures)
    return f"| {row.name} | {row.system} | {row.published} | {row.aim} | {ours} | {verdict} | {minutes} |\n"


def _verdict(row: Row, runs: Runs, figures: Sequence[Figure]) -> str:
    """Say whether the aim is met, once every run of the row is there."""
    marks = [figure.met for figure in figures if figure.at_least is not None or figure.at_most is not None]
    if None in marks or any(len(runs[arm.name]) < arm.seeds for arm in row.arms):
        return "open"
    return "" if not marks else "met" if all(marks) else "**missed**"


def _minutes(arm: str, some: Sequence[Record]) -> str:
    return f"{arm}: {sum(run.cpu_minutes for run in some) / len(some):.1f}" if some else f"{arm}: –"


def _arms(row: Row, found: Mapping[str, Record]) -> str:
    lines = []
    for arm in row.arms:
        some = list(_finished(arm, found))
        failed = [r for key, _ in keyed(arm) if (r := found.get(key)) and r.state != "succeeded"]
        knobs = ", ".join(f"`{name}: {value}`" for name, value in arm.spec.items())
        count = f"{len(some)} of {arm.seeds}" + (f", {len(failed)} failed: {failed[0].reason}" if failed else "")
        commits = ", ".join(sorted({run.commit for run in some})) or "–"
        versions = ", ".join(str(version) for version in sorted({run.numerics_version for run in some})) or "–"
        machines = ", ".join(sorted({run.hardware for run in some})) or "–"
        lines.append(f"| {row.name} | {arm.name} | {knobs} | {count} | {commits} | {versions} | {machines} |\n")
    return "".join(lines)
