"""Devices: what children will train on, asked of the driver's own tool and not of PyTorch."""

import os
import shutil
import subprocess

from store.workers import Memory

MEBIBYTE = 1 << 20
PATIENCE_SECONDS = 5
CPU = "cpu"


def find_device() -> str:
    """Name the device that children will train on."""
    return f"cuda:{_chosen()}" if _told("-L").startswith("GPU") else CPU


def memory(device: str) -> Memory | None:
    """Return how much memory of the device is taken, whoever took it; None for the CPU, or where nobody says."""
    if device == CPU:
        return None
    first = _chosen().split(",")[0]  # the one that a child trains on
    return parse(_told("-i", first, "--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits"))


def parse(told: str) -> Memory | None:
    """Read one line of used and total memory in MiB; None where it says neither."""
    try:
        used, total = (int(number) * MEBIBYTE for number in told.split(","))
    except ValueError:
        return None
    return Memory(used, total)


def _chosen() -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0")


def _told(*words: str) -> str:
    """Return what `nvidia-smi` answers, nothing where it cannot."""
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        asked = subprocess.run(
            ["nvidia-smi", *words], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout if asked.returncode == 0 else ""
