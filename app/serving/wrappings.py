"""What was drawn, as bytes: a picture, arrays, an archive or JSON."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.serving import images, points
from app.serving.documents import SampledImage, SampleDocument, SampledPoint
from app.serving.drawings import Drawing, Drawn, Format
from app.serving.images import Pixels
from app.serving.noises import Between, Given, Noise, Seeded

NO_LABEL = -1
FRAME_MILLISECONDS = 100

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


def _webp(drawing: Drawing, drawn: Drawn) -> bytes:
    if not drawing.wish.is_animation:
        return images.webp(_picture(drawing, drawn))
    frames = drawn.array
    if drawing.card.draws_points:
        frames = np.stack([points.scatter(point[None], drawing.card.span) for point in drawn.array])
    return images.animation([images.enlarge(frame, drawing.wish.scale) for frame in frames], FRAME_MILLISECONDS)


def _npz(drawing: Drawing, drawn: Drawn) -> bytes:
    name = "points" if drawing.card.draws_points else "images"
    return images.arrays({name: drawn.array, **beside(drawing)})


def beside(drawing: Drawing) -> dict[str, NDArray[np.int64]]:
    """Return what an npz holds beside the images: `labels` (N,), −1 where there are none, and the `seed`."""
    labels = np.full(drawing.wish.count, NO_LABEL, np.int64) if drawing.labels is None else drawing.labels
    return {"labels": labels, **_seeds(drawing.wish.noise)}


def _seeds(noise: Noise) -> dict[str, NDArray[np.int64]]:
    """Return one seed for all images, one for each, those of both ends, or none."""
    match noise:
        case Seeded(keys):
            seeds = [seed for seed, _ in keys] if noise.seed is None else noise.seed
            return {"seed": np.array(seeds, np.int64)}
        case Between(start, end):
            return {"seed": np.array([start, end], np.int64)}
        case Given():
            return {}


def _zip(drawing: Drawing, drawn: Drawn) -> bytes:
    return images.archive(pngs(drawing, drawn))


def pngs(drawing: Drawing, drawn: Drawn) -> Iterator[tuple[str, bytes]]:
    """Yield each image as a file: its name, which holds its place and its label, and the PNG."""
    first = _keys(drawing.wish.noise)[0][1]
    for place, (label, image) in enumerate(zip(_labels(drawing), drawn.array, strict=True), first):
        name = f"{place:06d}.png" if label is None else f"{place:06d}-label-{label}.png"
        yield name, _png(drawing, image)


def _json(drawing: Drawing, drawn: Drawn) -> bytes:
    sampled = list(_sampled(drawing, drawn))
    step, noise = drawing.checkpoint.step, drawing.wish.noise
    seed, truncation = (noise.seed, noise.truncation) if isinstance(noise, Seeded) else (None, None)
    document = SampleDocument(job_id=drawing.job.id, step=step, seed=seed, truncation=truncation, images=sampled)
    return document.model_dump_json().encode()


def _sampled(drawing: Drawing, drawn: Drawn) -> Iterator[SampledImage | SampledPoint]:
    names = drawing.card.label_names
    each = zip(_keys(drawing.wish.noise), _labels(drawing), _confidences(drawing, drawn), drawn.array, strict=True)
    for (seed, index), label, confidence, found in each:
        name = None if label is None else names[label]
        if drawing.card.draws_points:
            point = (float(found[0]), float(found[1]))
            yield SampledPoint(seed=seed, index=index, label=label, label_name=name, point=point)
        else:
            png = base64.b64encode(_png(drawing, found)).decode()
            yield SampledImage(seed=seed, index=index, label=label, label_name=name, confidence=confidence, png=png)


def _png(drawing: Drawing, image: NDArray[np.uint8]) -> bytes:
    return images.png(images.enlarge(image, drawing.wish.scale))


def _keys(noise: Noise) -> Sequence[tuple[int | None, int]]:
    """Return the seed and index of each image; of one that has no seed, its place."""
    return noise.keys if isinstance(noise, Seeded) else [(None, place) for place in range(len(noise))]


def _labels(drawing: Drawing) -> list[int] | list[None]:
    return [None] * drawing.wish.count if drawing.labels is None else [int(label) for label in drawing.labels]


def _confidences(drawing: Drawing, drawn: Drawn) -> list[float] | list[None]:
    return [None] * drawing.wish.count if drawn.confidences is None else drawn.confidences


WRAPPERS: Mapping[Format, Callable[[Drawing, Drawn], bytes]] = {
    Format.PNG: lambda drawing, drawn: images.png(_picture(drawing, drawn)),
    Format.WEBP: _webp,
    Format.NPZ: _npz,
    Format.ZIP: _zip,
    Format.JSON: _json,
}
