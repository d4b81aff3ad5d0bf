"""BentoML as its documentation has it: one worker, requests batched."""

import base64
import os
from pathlib import Path

import bentoml
from drawing import Drawing

BATCH_SIZE, LATENCY_MILLISECONDS = 32, 100


@bentoml.service(workers=1, traffic={"timeout": 30})
class Generator:
    """Draws one image for each request; a batchable route in BentoML takes and gives lists of one kind."""

    def __init__(self) -> None:
        self.drawing = Drawing(Path(os.environ["GENERATOR"]), int(os.environ["LATENT_SIZE"]))

    @bentoml.api(batchable=True, max_batch_size=BATCH_SIZE, max_latency_ms=LATENCY_MILLISECONDS)
    def batched(self, asked: list[dict[str, int]]) -> list[str]:
        """Draw a batch; bytes in a list have no form in JSON but base64."""
        drawn = self.drawing.draw([one["seed"] for one in asked], [one["label"] for one in asked])
        return [base64.b64encode(each).decode() for each in drawn]

    @bentoml.api
    def predict(self, seed: int, label: int) -> bytes:
        """Draw one image."""
        return self.drawing.draw([seed], [label])[0]
