"""What was drawn, as bytes: a picture, arrays, an archive or JSON."""

import base64
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from app.serving import images, points
from app.serving.documents import SampledImage, SampleDocument, SampledPoint
from app.serving.drawings import Drawing, Drawn, Format
from app.serving.images import Pixels

NO_LABEL = -1

MEDIA_TYPES: Mapping[Format, str] = {
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.NPZ: "application/x-npz",
    Format.ZIP: "application/zip",
    Format.JSON: "application/json",
}


def wrap(drawing: Drawing, drawn: Drawn) -> bytes:
    """Wrap what was drawn in the format wished for."""
    return WRAPPERS[drawing.wish.format](drawing, drawn)


def _picture(drawing: Drawing, drawn: Drawn) -> Pixels:
    if drawing.card.draws_points:
        picture = points.scatter(drawn.array, drawing.card.span)
    else:
        picture = images.tile(drawn.array, *drawing.wish.layout)
    return images.enlarge(picture, drawing.wish.scale)


def _npz(drawing: Drawing, drawn: Drawn) -> bytes:
    labels = np.full(drawing.wish.count, NO_LABEL, np.int64) if drawing.labels is None else drawing.labels
    name = "points" if drawing.card.draws_points else "images"
    return images.arrays({name: drawn.array, "labels": labels, "seed": np.array(drawing.wish.noise.seed, np.int64)})


def _zip(drawing: Drawing, drawn: Drawn) -> bytes:
    each = zip(drawing.wish.noise.keys, _labels(drawing), drawn.array, strict=True)
    return images.archive(
        (f"{index:06d}.png" if label is None else f"{index:06d}-label-{label}.png", _png(drawing, image))
        for (_, index), label, image in each
    )


def _json(drawing: Drawing, drawn: Drawn) -> bytes:
    sampled = list(_sampled(drawing, drawn))
    step, noise = drawing.checkpoint.step, drawing.wish.noise
    document = SampleDocument(
        job_id=drawing.job.id, step=step, seed=noise.seed, truncation=noise.truncation, images=sampled
    )
    return document.model_dump_json().encode()


def _sampled(drawing: Drawing, drawn: Drawn) -> Iterator[SampledImage | SampledPoint]:
    names = drawing.card.label_names
    each = zip(drawing.wish.noise.keys, _labels(drawing), _confidences(drawing, drawn), drawn.array, strict=True)
    for (_, index), label, confidence, found in each:
        name = None if label is None else names[label]
        if drawing.card.draws_points:
            yield SampledPoint(index=index, label=label, label_name=name, point=(float(found[0]), float(found[1])))
        else:
            png = base64.b64encode(_png(drawing, found)).decode()
            yield SampledImage(index=index, label=label, label_name=name, confidence=confidence, png=png)


def _png(drawing: Drawing, image: NDArray[np.uint8]) -> bytes:
    return images.png(images.enlarge(image, drawing.wish.scale))


def _labels(drawing: Drawing) -> list[int] | list[None]:
    return [None] * drawing.wish.count if drawing.labels is None else [int(label) for label in drawing.labels]


def _confidences(drawing: Drawing, drawn: Drawn) -> list[float] | list[None]:
    return [None] * drawing.wish.count if drawn.confidences is None else drawn.confidences


WRAPPERS: Mapping[Format, Callable[[Drawing, Drawn], bytes]] = {
    Format.PNG: lambda drawing, drawn: images.png(_picture(drawing, drawn)),
    Format.WEBP: lambda drawing, drawn: images.webp(_picture(drawing, drawn)),
    Format.NPZ: _npz,
    Format.ZIP: _zip,
    Format.JSON: _json,
}
