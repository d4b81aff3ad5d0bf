import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from ganmodels import batches, training
from ganmodels.datasets import Dataset
from ganmodels.families import sgan
from ganmodels.families.sgan import FAMILY, Discriminator, Dropout, Judgment, Noise
from ganmodels.family import UNKNOWN, Batch, ImageShape
from ganmodels.specs import SPEC
from ganmodels.specs.knobs import PerClass

MNIST = ImageShape(1, 28, 10)
LABELS = torch.tensor([1, 0, 2])


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "sgan", "device": "cpu", "threads": 1, **knobs})


def size_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class Scripted(nn.Module):
    """A discriminator that says what is written in its images (B, 1, 1, K + F): the logits, then the features."""

    def __init__(self, outputs: int, fake_unit: bool = False) -> None:
        super().__init__()
        self.outputs, self.fake_unit = outputs, fake_unit

    def forward(self, images: Tensor, labels: Tensor) -> Judgment:
        logits, features = images.flatten(1).split([self.outputs, images.shape[-1] - self.outputs], dim=1)
        if self.fake_unit:
            return Judgment(logits[:, :-1], logits[:, :-1].logsumexp(1) - logits[:, -1], features)
        return Judgment(logits, logits.logsumexp(1), features)


def written(logits: Tensor) -> Tensor:
    return torch.cat([logits, logits**2], dim=1)[:, None, None, :]


def three_batches(outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(3, 4, outputs, generator=torch.Generator().manual_seed(2)).split([3, 4, 4], dim=1)[0].unbind()


@pytest.mark.parametrize(
    ("knobs", "discriminator", "generator"),
    [
        # 192 and 196 biases before BatchNorm fewer than where the layers keep them: 123,402 and 132,109
        ({}, 123_210, 131_913),
        ({"fake_class": "unit"}, 123_210 + 513, 131_913),
        ({"network": "mlp"}, 1_536_500 + 2_260 + 10, 694_784 + 784),
    ],
)
def test_networks_have_as_many_parameters_as_described(
    knobs: dict[str, Any], discriminator: int, generator: int
) -> None:
    spec = asked(**knobs)
    assert size_of(Discriminator(spec, MNIST)) == discriminator
    assert size_of(sgan.generator(spec, MNIST)) == generator


@pytest.mark.parametrize("channels", [1, 3])
def test_images_shrink_and_grow_by_way_of_the_described_sizes(channels: int) -> None:
    spec, sizes = asked(), []
    for network in (
        sgan.generator(spec, ImageShape(channels, 28, 10)),
        Discriminator(spec, ImageShape(channels, 28, 10)),
    ):
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:3])))
        if len(sizes) == 0:
            images = network(torch.zeros(2, 100), LABELS[:2])
    judged = network(images, LABELS[:2])
    assert sizes == [(100, 2), (64, 5), (32, 12), (channels, 28), (32, 14), (64, 7), (128, 4), (128, 2)]
    assert judged.features.shape == (2, 512)
    assert judged.classes.shape == (2, 10)


def test_layers_pad_as_same_does_the_odd_pixel_right_and_below() -> None:
    network = Discriminator(asked(), MNIST)
    with torch.no_grad():
        network.body[1].weight.fill_(1)
        summed = network.body[:2](torch.ones(1, 1, 28, 28))
    assert summed[0, 0, 0, 0] == 16  # one row and one column of padding
    assert summed[0, 0, -1, -1] == 9  # two of each
    assert summed[0, 0, 5, 5] == 25


@pytest.mark.parametrize("fake_unit", [False, True])
def test_the_discriminators_loss_is_that_of_a_classifier_with_one_more_class(fake_unit: bool) -> None:
    """Compare with cross-entropies over K + 1 classes: K-way for the labeled, one class against K for the others."""
    outputs = 3 + fake_unit
    labeled, real, fake = torch.randn(3, 3, outputs, generator=torch.Generator().manual_seed(2))
    spec = asked(network="mlp", unlabeled_weight=0.7)
    d, batch = Scripted(outputs, fake_unit), Batch(written(real), LABELS, written(labeled), LABELS)
    loss, metrics = FAMILY.d_loss(d, batch, written(fake), spec)

    def log_p(logits: Tensor) -> Tensor:
        whole = logits if fake_unit else torch.cat([logits, torch.zeros(len(logits), 1)], dim=1)
        return whole.log_softmax(1)

    class_loss = cross_entropy(labeled[:, :3], LABELS)
    expected = class_loss + 0.7 * (-log_p(real)[:, :3].logsumexp(1).mean() - log_p(fake)[:, 3].mean())
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(metrics["class_loss"], class_loss)


def test_a_discriminator_that_knows_nothing_pays_for_ten_classes_and_a_coin() -> None:
    nothing = written(torch.zeros(3, 10))
    batch = Batch(nothing, LABELS, nothing, LABELS)
    loss, metrics = FAMILY.d_loss(Scripted(10), batch, nothing, asked())
    z = math.log(10)  # ten classes at 0 beside one at 0: real ten times out of eleven
    assert loss.item() == pytest.approx(z + math.log(1.1) + math.log(11))
    assert metrics["d_real"].item() == metrics["d_fake"].item() == pytest.approx(z)


def test_accuracy_is_the_share_of_labeled_images_whose_class_is_likeliest() -> None:
    labeled = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0], [5.0, 1.0, 0.0]])  # two of LABELS are the highest
    batch = Batch(written(-labeled), LABELS, written(labeled), LABELS)
    _, metrics = FAMILY.d_loss(Scripted(3), batch, written(labeled), asked())
    assert metrics["batch_accuracy"].item() == pytest.approx(2 / 3)


def test_without_weight_the_unlabeled_images_do_not_count() -> None:
    labeled, real, fake = torch.randn(3, 3, 10, generator=torch.Generator().manual_seed(2))
    batch = Batch(written(real), LABELS, written(labeled), LABELS)
    loss, _ = FAMILY.d_loss(Scripted(10), batch, written(fake), asked(unlabeled_weight=0.0))
    torch.testing.assert_close(loss, cross_entropy(labeled, LABELS))


def test_the_generators_losses_are_the_distance_of_mean_features_and_minus_log_real() -> None:
    real, fake = torch.randn(2, 3, 10, generator=torch.Generator().manual_seed(2))
    batch = Batch(written(real), LABELS)

    def loss(name: str, fake: Tensor = fake) -> Tensor:
        value, _ = FAMILY.g_loss(Scripted(10), batch, written(fake), asked(generator_loss=name))
        return value

    distance = ((real**2).mean(0) - (fake**2).mean(0)).square().mean()
    torch.testing.assert_close(loss("feature_matching"), distance)
    torch.testing.assert_close(loss("non_saturating"), softplus(-fake.logsumexp(1)).mean())
    torch.testing.assert_close(loss("both"), distance + softplus(-fake.logsumexp(1)).mean())
    assert loss("feature_matching", real.flip(0)).item() == pytest.approx(0)  # the same images in another order


def test_the_matched_features_are_what_the_class_head_sees() -> None:
    torch.manual_seed(0)
    for spec in (asked(), asked(network="mlp"), asked(fake_class="unit")):
        network = Discriminator(spec, MNIST).eval()
        judged = network(torch.rand(3, 1, 28, 28), LABELS)
        logits = network.head(judged.features)
        assert torch.equal(logits[:, :10], judged.classes)
        beside = logits[:, 10] if spec.fake_class == "unit" else 0.0
        torch.testing.assert_close(judged.realness, logits[:, :10].exp().sum(1).log() - beside)


def test_labels_that_were_not_granted_change_nothing() -> None:
    torch.manual_seed(0)
    spec = asked(network="mlp")
    images = torch.rand(6, 1, 28, 28)
    d = Discriminator(spec, MNIST).eval()
    losses = []
    for labels in (LABELS, torch.full((3,), UNKNOWN), LABELS + 4):
        batch = Batch(images[:3], labels, images[3:], LABELS)
        losses.append((FAMILY.d_loss(d, batch, images[:3], spec)[0], FAMILY.g_loss(d, batch, images[3:], spec)[0]))
    assert losses[0] == losses[1] == losses[2]


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropout, ones = Dropout(0.3), torch.ones(100, 200)
    dropped = dropout(ones)
    assert (dropped == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(dropped.max(), torch.tensor(1 / 0.7))
    assert torch.equal(dropout.eval()(ones), ones)


def test_noise_is_added_in_training_alone_and_has_its_deviation() -> None:
    torch.manual_seed(0)
    noise, zeros = Noise(0.3), torch.zeros(100, 200)
    assert noise(zeros).std().item() == pytest.approx(0.3, rel=0.03)
    assert torch.equal(noise.eval()(zeros), zeros)
    deviations = [
        module.deviation for module in Discriminator(asked(network="mlp"), MNIST).modules() if isinstance(module, Noise)
    ]
    assert deviations == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_the_lengths_of_rows_are_learned_in_the_last_layers_alone() -> None:
    torch.manual_seed(0)
    network = Discriminator(asked(network="mlp"), MNIST)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    lengths = [layer.weight.norm(dim=1) for layer in layers[:-1]]
    for parameter in network.parameters():
        parameter.data.mul_(3)
    for layer, length in zip(layers[:-1], lengths, strict=True):
        torch.testing.assert_close(layer.weight.norm(dim=1), length)
    before = layers[-1].weight.norm()
    layers[-1].parametrizations.weight.original0.data.mul_(2)
    torch.testing.assert_close(layers[-1].weight.norm(), 2 * before)


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_after_the_first_look_every_unit_varies_by_1_about_0(scale: float) -> None:
    """Whatever the images are like; the last layer's outputs too."""
    torch.manual_seed(0)
    spec = asked(network="mlp")
    network, images = Discriminator(spec, MNIST), scale * torch.rand(500, 1, 28, 28)
    FAMILY.first_look(network, images, spec)
    seen: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _, __, output: seen.append(output))
    network(images, torch.zeros(500, dtype=torch.int64))
    for level, outputs in enumerate(seen):
        deviations, means = torch.std_mean(outputs.detach(), dim=0)
        assert deviations.mean().item() == pytest.approx(1, abs=0.05), level
        assert means.square().mean().sqrt().item() < 0.2, level  # the noise is another
    assert len(seen) == 6


def test_the_first_look_is_taken_once_and_the_average_begins_where_it_leads(digits: Dataset) -> None:
    spec = asked(network="mlp", dataset="digits", precision="fp32", total_steps=1, ema_decay=0.999)
    state = training.start(spec, ImageShape(1, 8, 10))
    for _ in training.train(spec, state, digits.train):
        pass
    assert state.discriminator.averaged is not None
    averaged, network = state.discriminator.averaged.state_dict(), state.discriminator.network.state_dict()
    assert network["body.2.bias"].abs().mean() > 0.1, "biases begin at 0 where nobody has looked"
    torch.testing.assert_close(averaged["body.2.bias"], network["body.2.bias"], atol=0.01, rtol=0)


def test_softplus_of_padded_rows_is_softplus() -> None:
    rows = torch.randn(3, 500, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sgan._softplus(rows), softplus(rows))


def test_the_fully_connected_networks_come_with_salimans_settings() -> None:
    assert asked(network="mlp").generator_learning_rate == 3e-3
    assert asked(network="mlp").ema_decay == 0.9999
    assert asked(network="mlp", ema_decay=0.9).ema_decay == 0.9  # what is asked for goes first
    assert asked().generator_learning_rate < 3e-3
    assert asked(network="mlp", preset="paper").total_steps > asked(network="mlp").total_steps
    assert FAMILY.output_range(asked(network="mlp")) == (0, 1)
    assert FAMILY.output_range(asked()) == (-1, 1)


def test_the_paper_is_slower_and_sums_both_losses() -> None:
    paper = asked(preset="paper")
    assert (paper.generator_loss, paper.batch_size, paper.discriminator_learning_rate) == ("both", 512, 1e-5)


def test_convolutions_see_28_pixels_alone_and_full_connections_any_image() -> None:
    for dataset in ("digits", "cifar10", "ring"):
        with pytest.raises(ValidationError, match="28 pixels"):
            asked(dataset=dataset)
        assert asked(dataset=dataset, network="mlp").dataset == dataset
    assert asked(dataset="stacked-mnist").network == "conv"


def test_a_run_without_any_label_classifies_nothing() -> None:
    assert asked(labeled="none").serves == ("images", "scores")
    assert asked(labeled="none").labels_from is None
    assert asked(labeled="all").serves == ("labels", "images", "scores", "classes")


def test_more_labels_of_a_class_than_it_has_are_refused() -> None:
    labels = torch.tensor([0] * 9 + [1] * 3)
    assert len(batches.granted_labels(labels, PerClass(per_class=3), seed=0)) == 6
    with pytest.raises(ValueError, match="per_class 4 asked for, the rarest class has 3 images"):
        batches.granted_labels(labels, PerClass(per_class=4), seed=0)


@pytest.mark.parametrize("labeled", [{"per_class": 2}, {"count": 25}, {"fraction": 0.1}, "all"])
def test_every_family_is_granted_the_same_labels(labeled: Any) -> None:
    labels = torch.arange(300) % 10
    granted = [
        batches.granted_labels(labels, SPEC.validate_python({"family": family, "labeled": labeled}).labeled, seed=3)
        for family in ("sgan", "classifier", "catgan")
    ]
    assert torch.equal(granted[0], granted[1])
    assert torch.equal(granted[0], granted[2])
    others = batches.granted_labels(labels, asked(labeled=labeled).labeled, seed=4)
    assert torch.equal(granted[0], others) == (labeled == "all")


def test_both_networks_are_averaged_since_both_answer() -> None:
    state = training.start(asked(), MNIST)
    assert state.discriminator.averaged is not None
    assert state.generator is not None
    assert state.generator.averaged is not None


def test_batches_that_the_networks_cannot_take_are_refused() -> None:
    with pytest.raises(ValidationError, match="packing must be 1"):
        asked(packing=2)
    with pytest.raises(ValidationError, match="2 or more"):
        asked(network="mlp", batch_size=1)
    assert asked(batch_size=1).batch_size == 1
