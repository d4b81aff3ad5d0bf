import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels import draws, heads, training
from ganmodels.datasets import Dataset
from ganmodels.draws import Purpose
from ganmodels.families import acgan
from ganmodels.family import Batch, ImageShape
from ganmodels.specs import SPEC

LABELS = torch.tensor([0, 1])
SURE = 20.0


class Reader(nn.Module):
    """Judges an image by its first pixel and reads its label as class 1 if the second is positive, else 0."""

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.flatten(1)
        return pixels[:, 0], torch.stack([-pixels[:, 1], pixels[:, 1]], dim=1) * SURE


def images(*pixels: tuple[float, float]) -> Tensor:
    return torch.tensor(pixels).view(-1, 1, 1, 2)


RIGHT = images((0.0, -1.0), (0.0, 1.0))
WRONG = images((0.0, 1.0), (0.0, -1.0))


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "acgan", "dataset": "digits", "width": 4, **knobs})


def test_the_discriminator_has_one_trunk_and_two_heads() -> None:
    spec = SPEC.validate_python({"family": "acgan"})
    network = acgan.Discriminator(spec, ImageShape(1, 28, 10))
    trunk = (9 * 1 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128)
    heads = (128 * 4 * 4 + 1) + (128 * 4 * 4 * 10 + 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == trunk + heads
    logits, classes = network(torch.zeros(3, 1, 28, 28), torch.zeros(3, dtype=torch.int64))
    assert logits.shape == (3,)
    assert classes.shape == (3, 10)


def test_the_discriminator_pays_for_labels_misread_on_real_and_on_generated_images() -> None:
    def loss(real: Tensor, fake: Tensor, label_weight: float = 1.0) -> float:
        return acgan.d_loss(Reader(), Batch(real, LABELS), fake, asked(label_weight=label_weight))[0].item()

    undecided, misread = 2 * math.log(2), 2 * SURE
    assert loss(RIGHT, RIGHT) == pytest.approx(undecided)
    assert loss(WRONG, RIGHT) == pytest.approx(undecided + misread)
    assert loss(RIGHT, WRONG) == pytest.approx(undecided + misread)
    assert loss(WRONG, WRONG, label_weight=0.5) == pytest.approx(undecided + misread)


def test_the_generator_pays_for_labels_misread_on_its_own_images() -> None:
    def loss(real: Tensor, fake: Tensor, label_weight: float = 1.0) -> float:
        return acgan.g_loss(Reader(), Batch(real, LABELS), fake, asked(label_weight=label_weight))[0].item()

    assert loss(WRONG, RIGHT) == pytest.approx(math.log(2))
    assert loss(RIGHT, WRONG) == pytest.approx(math.log(2) + 2 * SURE)
    assert loss(RIGHT, WRONG, label_weight=0.0) == pytest.approx(math.log(2))


def test_the_accuracy_told_is_that_on_real_images() -> None:
    half = images((0.0, -1.0), (0.0, -1.0))
    _, metrics = acgan.d_loss(Reader(), Batch(half, LABELS), RIGHT, asked())
    assert metrics["d_accuracy"] == 0.5


def test_the_generator_is_told_the_label_and_the_discriminator_is_not() -> None:
    spec, shape = asked(), ImageShape(1, 8, 10)
    torch.manual_seed(0)
    generator, discriminator = acgan.FAMILY.generator, acgan.Discriminator(spec, shape)
    assert generator is not None
    z = torch.randn(1, spec.latent_size).expand(2, -1)
    with torch.no_grad():
        drawn = generator(spec, shape).eval()(z, LABELS)
        logits, _ = discriminator.eval()(drawn, LABELS)
        swapped, _ = discriminator(drawn, LABELS.flip(0))
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(logits, swapped)


def test_a_spec_cannot_leave_the_labels_out() -> None:
    assert asked().labels_from == "generator"
    assert not asked().score_needs_label
    assert asked().serves == ("labels", "images", "classes", "scores")
    with pytest.raises(ValueError, match="True"):
        asked(conditional=False)


def test_dropout_leaves_out_what_it_says_in_training_and_nothing_afterwards() -> None:
    spec, shape = asked(dropout=0.5), ImageShape(1, 8, 10)
    network, pixels = acgan.Discriminator(spec, shape), torch.ones(64, 1, 8, 8)
    seen: list[Tensor] = []
    network.logit.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    network(pixels, torch.zeros(64, dtype=torch.int64))
    network.eval()(pixels, torch.zeros(64, dtype=torch.int64))
    trained, answered = ((features == 0).float().mean().item() for features in seen)
    assert trained == pytest.approx(0.5, abs=0.05)
    assert answered == 0


def test_the_head_learns_to_read_real_digits(digits: Dataset) -> None:
    fast = {"total_steps": 60, "width": 8, "ema_decay": 0.9, "label_weight": 1.0, "discriminator_learning_rate": 1e-2}
    spec = asked(device="cpu", threads=1, precision="fp32", **fast)
    state = training.start(spec, ImageShape(1, 8, 10))
    untrained = heads.error_rate(spec, state, digits, digits.validation)
    for _ in training.train(spec, state, digits.train):
        pass
    assert heads.error_rate(spec, state, digits, digits.validation) < 0.4 < 0.7 < untrained


def test_each_row_is_asked_for_the_label_of_the_real_image_beside_it() -> None:
    """The discriminator's reading of generated images is scored against the labels that they were asked for."""
    spec, shape = asked(), ImageShape(1, 8, 10)
    state = training.start(spec, shape)
    assert state.generator is not None
    seen: list[Tensor] = []
    state.generator.network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[1]))
    labels = torch.randint(10, (spec.batch_size,), generator=draws.source(0, 0, 0, Purpose.EVALUATION))
    batch = Batch(torch.zeros(spec.batch_size, 1, 8, 8), labels)
    resolved = spec.model_copy(update={"precision": "fp32"})
    training.discriminator_step(resolved, acgan.FAMILY, state, batch)
    training.generator_step(resolved, acgan.FAMILY, state, batch)
    assert [torch.equal(given, labels) for given in seen] == [True, True]
