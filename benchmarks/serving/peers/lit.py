"""LitServe as its documentation has it: one worker on the CPU, requests batched."""

import os
import sys
from pathlib import Path
from typing import Any

import litserve
from drawing import Drawing
from fastapi import Response

BATCH_SIZE, BATCH_TIMEOUT_SECONDS = 32, 0.005


class Api(litserve.LitAPI):
    """Draws one image for each request."""

    def setup(self, device: str) -> None:
        """Load the generator in the worker."""
        self.drawing = Drawing(Path(os.environ["GENERATOR"]), int(os.environ["LATENT_SIZE"]))

    def decode_request(self, request: dict[str, Any]) -> tuple[int, int]:
        """Read the seed and the label."""
        return request["seed"], request["label"]

    def predict(self, asked: Any) -> Any:
        """Draw a batch, or one image where nothing is batched."""
        if isinstance(asked, tuple):
            return self.drawing.draw([asked[0]], [asked[1]])[0]
        return self.drawing.draw(*zip(*asked, strict=True))

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Leave seeds and labels as they are."""
        return inputs

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        """Give each request its own."""
        return output

    def encode_response(self, output: bytes) -> Response:
        """Answer with the picture."""
        return Response(output, media_type="image/png")


if __name__ == "__main__":
    batched = {"max_batch_size": BATCH_SIZE, "batch_timeout": BATCH_TIMEOUT_SECONDS}
    api = Api(**(batched if sys.argv[2:] == ["batched"] else {}))
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning"
    )
