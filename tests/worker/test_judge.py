"""The judge: one classifier for all jobs of a data set, which no run notices but by its figures."""

from pathlib import Path

import torch

from ganmodels import datasets
from store.artifacts import Artifacts
from worker import judge


def test_a_run_that_trains_its_judge_itself_keeps_its_threads(tmp_path: Path) -> None:
    dataset, artifacts = datasets.load("digits", tmp_path), Artifacts(str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(judge.THREADS + 1)
    try:
        judge.train(dataset, artifacts)
        assert torch.get_num_threads() == judge.THREADS + 1
    finally:
        torch.set_num_threads(before)
    assert judge.find(dataset, artifacts) is not None
