"""What several of the library's tests need."""

import os
from pathlib import Path

import pytest

from ganmodels import datasets


@pytest.fixture(scope="session")
def digits() -> datasets.Dataset:
    """Load the data set that needs no files."""
    return datasets.load("digits", Path("nowhere"))


@pytest.fixture(scope="session")
def mnist() -> datasets.Dataset:
    """Load real MNIST; tests that ask for it are marked so, and skipped without its files."""
    return datasets.load("mnist", Path(os.environ["GANYMEDE_DATA_DIR"]))
