"""What a run does beside training: rolls back, stops early, finds its best checkpoint, closes epochs."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load

from ganmodels import training
from ganmodels.specs import SPEC
from store.artifacts import Artifacts
from worker import run as runs
from worker.messages import (
    Assignment,
    CheckpointWritten,
    Ended,
    Failed,
    HealthChanged,
    Message,
    Noted,
    PreviewWritten,
    Progress,
    RolledBack,
    Source,
    Stopped,
)

SMALL = {
    "dataset": "digits",
    "threads": 1,
    "device": "cpu",
    "total_steps": 40,
    "checkpoint_every": 10,
    "preview_every": 20,
    "log_every": 5,
    "evaluate_every": None,
}

Go = Callable[..., list[Message]]
Evaluated = Callable[[dict[int, float]], None]


@pytest.fixture
def go(tmp_path: Path) -> Go:
    """Train a job in this process and give all that it reported."""

    def run(
        sources: list[Source] | None = None, stop_at: int | None = None, told: Any = None, **knobs: Any
    ) -> list[Message]:
        family = {} if "family" in knobs else {"family": "gan", "hidden": knobs.pop("hidden", [16])}
        asked = SPEC.validate_python(SMALL | family | knobs).model_dump(mode="json")
        assignment = Assignment(
            job_id="job",
            token=1,
            spec=asked,
            numerics=None,
            health=told,
            sources=sources or [],
            artifacts=str(tmp_path),
            data_dir=str(tmp_path),
        )
        said: list[Message] = []
        stopping = threading.Event()

        def send(message: Message) -> None:
            said.append(message)
            if isinstance(message, CheckpointWritten) and message.step == stop_at:
                stopping.set()

        runs.train_assigned(assignment, send, stopping)
        return said

    return run


def of(kind: type[Message], said: list[Message]) -> list[Any]:
    return [message for message in said if isinstance(message, kind)]


def sources(said: list[Message], owner: str = "job") -> list[Source]:
    return [
        Source(owner=owner, step=one.step, folder=one.folder, files=one.files)
        for one in reversed(of(CheckpointWritten, said))
    ]


def points(said: list[Message], name: str) -> dict[int, float]:
    return {step: p[name] for message in of(Progress, said) for step, p in message.points if name in p}


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Make a step's loss not a number, so many times."""

    def poison(at: int, times: int) -> None:
        real, left = training.discriminator_step, [times]

        def step(spec: Any, family: Any, state: Any, batch: Any) -> Any:
            metrics = real(spec, family, state, batch)
            if state.step == at and left[0] > 0:
                left[0] -= 1
                with torch.no_grad():
                    next(state.discriminator.network.parameters()).fill_(torch.nan)
                metrics["d_loss"] = torch.tensor(torch.nan)
            return metrics

        monkeypatch.setattr(training, "discriminator_step", step)

    return poison


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> Evaluated:
    """Let evaluations find these distances by step, and 9 elsewhere."""

    def give(by_step: dict[int, float]) -> None:
        def evaluate(spec: Any, state: Any, *_: Any) -> dict[str, float]:
            return {"fd_classifier": by_step.get(state.step, 9.0)}

        monkeypatch.setattr(runs.Judge, "of", lambda *_: None)
        monkeypatch.setattr(runs.evaluation, "evaluate", evaluate)

    return give


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each step take a second."""
    real, now = runs.finite_or_raise, [0.0]

    def tick(*arguments: Any) -> dict[str, float]:
        now[0] += 1
        return real(*arguments)

    monkeypatch.setattr(runs, "finite_or_raise", tick)
    monkeypatch.setattr(runs, "time", SimpleNamespace(monotonic=lambda: now[0], process_time=lambda: now[0]))


def test_a_number_that_is_not_finite_ends_the_run_with_its_step_and_name(go: Go, poisoned: Any) -> None:
    poisoned(17, 1)
    said = go()
    [failed] = of(Failed, said)
    assert (failed.code, failed.step, failed.retryable) == ("diverged", 17, False)
    assert "step 17" in failed.message
    assert "d_loss = nan" in failed.message
    assert [one.step for one in of(CheckpointWritten, said)] == [10]


def test_a_run_rolls_back_to_its_last_checkpoint_with_fresh_noise(go: Go, poisoned: Any) -> None:
    poisoned(17, 1)
    said = go(on_divergence="rollback")
    [back] = of(RolledBack, said)
    assert (back.step, back.left, back.rollbacks) == (10, 17, 1)
    assert "d_loss = nan" in back.reason
    assert of(Failed, said) == []
    assert [one.step for one in of(CheckpointWritten, said)] == [10, 20, 30, 40]
    assert [one.card["rollbacks"] for one in of(CheckpointWritten, said)] == [0, 1, 1, 1]
    undisturbed = go()
    assert (
        of(CheckpointWritten, undisturbed)[0].files["state.safetensors"]
        == of(CheckpointWritten, said)[0].files["state.safetensors"]
    )
    assert (
        of(CheckpointWritten, undisturbed)[-1].files["state.safetensors"]
        != of(CheckpointWritten, said)[-1].files["state.safetensors"]
    )


def test_a_run_without_a_checkpoint_rolls_back_to_its_start(go: Go, poisoned: Any) -> None:
    poisoned(3, 1)
    said = go(on_divergence="rollback")
    [back] = of(RolledBack, said)
    assert (back.step, back.left, back.rollbacks) == (0, 3, 1)
    assert len(of(Ended, said)) == 1


def test_three_rollbacks_are_the_most(go: Go, poisoned: Any) -> None:
    poisoned(17, 4)
    said = go(on_divergence="rollback")
    assert [back.rollbacks for back in of(RolledBack, said)] == [1, 2, 3]
    [failed] = of(Failed, said)
    assert failed.code == "diverged"


def test_a_run_that_diverges_by_itself_is_seen_and_never_checkpointed(go: Go, tmp_path: Path) -> None:
    """Rates and a penalty that no network survives: nothing is injected here."""
    said = go(
        generator_learning_rate=1.0,
        discriminator_learning_rate=1.0,
        r1_weight=1000.0,
        r1_every=1,
        total_steps=300,
        checkpoint_every=50,
        hidden=[64, 64, 64],
    )
    kept = of(CheckpointWritten, said)
    verdicts = [one.verdict for one in of(HealthChanged, said)]
    failures = of(Failed, said)
    assert failures or "diverging" in verdicts
    for one in kept:
        state = load(Artifacts(str(tmp_path)).get(f"{one.folder}/state.safetensors"))
        assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_a_run_ends_early_when_no_evaluation_is_better(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([3.0, 2.0, 2.5, 2.0, 9.0, 1.0])
    monkeypatch.setattr(runs.Judge, "of", lambda *_: None)
    monkeypatch.setattr(runs.evaluation, "evaluate", lambda *_: {"fd_classifier": next(figures)})
    said = go(evaluate_every=5, early_stop=2)
    [ended] = of(Ended, said)
    assert "step 20" in ended.reason
    kept = of(CheckpointWritten, said)
    assert [one.step for one in kept] == [5, 10, 20]  # the best ones are kept when they are found
    assert [one.card["metrics"]["fd_classifier"] for one in kept] == [3.0, 2.0, 2.0]
    assert points(said, "test_fd_classifier") == {20: 9.0}
    assert points(said, "test_best_fd_classifier") == {20: 1.0}
    assert points(said, "test_best_step") == {20: 10.0}


def test_a_resumed_run_still_knows_its_best(go: Go, evaluated: Evaluated) -> None:
    evaluated({5: 3.0, 10: 2.0, 15: 2.5, 20: 2.6, 25: 2.7})
    stopped = go(evaluate_every=5, early_stop=3, checkpoint_every=15, stop_at=15)
    assert [one.step for one in of(Stopped, stopped)] == [15]
    resumed = go(sources=sources(stopped), evaluate_every=5, early_stop=3, checkpoint_every=15)
    [ended] = of(Ended, resumed)
    assert "step 25" in ended.reason
    assert points(resumed, "test_best_step") == {25: 10.0}


def test_the_best_keeps_its_figure_when_the_run_is_told_to_stop_there(go: Go, evaluated: Evaluated) -> None:
    evaluated({5: 3.0, 10: 2.0})
    stopped = go(evaluate_every=5, stop_at=10)
    assert [one.step for one in of(Stopped, stopped)] == [10]
    kept = of(CheckpointWritten, stopped)
    assert [(one.step, one.card["metrics"]["fd_classifier"]) for one in kept] == [(5, 3.0), (10, 2.0)]


def test_an_early_end_stands_though_the_attempt_was_lost_before_its_last_look(go: Go, evaluated: Evaluated) -> None:
    evaluated({5: 2.0})
    knobs = {"evaluate_every": 5, "early_stop": 2}
    ended = go(**knobs)
    again = go(sources=sources(ended), **knobs)
    assert of(Ended, again) == of(Ended, ended)
    assert "step 15" in of(Ended, again)[0].reason
    assert of(CheckpointWritten, again) == []
    assert points(again, "test_fd_classifier") == points(ended, "test_fd_classifier") == {15: 9.0}


@pytest.mark.parametrize("at_its_best", [False, True])
def test_a_job_that_goes_on_from_another_has_a_patience_and_a_best_of_its_own(
    go: Go, evaluated: Evaluated, at_its_best: bool
) -> None:
    evaluated({5: 2.0, 20: 8.0} if not at_its_best else {5: 2.0, 15: 1.0})
    ended = go(evaluate_every=5, early_stop=2, total_steps=15)
    extended = go(sources=sources(ended, owner="other"), evaluate_every=5, early_stop=2, total_steps=80)
    kept = {one.step: one.card["metrics"].get("fd_classifier") for one in of(CheckpointWritten, extended)}
    assert min(kept) == 15
    assert kept[15] == (1.0 if at_its_best else None)
    assert "step 25" in of(Ended, extended)[0].reason if at_its_best else "step 30" in of(Ended, extended)[0].reason
    assert points(extended, "test_best_step") == ({25: 15.0} if at_its_best else {30: 20.0})


def test_time_is_counted_once_though_a_run_rolls_back(go: Go, poisoned: Any, ticking: None) -> None:
    poisoned(17, 1)
    last = of(CheckpointWritten, go(on_divergence="rollback"))[-1]
    assert (last.step, last.card["progress"]["seconds"]) == (40, 17 + 30)


def test_each_job_has_the_minutes_that_it_asks_for(go: Go, ticking: None) -> None:
    knobs = {"max_minutes": 0.25, "total_steps": 80}
    ended = go(**knobs)
    assert "step 15" in of(Ended, ended)[0].reason
    extended = go(sources=sources(ended, owner="other"), **knobs)
    assert "step 30" in of(Ended, extended)[0].reason
    again = go(sources=sources(ended), **knobs)
    assert of(Ended, again) == of(Ended, ended)


def test_a_resumed_run_tells_no_verdict_twice(go: Go) -> None:
    knobs = {"total_steps": 300, "checkpoint_every": 150, "preview_every": 300}
    whole = of(HealthChanged, go(**knobs))
    stopped = go(stop_at=150, **knobs)
    [verdict] = of(HealthChanged, stopped)
    resumed = go(sources=sources(stopped), told=verdict.verdict, **knobs)
    assert [verdict, *of(HealthChanged, resumed)] == whole


def test_a_verdict_on_what_was_undone_is_taken_back(go: Go, poisoned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is called diverging, goes back and is sound from there: the last word must be that it is healthy."""
    poisoned(295, 1)
    rollbacks = [0]

    def diversity(spec: Any, state: Any) -> float:
        rollbacks.append(state.rollbacks)
        return 1.0

    def look(monitor: Any, step: int, *_: Any) -> tuple[str, str]:
        return ("diverging", "") if step > 150 and rollbacks[-1] == 0 else ("healthy", "")

    monkeypatch.setattr(runs.health, "diversity", diversity)
    monkeypatch.setattr(runs.health.Monitor, "_look", look)
    said = go(on_divergence="rollback", total_steps=400, checkpoint_every=150, preview_every=400)
    assert len(of(RolledBack, said)) == 1
    assert [one.verdict for one in of(HealthChanged, said)] == ["healthy", "diverging", "healthy"]


def test_a_preview_carries_the_discriminators_estimate(go: Go) -> None:
    drawn = of(PreviewWritten, go())
    assert [one.step for one in drawn] == [20, 40]
    assert all(0 < one.score < 1 for one in drawn)


def test_pretraining_tells_how_far_it_is_before_the_first_step(go: Go) -> None:
    said = go(d_pretrain_steps=20)
    told = [one.data for one in of(Noted, said) if one.type == "pretraining"]
    assert [one["update"] for one in told] == list(range(2, 21, 2))
    assert {one["of"] for one in told} == {20}
    assert said.index(of(Noted, said)[-1]) < said.index(of(Progress, said)[0])
    assert of(CheckpointWritten, said)[0].files != of(CheckpointWritten, go())[0].files


def test_epochs_are_closed_with_means_beside_validation_and_survive_a_stop(go: Go) -> None:
    knobs = {
        "family": "classifier",
        "network": "mlp",
        "batch_size": 100,  # 12 steps an epoch of 1,197 images
        "labeled": {"per_class": 5},
        "log_every": 50,
        "total_steps": 26,
    }
    whole = go(**knobs)
    for name in ("epoch", "train_loss_d", "train_accuracy", "validation_loss_d", "validation_accuracy"):
        assert points(whole, name).keys() == {12, 24}, name
    assert points(whole, "epoch") == {12: 1.0, 24: 2.0}
    stopped = go(**knobs, stop_at=20)
    resumed = go(**knobs, sources=sources(stopped))
    assert points(resumed, "train_loss_d") == {24: points(whole, "train_loss_d")[24]}


def test_a_run_driven_into_collapse_is_called_so_in_time_and_a_sound_one_never(go: Go) -> None:
    """A minimax generator against a discriminator that is far too strong gets no gradient."""
    knobs = {"total_steps": 1_600, "checkpoint_every": 1_600, "preview_every": 1_600, "log_every": 100, "hidden": [64]}
    blinding = {"generator_loss": "minimax", "discriminator_learning_rate": 0.05, "r1_weight": 0.0}
    driven = of(HealthChanged, go(**knobs, **blinding))
    collapsing = [one for one in driven if one.verdict == "collapsing"]
    assert collapsing
    assert collapsing[0].step < 800
    assert "no gradient reaches the generator" in collapsing[0].reasons[0]
    sound = of(HealthChanged, go(**knobs))
    assert "collapsing" not in [one.verdict for one in sound]
