import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
import numpy as np
{told}
from app.serving.images import png
picture = np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8)
png(picture)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    png(picture)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_fetched(told: str) -> int:
    """Encode 200 small pictures in a process of its own; return how often the kernel handed out a page."""
    ended = subprocess.run([sys.executable, "-c", COUNT.format(told=told)], capture_output=True, text=True, check=True)
    return int(ended.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs GNU's C library")
def test_the_service_encodes_small_pictures_in_memory_that_it_has() -> None:
    assert pages_fetched("import app.main") < 200 < 2_000 < pages_fetched("")
