"""What a checkpoint can do, as its card says: read in one place, cards of older versions included."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.checkpoints import Checkpoint

IMAGES, LABELS, CLASSES, SCORES = "images", "labels", "classes", "scores"
GENERATOR, POINTS = "generator", "points"

ABILITIES: Mapping[str, str] = {
    IMAGES: "draw images (`GET /sample`)",
    LABELS: "draw images of a given label (`GET /sample?label=`)",
    CLASSES: "classify images (`POST /classify`)",
    SCORES: "score images (`POST /score`)",
}


@dataclass(frozen=True)
class Card:
    """The part of a card that serving goes by.

    `classes` holds, for each output of the class head, the label that it stands for, or None. `span` is the half
    width of the square that points lie in. Images are `size` by `size` pixels, `channels` deep.
    """

    serves: Sequence[str]
    label_names: list[str]
    labels_from: str | None
    classes: Sequence[int | None]
    score_needs_label: bool
    scores_are_odds: bool
    kind: str
    span: float
    size: int
    channels: int
    latent: Mapping[str, Any]  # Any: JSON

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Card":
        """Read a checkpoint's card."""
        card = checkpoint.card
        return cls(
            serves=card["serves"],
            label_names=list(card["label_names"]),
            labels_from=card.get("labels_from", GENERATOR if LABELS in card["serves"] else None),
            classes=card.get("classes") or [],
            score_needs_label=card.get("score_needs_label", False),
            scores_are_odds=card.get("scores_are_odds", True),
            kind=card.get("kind", IMAGES),
            span=card.get("span") or 1.0,
            size=card["image"]["size"],
            channels=card["image"]["channels"],
            latent=card.get("latent") or {},
        )

    @property
    def draws_points(self) -> bool:
        """Whether what it draws is points of the plane, not images."""
        return self.kind == POINTS

    @property
    def filters_labels(self) -> bool:
        """Whether a label is had by choosing among candidates, not by asking the generator."""
        return LABELS in self.serves and self.labels_from == CLASSES

    @property
    def asks_for_labels(self) -> bool:
        """Whether the generator takes a label for each image."""
        return LABELS in self.serves and self.labels_from == GENERATOR

    @property
    def drawable_labels(self) -> list[int]:
        """Return the labels that can be drawn: all, or those that an output of the class head stands for."""
        if self.asks_for_labels:
            return list(range(len(self.label_names)))
        return sorted({label for label in self.classes if label is not None}) if self.filters_labels else []


def abilities(serves: Collection[str]) -> str:
    """Say in words what can be served."""
    told = [words for what, words in ABILITIES.items() if what in serves]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told) or "serve nothing"
