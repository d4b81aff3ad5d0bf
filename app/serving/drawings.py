"""A drawing: the images of one answer, what their bytes depend on, and the bytes."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import onnxruntime
import PIL
from numpy.typing import NDArray

from app.conditional import entity_tag
from app.documents import SampledImage, SampleDocument
from app.refusals import InputRefused
from app.serving import choices, images, latents
from app.serving.generators import PROVIDER, Generator, digest
from app.serving.images import Pixels
from store.checkpoints import Checkpoint
from store.jobs import Job

MOST_PIXELS = 1 << 24  # of one answer, enlarged
MOST_SIDE = 16_383  # pixels; WebP's limit
RUNTIME = (onnxruntime.__version__, PIL.__version__, np.__version__, PROVIDER)
NO_LABEL = -1


class Format(StrEnum):
    """How images may be wrapped."""

    PNG = "png"
    WEBP = "webp"
    NPZ = "npz"
    ZIP = "zip"
    JSON = "json"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.NPZ: "application/x-npz",
    Format.ZIP: "application/zip",
    Format.JSON: "application/json",
}


@dataclass(frozen=True)
class Wish:
    """What a request asks of any checkpoint: `count` images from `index` on, laid out in a grid, enlarged."""

    seed: int
    index: int
    count: int
    label: str | None
    format: Format
    rows: int
    columns: int
    scale: int

    @property
    def indices(self) -> range:
        """Return the indices of the images."""
        return range(self.index, self.index + self.count)


@dataclass(frozen=True)
class Drawing:
    """A wish settled on one checkpoint of one job, its labels chosen. Building it loads no network."""

    job: Job
    checkpoint: Checkpoint
    wish: Wish
    names: list[str] | None
    labels: NDArray[np.int64] | None

    @classmethod
    def plan(cls, job: Job, checkpoint: Checkpoint, wish: Wish) -> "Drawing":
        """Settle a wish; raise InputRefused where the label or the size cannot be had."""
        _check_size(checkpoint, wish)
        names, labels = choices.label_names(job, checkpoint), None
        if wish.label is not None:
            labels = np.full(wish.count, choices.label_index(wish.label, job, checkpoint), np.int64)
        elif names is not None:
            labels = latents.labels(wish.seed, wish.indices, len(names))
        return cls(job, checkpoint, wish, names, labels)

    @property
    def label(self) -> int | None:
        """Return the one label of every image, asked for or drawn; None where there are none or several."""
        if self.labels is None or (self.wish.label is None and self.wish.count > 1):
            return None
        return int(self.labels[0])

    @property
    def tag(self) -> str:
        """Return the entity tag of the bytes: everything that they are a function of."""
        wish, step = self.wish, self.checkpoint.step
        layout = (wish.format, wish.rows, wish.columns, wish.scale)
        asked = (wish.seed, wish.index, wish.count, None if wish.label is None else self.label)
        return entity_tag(self.job.id, step, digest(self.checkpoint), asked, layout, RUNTIME)

    def draw(self, generator: Generator) -> bytes:
        """Draw the images and wrap them."""
        noise = latents.noise(self.wish.seed, self.wish.indices, self.checkpoint.card["latent"])
        return WRAPPERS[self.wish.format](self, generator.draw(noise, self.labels))


def _picture(drawing: Drawing, drawn: Pixels) -> Pixels:
    grid = images.tile(drawn, drawing.wish.rows, drawing.wish.columns)
    return images.enlarge(grid, drawing.wish.scale)


def _npz(drawing: Drawing, drawn: Pixels) -> bytes:
    labels = np.full(len(drawn), NO_LABEL, np.int64) if drawing.labels is None else drawing.labels
    return images.arrays({"images": drawn, "labels": labels, "seed": np.array(drawing.wish.seed, np.int64)})


def _zip(drawing: Drawing, drawn: Pixels) -> bytes:
    each = zip(drawing.wish.indices, _labels(drawing), drawn, strict=True)
    return images.archive(
        (f"{index:06d}.png" if label is None else f"{index:06d}-label-{label}.png", _png(drawing, image))
        for index, label, image in each
    )


def _json(drawing: Drawing, drawn: Pixels) -> bytes:
    names = drawing.names or []
    sampled = [
        SampledImage(
            index=index,
            label=label,
            label_name=None if label is None else names[label],
            png=base64.b64encode(_png(drawing, image)).decode(),
        )
        for index, label, image in zip(drawing.wish.indices, _labels(drawing), drawn, strict=True)
    ]
    step, seed = drawing.checkpoint.step, drawing.wish.seed
    return SampleDocument(job_id=drawing.job.id, step=step, seed=seed, images=sampled).model_dump_json().encode()


def _png(drawing: Drawing, image: Pixels) -> bytes:
    return images.png(images.enlarge(image, drawing.wish.scale))


def _labels(drawing: Drawing) -> list[int] | list[None]:
    return [None] * drawing.wish.count if drawing.labels is None else [int(label) for label in drawing.labels]


WRAPPERS: Mapping[Format, Callable[[Drawing, Pixels], bytes]] = {
    Format.PNG: lambda drawing, drawn: images.png(_picture(drawing, drawn)),
    Format.WEBP: lambda drawing, drawn: images.webp(_picture(drawing, drawn)),
    Format.NPZ: _npz,
    Format.ZIP: _zip,
    Format.JSON: _json,
}


def _check_size(checkpoint: Checkpoint, wish: Wish) -> None:
    """Raise InputRefused for more pixels than one answer may hold."""
    side = checkpoint.card["image"]["size"] * wish.scale
    rows, columns = (wish.rows, wish.columns) if wish.format in (Format.PNG, Format.WEBP) else (wish.count, 1)
    if rows * columns * side**2 > MOST_PIXELS:
        found = f"{rows * columns} images of {side} by {side} pixels"
        raise InputRefused("/scale" if wish.scale > 1 else "/n", f"{found} are more than {MOST_PIXELS:,} pixels.")
    if wish.format in (Format.PNG, Format.WEBP) and max(rows, columns) * side > MOST_SIDE:
        raise InputRefused("/grid", f"A picture may be {MOST_SIDE:,} pixels wide or high at most.")
