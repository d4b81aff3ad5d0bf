import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganmodels.datasets import DatasetUnavailable
from ganmodels.specs import SPEC
from worker.failures import Diverged, NumericsChanged, classed, finite_or_raise
from worker.messages import REPORT, Progress
from worker.numerics import refuse_other_numerics, refuse_other_spec
from worker.reporter import Reporter

ROOT = Path(__file__).parents[2]


def test_a_loss_that_is_not_finite_ends_the_run_with_its_name_and_step() -> None:
    assert finite_or_raise(3, {"d_loss": torch.tensor(1.5)}) == {"d_loss": 1.5}
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(Diverged, match="step 3: g_loss"):
            finite_or_raise(3, {"d_loss": torch.tensor(1.0), "g_loss": torch.tensor(wrong)})


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (DatasetUnavailable("x"), "dataset_unavailable", False),
        (NumericsChanged("x"), "numerics_changed", False),
        (Diverged(3, "x"), "diverged", False),
        (MemoryError(), "out_of_memory", False),
        (OSError("disk full"), "io", True),
        (ValueError("x"), "bad_spec", False),
        (KeyError("x"), "internal", False),
    ],
)
def test_failures_are_classed_by_whether_trying_again_may_help(error: Exception, code: str, retryable: bool) -> None:
    assert classed(error) == (code, retryable)


def test_a_resumed_job_must_find_the_data_and_the_algorithms_it_began_with() -> None:
    found = {"dataset_digest": "a", "numerics_version": 1, "torch": "2"}
    refuse_other_numerics(None, found)
    refuse_other_numerics({**found, "torch": "1"}, found)
    with pytest.raises(NumericsChanged, match="dataset_digest b, this worker has a"):
        refuse_other_numerics({**found, "dataset_digest": "b"}, found)
    with pytest.raises(NumericsChanged, match="numerics_version 0"):
        refuse_other_numerics({**found, "numerics_version": 0}, found)


def test_a_checkpoint_must_have_been_written_under_the_job_s_spec() -> None:
    spec = SPEC.validate_python({"family": "cgan", "dataset": "digits", "total_steps": 100})
    kept = spec.model_dump(mode="json")
    refuse_other_spec(kept, spec)
    refuse_other_spec({name: value for name, value in kept.items() if name != "batch_size"}, spec)
    refuse_other_spec({**kept, "gone": 1}, spec)
    for name in ("batch_size", "seed", "total_steps"):
        with pytest.raises(NumericsChanged, match=f"{name} 7, the job's spec has {kept[name]}; `retry`"):
            refuse_other_spec({**kept, name: 7}, spec)


def test_a_warm_child_has_imported_what_a_job_needs_of_pytorch(tmp_path: Path) -> None:
    script = f"""
import sys, threading
from ganmodels.specs import SPEC
from worker.messages import Assignment
from worker.run import Run

before = set(sys.modules)
spec = SPEC.validate_python({{"family": "cgan", "dataset": "digits", "evaluate_every": None}}).model_dump(mode="json")
asked = Assignment(job_id="job", token=1, spec=spec, numerics=None, sources=[], artifacts="{tmp_path}", data_dir="")
Run(asked, lambda report: None, threading.Event())
print(*(name for name in set(sys.modules) - before if name.startswith("torch.")))
"""
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(loaded.stdout.split()) < 10, loaded.stdout


def test_the_first_step_is_told_at_once_and_its_time_is_no_speed() -> None:
    sent: list[Progress] = []
    reporter = Reporter(sent.append, step=10, batch_size=4)  # type: ignore[arg-type]
    for step in (11, 12, 13):
        reporter.step(step)
    assert [(report.step, report.images_per_second) for report in sent] == [(11, None)]
    reporter.flush()
    assert sent[-1].step == 13
    assert sent[-1].images_per_second is not None


def test_points_are_sent_together_and_none_is_lost() -> None:
    sent: list[Progress] = []
    reporter = Reporter(sent.append, step=10, batch_size=4)  # type: ignore[arg-type]
    for step in (11, 12):
        reporter.log(step, {"d_loss": float(step)})
        reporter.step(step)
    reporter.flush()
    reporter.flush()
    assert [point for report in sent for point in report.points] == [(11, {"d_loss": 11.0}), (12, {"d_loss": 12.0})]
    assert sent[-1].step == 12
    assert reporter.newest == {"d_loss": 12.0}


def test_numbers_that_are_not_finite_survive_the_pipe() -> None:
    line = Progress(step=1, points=[(1, {"a": math.nan, "b": math.inf})]).model_dump_json()
    read = REPORT.validate_json(line)
    assert isinstance(read, Progress)
    assert math.isnan(read.points[0][1]["a"])
    assert read.points[0][1]["b"] == math.inf
