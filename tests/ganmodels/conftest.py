"""What several of the library's tests need."""

import os
from pathlib import Path

import pytest
import torch

from ganmodels import datasets


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> datasets.Dataset:
    """Load the data set that needs no files."""
    return datasets.load("digits", Path("nowhere"))


@pytest.fixture(scope="session")
def mnist() -> datasets.Dataset:
    """Load real MNIST, where its files are."""
    folder = Path(os.environ.get("GANYMEDE_DATA_DIR", "nowhere"))
    if not (folder / "mnist").is_dir():
        pytest.skip(f"MNIST is not in {folder / 'mnist'}: set GANYMEDE_DATA_DIR to the folder that holds mnist/")
    return datasets.load("mnist", folder)
