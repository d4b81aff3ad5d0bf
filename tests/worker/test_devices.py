import os
from pathlib import Path

import pytest

from store.workers import Memory
from worker import devices

MIB = 1 << 20


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("1234, 81559\n", Memory(1234 * MIB, 81559 * MIB)),
        ("0, 143771\n", Memory(0, 143771 * MIB)),
        ("[N/A], [N/A]\n", None),
        ("No devices were found\n", None),
        ("", None),
    ],
)
def test_memory_is_read_or_not_known(told: str, expected: Memory | None) -> None:
    assert devices.parse(told) == expected


def test_a_cpu_has_no_memory_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.find_device() == "cpu"
    assert devices.memory("cpu") is None


def test_the_card_that_a_worker_was_given_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: a card" || { [ "$2" = 3 ] && echo "5, 10"; }\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    assert devices.find_device() == "cuda:3,4"
    assert devices.memory("cuda:3,4") == Memory(5 * MIB, 10 * MIB)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    assert devices.memory("cuda:5") is None
