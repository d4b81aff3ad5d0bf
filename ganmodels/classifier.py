"""The independent judge: a small classifier of real images, whose features measure what generators make of them.

It is trained once per data set, on the training part alone, and never sees a GAN's images.
"""

import json
import math
from dataclasses import dataclass

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganmodels import draws
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.draws import Purpose
from ganmodels.family import ImageShape

VERSION = 1  # rises when the network or its training changes: a cached classifier is then trained anew
FEATURES = 128
BATCH = 256
EPOCHS = 3
LEAST_STEPS = 400
HIGHEST_RATE = 8e-3


class Network(nn.Module):
    """Images (B, C, H, W) in [0, 1] to 128 features and one logit per label."""

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, width, size = shape.channels, 24, shape.size
        while size > 4:
            layers += [nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            before, width, size = width, min(2 * width, FEATURES), math.ceil(size / 2)
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.features = nn.Sequential(nn.Linear(before * size**2, FEATURES, bias=False), nn.BatchNorm1d(FEATURES))
        self.logits = nn.Linear(FEATURES, shape.labels)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's types forget it

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give features (B, 128), which are not negative, and logits (B, labels)."""
        features = self.features(self.convolutions(images)).relu()
        return features, self.logits(features)


@dataclass(frozen=True)
class Classifier:
    """A trained judge and the shape of images it judges."""

    network: Network
    shape: ImageShape

    @torch.no_grad()
    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give features (N, 128) and labels (N,) of images in [0, 1], in pieces that fit any memory."""
        pieces = [self.network(piece) for piece in torch.split(images, 500)]
        return torch.cat([features for features, _ in pieces]), torch.cat([logits for _, logits in pieces]).argmax(1)


def train_classifier(dataset: Dataset, threads: int) -> Classifier:
    """Train the judge of a data set; the same data and number of threads give the same bits."""
    torch.set_num_threads(threads)
    facts = dataset.facts
    shape = ImageShape(facts.channels, facts.size, len(facts.label_names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws.number(0, 0, 0, Purpose.CLASSIFIER_WEIGHTS))
        network = Network(shape)
    fit(network, dataset.train)
    return Classifier(network.eval().requires_grad_(False), shape)


def fit(network: Network, images: ImageSet) -> None:
    """Descend the cross-entropy by AdamW, its rate rising for a quarter of the steps and falling to 0 after."""
    steps = max(LEAST_STEPS, EPOCHS * len(images) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps)
    for step in range(steps):
        chosen = draws.positions(0, step * BATCH, BATCH, len(images))
        _, logits = network(_shifted(images.images[chosen].float() / 255, step))
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(logits, images.labels[chosen], label_smoothing=0.05))
        optimizer.step()
        schedule.step()


def _shifted(images: Tensor, step: int) -> Tensor:
    """Move a batch by up to a fourteenth of its width: where a digit sits says nothing of which it is."""
    most = images.shape[-1] // 14
    random = draws.source(0, 0, step, Purpose.CLASSIFIER_SHIFT)
    down, right = torch.randint(-most, most + 1, (2,), generator=random).tolist()
    return images.roll((down, right), dims=(2, 3))


def pack(classifier: Classifier) -> bytes:
    """Write the classifier as safetensors, its shape in the header."""
    shape = classifier.shape
    header = {"version": VERSION, "channels": shape.channels, "size": shape.size, "labels": shape.labels}
    tensors = {name: tensor.contiguous() for name, tensor in classifier.network.state_dict().items()}
    return save_tensors({**tensors, "header": torch.tensor(list(json.dumps(header).encode()), dtype=torch.uint8)})


def unpack(content: bytes) -> Classifier:
    """Read a classifier back. Raises ValueError when it is of another version."""
    tensors = load_tensors(content)
    header = json.loads(bytes(tensors.pop("header").tolist()))
    if header["version"] != VERSION:
        raise ValueError(f"classifier version {header['version']}, expected {VERSION}")
    shape = ImageShape(header["channels"], header["size"], header["labels"])
    network = Network(shape)
    network.load_state_dict(tensors)
    return Classifier(network.eval().requires_grad_(False), shape)
