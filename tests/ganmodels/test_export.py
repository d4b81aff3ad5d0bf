"""What exporting leaves behind, in a process of its own."""

import multiprocessing
import resource
import sys
from concurrent.futures import ProcessPoolExecutor

from ganmodels import training
from ganmodels.export import Exporter
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC

TIMES = 30
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of what is told of a process's memory


def _grown() -> tuple[int, int]:
    """Export again and again; give the bytes that the memory grew by after the first times, and those of one export."""
    spec = SPEC.validate_python({"family": "gan", "hidden": [512, 512], "threads": 1, "device": "cpu"})
    exporter = Exporter(spec, training.start(spec, ImageShape(1, 28, 10)))
    for _ in range(5):
        exporter.files()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(TIMES):
        files = exporter.files()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) * UNIT, sum(map(len, files.values()))


def test_weights_that_were_exported_are_forgotten() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        grown, size = apart.submit(_grown).result()
    assert grown < TIMES / 3 * size, f"{grown} bytes more after {TIMES} exports of {size} bytes"
