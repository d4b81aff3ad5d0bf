from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganmodels import batches, precision, training
from ganmodels.datasets import ImageSet
from ganmodels.families import sgan
from ganmodels.families.classifier import FAMILY, Classifier, Inception, schedule
from ganmodels.family import UNKNOWN, Batch, ImageShape
from ganmodels.specs import SPEC

MNIST = ImageShape(1, 28, 10)


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "classifier", "device": "cpu", "threads": 1, **knobs})


def shapes_of(network: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in network.named_parameters()}


@pytest.mark.parametrize(("network", "sgans"), [("same_as_sgan", "conv"), ("mlp", "mlp")])
def test_its_network_is_that_of_sgans_discriminator(network: str, sgans: str) -> None:
    theirs = sgan.Discriminator(SPEC.validate_python({"family": "sgan", "network": sgans}), MNIST)
    ours = Classifier(asked(network=network), MNIST)
    assert shapes_of(ours) == shapes_of(theirs)
    ours.load_state_dict(theirs.state_dict())
    images, labels = torch.rand(3, 1, 28, 28), torch.zeros(3, dtype=torch.int64)
    assert torch.equal(ours.eval()(images, labels), theirs.eval()(images, labels).classes)


@pytest.mark.parametrize(
    ("size", "blocks"),
    [(8, [8, 4, 4, 2]), (15, [15, 8, 8, 4]), (17, [9, 5, 5, 3]), (28, [14, 7, 7, 4]), (256, [16, 8, 8, 4])],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_inception_blocks_take_every_size(channels: int, size: int, blocks: list[int]) -> None:
    network = Classifier(asked(network="googlenet"), ImageShape(channels, size, 7)).eval()
    seen: list[int] = []
    for block in (module for module in network.modules() if isinstance(module, Inception)):
        block.register_forward_hook(lambda _, __, output: seen.append(output.shape[2]))
    with torch.no_grad():
        logits = FAMILY.classify(network, torch.rand(2, channels, size, size))
    assert logits.shape == (2, 7)
    assert seen == blocks


def test_an_inception_block_looks_at_four_scales() -> None:
    torch.manual_seed(0)
    block, lit = Inception(1, 64).eval(), torch.zeros(1, 1, 9, 9)
    lit[0, 0, 4, 4] = 1
    with torch.no_grad():
        touched = (block(lit) != block(torch.zeros_like(lit))).any(dim=0)  # (C, H, W)
    reach = [int(part.any(dim=0).any(dim=0).sum()) for part in touched.split([16, 32, 8, 8])]
    assert reach == [1, 3, 5, 3]


def test_it_learns_from_the_labeled_images_alone() -> None:
    images = torch.rand(6, 1, 28, 28)
    labels = torch.tensor([3, 1, 4])
    network = Classifier(asked(), MNIST).eval()
    losses = []
    for others in (images[:3], torch.zeros_like(images[:3])):
        batch = Batch(others, torch.full((3,), UNKNOWN), images[3:], labels)
        loss, metrics = FAMILY.d_loss(network, batch, others[:0], asked())
        losses.append(loss)
    assert losses[0] == losses[1]
    logits = network(images[3:], labels)
    torch.testing.assert_close(losses[0], cross_entropy(logits, labels))
    assert metrics["batch_accuracy"].item() == pytest.approx((logits.argmax(1) == labels).double().mean().item())


def test_its_first_look_is_at_the_labeled_images_too() -> None:
    """What no label was granted of is seen by no weight, not even by the first ones."""
    spec = asked(network="mlp", dataset="digits", labeled={"per_class": 1}, batch_size=10, total_steps=1, threads=1)
    pixels = torch.randint(0, 256, (200, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    images = ImageSet(pixels, torch.arange(200) % 10, tuple("0123456789"))
    others = torch.ones(200, dtype=torch.bool)
    others[batches.granted_labels(images.labels, spec.labeled, spec.seed)] = False
    weights = []
    for seen in (pixels, pixels.masked_fill(others[:, None, None, None], 0)):
        state = training.start(precision.resolve(spec), ImageShape(1, 8, 10))
        list(training.train(precision.resolve(spec), state, replace(images, images=seen)))
        weights.append([parameter.detach() for parameter in state.discriminator.network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_images_are_disturbed_in_training_alone() -> None:
    torch.manual_seed(0)
    seen: list[Tensor] = []
    network = Classifier(asked(), MNIST)
    network.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    images, labels = torch.rand(3, 1, 28, 28), torch.tensor([3, 1, 4])
    for mode, names in ((True, ["translation"]), (True, []), (False, ["translation"])):
        FAMILY.d_loss(network.train(mode), Batch(images, labels, images, labels), images[:0], asked(augment=names))
    assert [torch.equal(shown, images) for shown in seen] == [False, True, True]


def test_it_has_no_generator_and_serves_classes_alone() -> None:
    state = training.start(asked(), MNIST)
    assert state.generator is None
    assert state.discriminator.averaged is not None
    assert asked().serves == ("classes",)


def test_its_rate_falls_to_nothing_at_the_end() -> None:
    spec = asked(total_steps=100, cooldown=0.5, learning_rate=0.01)
    rates = [schedule(spec, step).discriminator for step in (1, 50, 51, 76, 100)]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.0002])
    assert schedule(spec, 1).generator == 0


def test_a_network_refuses_images_it_cannot_take() -> None:
    with pytest.raises(ValidationError, match="28 pixels"):
        asked(dataset="digits")
    with pytest.raises(ValidationError, match="8 pixels or more"):
        asked(dataset="ring", network="googlenet")
    assert asked(dataset="ring", network="mlp").network == "mlp"
    assert asked(dataset="shapes", network="googlenet").network == "googlenet"
    with pytest.raises(ValidationError):
        asked(labeled="none")
