"""The table of results: made of the recorded runs and nothing else, and met only by all of them."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.papers import as_written, gather, records, report
from benchmarks.papers.readings import accuracy, change
from benchmarks.papers.records import Record
from benchmarks.papers.rows import ROWS, Arm, Row
from benchmarks.papers.statistics import Figure, excess
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.specs import DATASETS, SPEC

DOCS = Path(__file__).parents[1] / "docs"
ROW = Row("T0", "a system", "0.5", "≥ 0.9", (Arm("an arm", {"family": "gan"}, 2),), accuracy("an arm", 0.9))


def run(spec: dict[str, Any], found: float) -> Record:
    figures = {"test_accuracy": found, "test_error_rate": 1 - found, "cpu_seconds": 60.0}
    return Record(
        records.key(spec), spec, figures, {}, [], "succeeded", None, 60.0, "abc", 1, "a machine", "2026-11-21"
    )


def test_the_page_is_what_the_recorded_runs_make() -> None:
    assert (DOCS / "results.md").read_text(encoding="utf-8") == report.render(records.load(DOCS / "results.json"))


def test_short_runs_are_many() -> None:
    held = records.load(DOCS / "results.json")
    for row in ROWS:
        runs = report.runs_of(row, held)
        for arm in row.arms:
            minutes = [run.cpu_minutes for run in runs[arm.name]]
            assert arm.seeds >= (5 if minutes and sum(minutes) / len(minutes) < 3 else 3), arm.name


@pytest.mark.parametrize(
    ("figures", "verdict"), [((), "open"), ((0.95,), "open"), ((0.95, 0.91), "met"), ((0.95, 0.8), "**missed**")]
)
def test_an_aim_is_met_by_all_runs_of_a_row_or_not_at_all(figures: tuple[float, ...], verdict: str) -> None:
    some = {"an arm": [run(spec, found) for spec, found in zip(report.specs(ROW.arms[0]), figures, strict=False)]}
    assert report._verdict(ROW, some, ROW.read(some)) == verdict


@pytest.mark.parametrize(("minutes", "verdict"), [(1.0, "met"), (0.9, "**missed**")])
def test_an_aim_that_has_a_time_is_met_within_it(minutes: float, verdict: str) -> None:
    some = {"an arm": [run(spec, 0.95) for spec in report.specs(ROW.arms[0])]}
    assert report._verdict(ROW, some, accuracy("an arm", 0.9, minutes)(some)) == verdict


def test_a_distance_that_a_run_never_reached_is_told_without_a_spread() -> None:
    assert Figure("steps", [2000.0, math.inf], digits=0).text() == "steps: never (n = 2)"
    assert Figure("steps", [2000.0, 3000.0], digits=0).text() == "steps: 2500 ± 707 (n = 2)"


@pytest.mark.parametrize(("most", "verdict"), [(0.06, "met"), (0.04, "**missed**")])
def test_an_aim_beside_real_images_is_one_too(most: float, verdict: str) -> None:
    some = {"an arm": [run(spec, 0.525) for spec in report.specs(ROW.arms[0])]}
    above = excess("above", some["an arm"], "test_accuracy", "test_error_rate", 1, at_most=most)
    assert report._verdict(ROW, some, [above]) == verdict


def test_changes_are_read_seed_by_seed() -> None:
    def distance(seed: int, value: float) -> Record:
        return replace(run({"family": "gan", "seed": seed}, 0.5), figures={"test_fd_classifier": value})

    some = {"plain": [distance(0, 2.0), distance(1, 4.0)], "augmented": [distance(1, 3.0)]}
    assert change(some)[-1].values == [-25.0]


def test_a_run_that_was_lost_and_went_on_is_recorded_whole() -> None:
    parts = {"lost": {100: 9.0, 200: 8.0, 300: 7.0}, "heir": {250: 7.5, 300: 6.5, 400: 6.0}}

    class Told:
        def metrics(self, id: str, **_: Any) -> dict[str, Any]:
            return {"fd": SimpleNamespace(name="fd", points=list(parts[id].items()))}

    curves = gather._curves(Told(), ["lost", "heir"], ["fd"])  # type: ignore[arg-type]  # no more of a client is asked
    assert curves == {"fd": [(100, 9.0), (200, 8.0), (250, 7.5), (300, 6.5), (400, 6.0)]}


def test_a_run_under_another_default_is_another_run_and_one_under_another_name_is_not() -> None:
    spec = {"family": "gan", "seed": 1}
    assert records.key(spec) == records.key({**spec, "hidden": [512, 512], "name": "again", "keep_checkpoints": 3})
    assert len({records.key(spec), records.key({**spec, "seed": 2}), records.key({**spec, "r1_weight": 0.3})}) == 3
    assert records.key_as_written(spec) != records.key(spec)


def test_every_row_asks_for_what_the_menu_has_and_no_run_twice() -> None:
    for row in ROWS:
        keys = [key for arm in row.arms for key, spec in report.keyed(arm) if SPEC.validate_python(spec)]
        assert len(keys) == len(set(keys)), row.name


def test_the_write_up_s_faults_are_there_and_nothing_else_is_changed() -> None:
    """Its discriminator has two optimizers; its generator's BatchNorm is never trained, and looks at single images."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, 28, 28), dtype=torch.uint8, generator=random)
    few = ImageSet(images, torch.arange(60) % 10, tuple("0123456789"))
    dataset = Dataset("mnist", DATASETS["mnist"], few, few, few, "0" * 64)
    asked = {"family": "convgan", "preset": "paper", "total_steps": 2, "d_pretrain_steps": 1, "batch_size": 4}
    spec = SPEC.validate_python({**asked, "device": "cpu", "threads": 1, "precision": "fp32"})
    faulty = as_written.Faulty(spec, dataset)
    began = {name: tensor.clone() for name, tensor in faulty.g.named_parameters()}
    faulty.train()
    moved = {name for name, tensor in faulty.g.named_parameters() if not torch.equal(tensor, began[name])}
    assert moved == {name for name in began if not name.startswith("norms.")}
    for optimizer in (faulty.on_real, faulty.on_fake):
        assert {float(state["step"]) for state in optimizer.state.values()} == {3.0}
    drawn, z = as_written.OneByOne(faulty.g), torch.randn(3, spec.latent_size, generator=random)
    labels = torch.zeros(3, dtype=torch.int64)
    together, alone = drawn(z, labels), torch.cat([drawn(z[i : i + 1], labels[:1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(together, faulty.g.eval()(z, labels), atol=1e-3)


def test_a_failed_run_counts_for_nothing() -> None:
    spec = report.specs(ROW.arms[0])[0]
    failed = replace(run(spec, 0.99), state="failed", reason="diverged")
    assert report.runs_of(ROW, {failed.key: failed}) == {"an arm": []}
