"""Previews as files: what the fixed noise has become, as a PNG among the artifacts."""

import io
from dataclasses import dataclass

from PIL import Image

from ganmodels.checkpoints import digest_of
from ganmodels.previews import preview
from ganmodels.specs.knobs import AdversarialKnobs
from ganmodels.training import State
from store.artifacts import Artifacts


@dataclass(frozen=True)
class Written:
    """A picture that is in place, and what the discriminator holds of it."""

    path: str
    sha256: str
    width: int
    height: int
    score: float | None


def draw(spec: AdversarialKnobs, state: State, artifacts: Artifacts, path: str) -> Written:
    """Draw the preview of this step and put it in place."""
    drawn = preview(spec, state)
    picture = Image.fromarray(drawn.picture.numpy())
    content = io.BytesIO()
    picture.save(content, format="PNG")
    artifacts.put(path, content.getvalue())
    width, height = picture.size
    return Written(path, digest_of(content.getvalue()), width, height, drawn.score)
