"""The warning before `make setup` downloads a CUDA-sized torch to a machine that has no GPU.

Run as `python .ci/warn_large_torch.py constraints.txt`. It asks pip what it would install and never stops the set-up.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

WARNING = """
  This machine shows no NVIDIA GPU, yet pip is about to download a CUDA build of torch ({count} NVIDIA packages,
  several GB). It works here too, only slowly to arrive. For the CPU build (about 200 MB), stop with Ctrl-C and
  give pip the PyTorch project's package index for CPU builds, then run `make setup` again:

      PIP_EXTRA_INDEX_URL=<that index> make setup

  See "Which build of torch" in README.md.
"""


def cuda_packages(report: dict[str, Any]) -> list[str]:  # Any: pip's report is JSON
    """Return the names of the NVIDIA packages among what pip would install."""
    names = [item["metadata"]["name"] for item in report["install"]]
    return [name for name in names if name.lower().startswith("nvidia-")]


def planned(constraints: Path) -> dict[str, Any]:
    """Ask pip what installing the pinned torch would bring; nothing is installed."""
    torch = next(line.strip() for line in constraints.read_text().splitlines() if line.startswith("torch=="))
    asked = ["install", "--dry-run", "--quiet", "--report", "-", "-c", str(constraints), torch]
    answer = subprocess.run([sys.executable, "-m", "pip", *asked], capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def main() -> None:
    """Print the warning where it applies."""
    if shutil.which("nvidia-smi"):
        return
    try:
        found = cuda_packages(planned(Path(sys.argv[1])))
    except subprocess.CalledProcessError:
        return  # the installation that follows says what is wrong, better than a guess about its size would
    if found:
        sys.stderr.write(WARNING.format(count=len(found)))


if __name__ == "__main__":
    main()
