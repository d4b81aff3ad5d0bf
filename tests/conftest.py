"""What every test has in common: one thread for torch, no settings from the developer's shell, MNIST where it is."""

import os
import sys
from pathlib import Path

import pytest

KEPT = {"GANYMEDE_DATA_DIR"}  # where data sets lie is a fact of the machine, not a setting under test
MNIST_FILES = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--artifacts", choices=["folder", "s3"], default="folder", help="where the e2e tests keep files")


def pytest_configure() -> None:
    if os.environ.get("GANYMEDE_TEST_COMPOSE"):  # there they are the running stack's, which docker compose reads again
        return
    for name in [name for name in os.environ if name.startswith("GANYMEDE_") and name not in KEPT]:
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if has_mnist():
        return
    for item in items:
        if item.get_closest_marker("mnist"):
            item.add_marker(
                pytest.mark.skip(reason="needs the MNIST files: set GANYMEDE_DATA_DIR to their parent folder")
            )


def has_mnist() -> bool:
    folder = os.environ.get("GANYMEDE_DATA_DIR")
    return folder is not None and len(list(Path(folder, "mnist").glob("*-ubyte*"))) >= MNIST_FILES


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Hold torch to one thread: sums must not depend on how many cores a machine has."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
