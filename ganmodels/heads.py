"""What a discriminator that classifies makes of images, and what its outputs are called."""

import torch
from torch import Tensor

from ganmodels.batches import to_range
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.measures import clusters
from ganmodels.normalization import evaluating
from ganmodels.specs.knobs import Knobs
from ganmodels.training import State, family_of

PIECE = 500
NAMELESS = -1


def class_names(spec: Knobs, state: State, dataset: Dataset) -> list[int | None] | None:
    """Give the label that each of the head's outputs stands for; None where it stands for none, or there is no head.

    The outputs of a run without labels are clusters, which validation names: one to one where there are as many as
    labels, else each by the majority of its images.
    """
    if family_of(spec).classify is None:
        return None
    if not spec.names_clusters:
        return list(range(state.shape.labels))
    logits = class_logits(spec, state, dataset.validation)
    assigned, labels = logits.argmax(1), dataset.validation.labels
    if logits.shape[1] == state.shape.labels:
        named = clusters.hungarian(assigned, labels, state.shape.labels)
    else:
        named = clusters.majority(assigned, labels, logits.shape[1], state.shape.labels)
    return [None if label == NAMELESS else int(label) for label in named]


@torch.no_grad()
def class_logits(spec: Knobs, state: State, images: ImageSet) -> Tensor:
    """Ask the averaged head, in evaluation mode, of every image; (N, K) on the CPU."""
    family, network = family_of(spec), state.discriminator.served
    assert family.classify is not None
    with evaluating(network):
        pieces = [
            family.classify(network, to_range(piece.to(state.device), family.output_range(spec))).float().cpu()
            for piece in torch.split(images.images, PIECE)
        ]
    return torch.cat(pieces)


def error_rate(spec: Knobs, state: State, dataset: Dataset, images: ImageSet) -> float:
    """Give the share of images that the averaged head reads as another label than their own."""
    names = class_names(spec, state, dataset)
    assert names is not None
    label_of = torch.tensor([NAMELESS if label is None else label for label in names])
    return clusters.error(class_logits(spec, state, images).argmax(1), images.labels, label_of)
