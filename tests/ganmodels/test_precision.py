from pathlib import Path
from typing import Any

import pytest
import torch

from ganmodels import precision
from ganmodels.specs import SPEC


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "dcgan", "dataset": "digits", **knobs})


def test_resolving_leaves_nothing_to_the_machine() -> None:
    spec = precision.resolve(asked())
    assert spec.device in ("cpu", "cuda")
    assert 1 <= spec.threads <= precision.MOST_THREADS
    assert spec.precision in ("fp32", "bf16")
    assert precision.resolve(spec) == spec


def test_what_was_asked_for_is_left_alone() -> None:
    spec = precision.resolve(asked(device="cpu", threads=3, precision="bf16"))
    assert (spec.device, spec.threads, spec.precision) == ("cpu", 3, "bf16")


@pytest.mark.parametrize(("capability", "found"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512_f", False)])
def test_bf16_is_chosen_where_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch, capability: str, found: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True})
    assert precision.resolve(asked(device="cpu")).precision == ("bf16" if found else "fp32")


def test_an_unresolved_spec_does_not_train() -> None:
    with pytest.raises(ValueError, match="not resolved"):
        precision.apply(asked())


def test_applying_a_spec_sets_the_threads() -> None:
    precision.apply(precision.resolve(asked(device="cpu", threads=2)))
    assert torch.get_num_threads() == 2
    precision.apply(precision.resolve(asked(device="cpu", threads=1)))
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("limits", "cpus"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("?", 8)]
)
def test_a_containers_quota_counts(tmp_path: Path, limits: str, cpus: int) -> None:
    (tmp_path / "cpu.max").write_text(limits)
    assert precision.quota(tmp_path / "cpu.max", otherwise=8) == cpus


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert precision.quota(tmp_path / "cpu.max", otherwise=8) == 8


def test_half_precision_trains_and_keeps_its_numbers_in_full() -> None:
    from ganmodels import training
    from ganmodels.datasets import ImageSet
    from ganmodels.family import ImageShape

    spec = precision.resolve(
        asked(device="cpu", threads=1, precision="bf16", width=8, batch_size=8, total_steps=2, r1_every=1)
    )
    state = training.start(spec, ImageShape(1, 8, 10))
    images = ImageSet(torch.zeros(8, 1, 8, 8, dtype=torch.uint8), torch.arange(8), tuple("0123456789"))
    for _, metrics in training.train(spec, state, images):
        assert all(value.dtype == torch.float32 and value.isfinite() for value in metrics.values())
    assert all(parameter.dtype == torch.float32 for parameter in state.generator.network.parameters())
