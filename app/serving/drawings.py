"""A drawing: the images or points of one answer, and what their bytes depend on."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from threading import Event
from typing import Any

import numpy as np
import onnxruntime
import PIL
from numpy.typing import NDArray

from app.conditional import entity_tag
from app.refusals import InputRefused
from app.serving import choices, filters, points
from app.serving.cards import IMAGES, LABELS, Card
from app.serving.choices import Label, Names
from app.serving.discriminators import Discriminator, open_discriminator
from app.serving.generators import Generator
from app.serving.graphs import CPU, DISCRIMINATOR, GENERATOR, Graphs, digest
from app.serving.images import PNG_LEVEL, near_square
from app.serving.noises import Between, Given, Noise, Seeded
from store.checkpoints import Checkpoint
from store.jobs import Job

MOST_IMAGES = 1000  # of one answer that is held whole
MOST_STREAMED = 50_000  # of one that is sent in pieces
MOST_PIXELS = 1 << 24  # of one answer, or of one image of those that are streamed, enlarged
MOST_PIXELS_STREAMED = 1 << 32
MOST_SIDE = 16_383  # pixels; WebP's limit
RUNTIME = (onnxruntime.__version__, PIL.__version__, np.__version__, zlib.ZLIB_RUNTIME_VERSION, PNG_LEVEL)


class Format(StrEnum):
    """How images may be wrapped."""

    PNG = "png"
    WEBP = "webp"
    NPZ = "npz"
    ZIP = "zip"
    JSON = "json"


PICTURES = (Format.PNG, Format.WEBP)
STREAMED = (Format.ZIP, Format.NPZ)


@dataclass(frozen=True)
class Wish:
    """What a request asks of any checkpoint: an image of each noise; `grid`, where given, in rows and columns.

    A picture's pixels are enlarged to squares of `scale` by `scale`.
    """

    noise: Noise
    labels: Sequence[Label]  # one for each image, or none
    format: Format
    grid: tuple[int, int] | None
    scale: int
    counted: str = "/n"  # points at what says how many images there are

    @cached_property
    def count(self) -> int:
        """Return how many images are wished for."""
        return len(self.noise)

    @cached_property
    def layout(self) -> tuple[int, int]:
        """Return the rows and columns of a picture; a way is a strip."""
        strip = (1, self.count) if isinstance(self.noise, Between) else None
        return self.grid or strip or near_square(self.count)

    @property
    def is_animation(self) -> bool:
        """Whether the images come one after the other, not side by side."""
        return self.format is Format.WEBP and isinstance(self.noise, Between)

    @property
    def is_streamed(self) -> bool:
        """Whether there are more images than are held at once."""
        return self.count > MOST_IMAGES

    @property
    def what(self) -> str:
        """Return what a job must serve to answer."""
        return LABELS if self.labels else IMAGES


@dataclass(frozen=True)
class Drawn:
    """Images (N, H, W, C) as bytes or points (N, 2) as float32, and p(label) of each where a class head chose them."""

    array: NDArray[Any]  # Any: of either kind
    confidences: list[float] | None = None

    @property
    def confidence(self) -> float | None:
        """Return the lowest of the confidences."""
        return None if self.confidences is None else min(self.confidences)


@dataclass(frozen=True)
class Drawing:
    """A wish settled on one checkpoint of one job, its labels chosen. Building it loads no network."""

    job: Job
    checkpoint: Checkpoint
    card: Card
    wish: Wish
    labels: NDArray[np.int64] | None

    @classmethod
    def plan(cls, job: Job, checkpoint: Checkpoint, wish: Wish) -> "Drawing":
        """Settle a wish; raise InputRefused where the job, the label, the format or the size cannot be had."""
        card = Card.of(checkpoint)
        choices.check_able(job, card.serves, wish.what, wish.labels)
        if wish.is_streamed:
            _check_streamed(wish, card)
        if card.draws_points:
            _check_points(wish, card)
        _check_size(wish, card)
        _check_noise(job, card, wish)
        return cls(job, checkpoint, card, wish, _labels(job, card, wish))

    @cached_property
    def label(self) -> int | None:
        """Return the one label of every image, asked for or drawn; None where there are none or several."""
        if self.labels is None or np.any(self.labels != self.labels[0]):
            return None
        return int(self.labels[0])

    @property
    def is_filtered(self) -> bool:
        """Whether a class head chooses each image among candidates."""
        return bool(self.wish.labels) and self.card.filters_labels

    @cached_property
    def pixels(self) -> int:
        """Return how many pixels the answer has, enlarged."""
        return _pixels(self.wish, self.card)

    def tag(self, provider: str) -> str:
        """Return the entity tag of the bytes: everything that they are a function of; a weak one but for the CPU."""
        wish = self.wish
        files = [digest(self.checkpoint, file) for file in (GENERATOR, DISCRIMINATOR)[: 1 + self.is_filtered]]
        asked = (wish.noise, self.labels.tolist() if wish.labels and self.labels is not None else None)
        layout = (wish.format, *wish.layout, wish.scale)
        chosen = filters.RULES if self.is_filtered else None
        tag = entity_tag(self.job.id, self.checkpoint.step, files, asked, layout, chosen, RUNTIME, provider)
        return tag if provider == CPU else f"W/{tag}"

    def draw(self, graphs: Graphs, over: Event | None = None) -> Drawn:
        """Draw the images or points, until `over` is set. Raises FileDamaged, NotFinite, NoneSureEnough, Abandoned."""
        generator = Generator(graphs.open(self.job.id, self.checkpoint, GENERATOR))
        if self.is_filtered:
            return self._choose(generator, open_discriminator(graphs, self.job, self.checkpoint, self.card), over)
        if self.card.draws_points:
            noise = self.wish.noise.vectors(self.card.latent)
            return Drawn(generator.points(noise, self.labels, self.card.span))
        return draw_together([self], generator)[0]

    def _choose(self, generator: Generator, discriminator: Discriminator, over: Event | None) -> Drawn:
        noise, labels, latent = self.wish.noise, self.labels, self.card.latent
        assert isinstance(noise, Seeded)  # a filtered drawing has seeds
        assert labels is not None  # and labels
        chosen = [
            filters.choose(generator, discriminator, key, int(label), latent, noise.truncation, over)
            for key, label in zip(noise.keys, labels, strict=True)
        ]
        return Drawn(np.stack([image for image, _ in chosen]), [confidence for _, confidence in chosen])


def draw_together(drawings: Sequence[Drawing], generator: Generator) -> list[Drawn]:
    """Draw the images of one generator, none of them chosen by a class head, in one pass. Raises NotFinite."""
    noise = np.concatenate([drawing.wish.noise.vectors(drawing.card.latent) for drawing in drawings])
    labels = [drawing.labels for drawing in drawings if drawing.labels is not None]
    images = generator.draw(noise, np.concatenate(labels) if labels else None)
    ends = np.cumsum([drawing.wish.count for drawing in drawings])
    return [Drawn(each) for each in np.split(images, ends[:-1])]


def _check_streamed(wish: Wish, card: Card) -> None:
    """Raise InputRefused where so many images cannot be had in pieces."""
    if wish.format not in STREAMED or card.draws_points:
        kinds = "points" if card.draws_points else wish.format
        raise InputRefused("/n", f"At most {MOST_IMAGES:,} in one answer as {kinds}; `zip` and `npz` hold more images.")


def _check_points(wish: Wish, card: Card) -> None:
    """Raise InputRefused for what means nothing where points are drawn."""
    if wish.grid is not None:
        raise InputRefused("/grid", "This job draws points, all of them in one picture; leave `grid` out.")
    if wish.format is Format.ZIP:
        raise InputRefused("/format", "This job draws points; ask for `npz`, `json`, `png` or `webp`.")
    if wish.labels and card.filters_labels:
        raise InputRefused(wish.labels[0].pointer, "This job draws points, which no class head chooses among.")


def _check_noise(job: Job, card: Card, wish: Wish) -> None:
    """Raise InputRefused for noise that the generator does not take."""
    who, size, distribution = f"Job {job.id} ({job.family})", card.latent["size"], card.latent["distribution"]
    match wish.noise:
        case Seeded(truncation=float()) if distribution != "normal":
            found = f"{who} draws from {distribution} noise, which has an end anyway"
            raise InputRefused("/truncation", f"{found}; leave `truncation` out.")
        case Given(sent) if wrong := [place for place, vector in enumerate(sent) if len(vector) != size]:
            found = f"{who} draws from vectors of {size} numbers; found {len(sent[wrong[0]])}."
            raise InputRefused(f"/latents/{wrong[0]}", found)
        case Given() if card.asks_for_labels and not wish.labels:
            raise InputRefused("/labels", f"{who} draws images of a label: send a label for each latent vector.")
        case Given() if card.filters_labels and wish.labels:
            raise InputRefused("/labels", f"{who} chooses images of a label among seeds' noise: send `seeds` instead.")
        case Between() if card.filters_labels and wish.labels:
            found = f"{who} chooses images of a label among candidates, and cannot follow one along a way"
            raise InputRefused("/label", f"{found}; leave `label` out.")


def _labels(job: Job, card: Card, wish: Wish) -> NDArray[np.int64] | None:
    """Return the labels (N,) asked for, those drawn for a generator that takes any, or None."""
    if wish.labels:
        names = Names(card.label_names, card.drawable_labels)
        known = {label: names.index(label, job) for label in dict.fromkeys(wish.labels)}
        return np.array([known[label] for label in wish.labels], np.int64)
    if card.asks_for_labels and not isinstance(wish.noise, Given):
        return wish.noise.labels(len(card.label_names))
    return None


def _check_size(wish: Wish, card: Card) -> None:
    """Raise InputRefused for more pixels than one answer may hold."""
    side = _side(wish, card)
    rows, columns = _tiles(wish, card)
    most = MOST_PIXELS_STREAMED if wish.is_streamed else MOST_PIXELS
    if _pixels(wish, card) > most or side**2 > MOST_PIXELS:
        found = f"{rows * columns} images of {side} by {side} pixels are more than {most:,} pixels"
        if side**2 > MOST_PIXELS:
            found = f"An image of {side} by {side} pixels has more than {MOST_PIXELS:,}"
        counted = "/grid" if wish.grid else wish.counted
        raise InputRefused("/scale" if wish.scale > 1 else counted, f"{found}.")
    if wish.format in PICTURES and not wish.is_animation and max(rows, columns) * side > MOST_SIDE:
        said = f"A picture may be {MOST_SIDE:,} pixels wide or high at most."
        raise InputRefused("/grid" if wish.grid else wish.counted, said)


def _pixels(wish: Wish, card: Card) -> int:
    rows, columns = _tiles(wish, card)
    return rows * columns * _side(wish, card) ** 2


def _side(wish: Wish, card: Card) -> int:
    return (points.SIDE if card.draws_points else card.size) * wish.scale


def _tiles(wish: Wish, card: Card) -> tuple[int, int]:
    """Return the rows and columns of images that an answer holds; points share a picture, and have no pixels else."""
    if card.draws_points and not wish.is_animation:
        return (1, 1) if wish.format in PICTURES else (0, 0)
    return (wish.count, 1) if wish.is_animation or wish.format not in PICTURES else wish.layout
