"""`/sample`: images from a trained generator, each answer a pure function of its URL."""

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np
import onnxruntime
import PIL
import structlog
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BeforeValidator
from starlette.responses import Response

from app.conditional import entity_tag, is_fresh, not_modified
from app.documents import MEANINGS, SampledImage, SampleDocument, headers, problems
from app.inputs import shown
from app.parameters import EXAMPLE_ID, MOST, TEXT, UUID, WHOLE, IfNoneMatch, Whole
from app.refusals import FileDamaged, InputRefused
from app.resources import Held, Reading
from app.serving import choices, images, latents
from app.serving.generators import PROVIDER, Generator, digest
from app.serving.images import Pixels
from store.checkpoints import Checkpoint
from store.jobs import Job

router = APIRouter(tags=["sample"])
log = structlog.get_logger()

MOST_IMAGES = 1000
MOST_PIXELS = 1 << 24  # of one answer, enlarged
MOST_SIDE = 16_383  # WebP's limit
RUNTIME = (onnxruntime.__version__, PIL.__version__, np.__version__, PROVIDER)


class Format(StrEnum):
    """How images may be wrapped."""

    PNG = "png"
    WEBP = "webp"
    NPZ = "npz"
    ZIP = "zip"
    JSON = "json"


MEDIA_TYPES = {
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.NPZ: "application/x-npz",
    Format.ZIP: "application/zip",
    Format.JSON: "application/json",
}


def _step(value: object) -> object:
    if isinstance(value, str) and WHOLE.fullmatch(value):
        return int(value)
    return value
