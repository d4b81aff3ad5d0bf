"""What a checkpoint's discriminator makes of uploaded images, as documents."""

from collections.abc import Sequence

from app.refusals import InputRefused
from app.serving import uploads
from app.serving.cards import Card
from app.serving.choices import Label, Names
from app.serving.discriminators import open_discriminator, sigmoid
from app.serving.documents import Classification, ClassificationDocument, Score, ScoreDocument
from app.serving.graphs import Graphs
from app.serving.uploads import Upload
from store.checkpoints import Checkpoint
from store.jobs import Job


def classify(graphs: Graphs, job: Job, checkpoint: Checkpoint, images: Sequence[Upload]) -> ClassificationDocument:
    """Tell the probability of each label for images. Raises FileDamaged, InputRefused, NotFinite."""
    card = Card.of(checkpoint)
    _check_kind(job, card)
    discriminator = open_discriminator(graphs, job, checkpoint, card)
    results = []
    for found in discriminator.probabilities(uploads.decode(images, card.size, card.channels)):
        label = int(found.argmax())
        told = {name: float(probability) for name, probability in zip(card.label_names, found, strict=True)}
        name = card.label_names[label]
        results.append(
            Classification(label=label, label_name=name, probability=float(found[label]), probabilities=told)
        )
    return ClassificationDocument(job_id=job.id, step=checkpoint.step, results=results)


def score(
    graphs: Graphs, job: Job, checkpoint: Checkpoint, images: Sequence[Upload], label: str | None
) -> ScoreDocument:
    """Tell how real images look to the discriminator. Raises FileDamaged, InputRefused, NotFinite."""
    card = Card.of(checkpoint)
    _check_kind(job, card)
    wanted = _wanted_label(job, card, label)
    discriminator = open_discriminator(graphs, job, checkpoint, card)
    logits = discriminator.logits(uploads.decode(images, card.size, card.channels), wanted)
    results = [
        Score(logit=float(logit), probability=float(probability) if card.scores_are_odds else None)
        for logit, probability in zip(logits, sigmoid(logits), strict=True)
    ]
    return ScoreDocument(job_id=job.id, step=checkpoint.step, results=results)


def _wanted_label(job: Job, card: Card, label: str | None) -> int:
    """Return the label that the discriminator is to expect, 0 where it expects none."""
    if label is None and card.score_needs_label:
        raise InputRefused("/label", f"The discriminator of job {job.id} scores an image as one of a label: name it.")
    if label is None:
        return 0
    if not card.score_needs_label:
        raise InputRefused("/label", f"The discriminator of job {job.id} knows no labels; leave `label` out.")
    return Names(card.label_names).index(Label(label), job)


def _check_kind(job: Job, card: Card) -> None:
    if card.draws_points:
        raise InputRefused("/job", f"Job {job.id} learns points of the plane, which no image can hold.")
