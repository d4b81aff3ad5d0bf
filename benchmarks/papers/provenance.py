"""Where a figure comes from: the commit and the machine."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path


@cache
def commit() -> str:
    """Name the commit that is checked out; with `+` when files that matter differ from it."""
    root = Path(__file__).parents[2]
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    changed = ["git", "status", "--porcelain", "--", "ganmodels", "worker", "store", "app"]
    dirty = subprocess.run(changed, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    return head.stdout.strip() + ("+" if dirty else "")


def hardware() -> str:
    """Name the processor and how many of it there are."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} x {model}"
