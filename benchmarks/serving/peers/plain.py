"""What one writes in an afternoon: FastAPI and PyTorch in one process."""

import os
from pathlib import Path

from drawing import Drawing
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import Response

app = FastAPI()
drawing = Drawing(Path(os.environ["GENERATOR"]), int(os.environ["LATENT_SIZE"]))


class Asked(BaseModel):
    """What a request holds."""

    seed: int
    label: int


@app.post("/predict")
def predict(asked: Asked) -> Response:
    """Draw one image."""
    return Response(drawing.draw([asked.seed], [asked.label])[0], media_type="image/png")
