"""What fixes the numbers of a run, and the refusal to go on where it is not what the job began with."""

from collections.abc import Mapping
from typing import Any

import torch

from ganmodels import precision
from ganmodels.datasets import Dataset
from ganmodels.specs import NUMERICS_VERSION
from ganmodels.specs.knobs import Knobs
from worker.failures import NumericsChanged

Json = Mapping[str, Any]  # Any: JSON
BOUND = ("dataset_digest", "numerics_version")
WAY_OUT = "`retry` makes a new job that goes on from its newest checkpoint all the same"


def numerics_of(dataset: Dataset) -> dict[str, Any]:
    """Name what fixes the numbers beside the spec."""
    return {
        "dataset_digest": dataset.digest,
        "numerics_version": NUMERICS_VERSION,
        "instruction_set": precision.instruction_set(),
        "torch": torch.__version__,
    }


def refuse_other_numerics(earlier: Json | None, found: Json) -> None:
    """Raise NumericsChanged when the data or the algorithms are not those the job began with."""
    for name in BOUND:
        if earlier is not None and earlier[name] != found[name]:
            raise NumericsChanged(
                f"the job began with {name} {earlier[name]}, this worker has {found[name]}; {WAY_OUT}"
            )


def refuse_other_spec(kept: Json, spec: Knobs) -> None:
    """Raise NumericsChanged when a job's checkpoint was written under another spec than the job has now.

    A knob that only one of the two knows came or went with a version that left the numbers alone.
    """
    mine = spec.model_dump(mode="json")
    for name in sorted(kept.keys() & mine.keys()):
        if kept[name] != mine[name]:
            raise NumericsChanged(
                f"the checkpoint was written with {name} {kept[name]}, the job's spec has {mine[name]}; {WAY_OUT}"
            )
