import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganmodels import heads
from ganmodels.datasets import ImageSet
from ganmodels.families import catgan
from ganmodels.families.catgan import (
    ConvDiscriminator,
    MlpDiscriminator,
    MlpGenerator,
    NoiseImageGenerator,
    StridedGenerator,
    d_loss,
    disagreement,
    entropy,
    g_loss,
    marginal_entropy,
)
from ganmodels.family import UNKNOWN, Batch, ImageShape
from ganmodels.specs import SPEC

MNIST = ImageShape(1, 28, 10)
SURE = 1e4 * torch.eye(4)  # logits (B, K): each image of another class, without a doubt
UNSURE = torch.zeros(4, 4)


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "catgan", **knobs})


class Told(nn.Module):
    """A discriminator that finds its logits in the first pixels of an image."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.flatten(1)[:, :4]


def shown(logits: Tensor) -> Tensor:
    return logits.view(4, 1, 2, 2)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_fully_connected_networks_are_the_papers() -> None:
    weights = 784 * 1000 + 1000 * 500 + 500 * 250 + 250 * 250 + 250 * 250 + 250 * 10
    shifts_and_scales = 2 * (1000 + 500 + 250 + 250 + 250)
    assert count(MlpDiscriminator(asked(), MNIST)) == weights + shifts_and_scales + 10 == 1_541_010
    weights, shifts_and_scales = 128 * 500 + 500 * 500 + 500 * 1000 + 1000 * 784, 2 * (500 + 500 + 1000)
    assert count(MlpGenerator(asked(), MNIST)) == weights + shifts_and_scales + 784 == 1_602_784


def test_the_convolutional_networks_are_the_write_ups() -> None:
    spec, shape = asked(network="conv", preset="paper", dataset="shapes"), ImageShape(1, 256, 2)
    weights = 25 * 16 + 9 * (16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 2)
    shifts_and_scales = 2 * (16 + 32 + 64 + 128 + 256)
    assert count(ConvDiscriminator(spec, shape)) == weights + shifts_and_scales + 2
    weights, shifts_and_scales = 64 * 96 + 25 * (96 * 64 + 64 * 64 + 64), 2 * (96 + 64 + 64)
    assert count(NoiseImageGenerator(spec, shape)) == weights + shifts_and_scales + 1


@pytest.mark.parametrize(("size", "last"), [(8, 4), (28, 7), (32, 4), (64, 4), (256, 8)])
def test_the_convolutions_take_small_images_too_and_pool_them_less(size: int, last: int) -> None:
    spec, shape = asked(network="conv"), ImageShape(3, size, 10)
    network, sides = ConvDiscriminator(spec, shape), []
    network.last.register_forward_hook(lambda module, inputs, output: sides.append(output.shape[-1]))
    with torch.no_grad():
        drawn = StridedGenerator(spec, shape).eval()(torch.rand(2, 128), torch.zeros(2, dtype=torch.int64))
        assert network(drawn, torch.zeros(2)).shape == (2, 10)
    assert drawn.shape == (2, 3, size, size)
    assert sides == [last]


def test_the_global_pool_is_the_mean_of_linear_answers() -> None:
    torch.manual_seed(0)
    network, answers = ConvDiscriminator(asked(network="conv"), MNIST).eval(), []
    network.last.register_forward_hook(lambda module, inputs, output: answers.append(output))
    with torch.no_grad():
        logits = network(torch.rand(2, *(1, 28, 28)), torch.zeros(2))
    torch.testing.assert_close(logits, answers[0].mean(dim=(2, 3)))


def test_the_even_kernel_reaches_three_pixels_back_and_four_ahead() -> None:
    torch.manual_seed(0)
    network = NoiseImageGenerator(asked(network="conv", generator="noise_image"), MNIST).eval()
    seen: list[Tensor] = []
    network.layers[0].register_forward_hook(lambda module, inputs, output: seen.append(output[0].abs().sum(dim=0)))
    impulse = torch.zeros(1, 28, 28)
    impulse[0, 14, 14] = 1
    with torch.no_grad():
        network(impulse.view(1, -1), torch.zeros(1))
    assert seen[0].nonzero().min(dim=0).values.tolist() == [10, 10]
    assert seen[0].nonzero().max(dim=0).values.tolist() == [17, 17]


def test_the_last_row_and_column_of_an_image_of_noise_are_masked() -> None:
    torch.manual_seed(0)
    network = NoiseImageGenerator(asked(network="conv", generator="noise_image"), MNIST)
    images = network(torch.rand(2, 784), torch.zeros(2))
    assert images.shape == (2, 1, 28, 28)
    assert images[:, :, -1].max() == images[:, :, :, -1].max() == 0
    assert images[:, :, :-1, :-1].min() > 0


def test_the_entropies_are_those_of_the_probabilities() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(dim=1)
    torch.testing.assert_close(entropy(logits), -(p * p.log()).sum(dim=1).mean())
    torch.testing.assert_close(marginal_entropy(logits), -(p.mean(dim=0) * p.mean(dim=0).log()).sum())


def test_sure_and_even_answers_have_no_entropy_one_by_one_and_all_of_it_together() -> None:
    alike = SURE[:1].expand(4, -1)
    assert (entropy(SURE), entropy(alike), entropy(UNSURE)) == pytest.approx((0, 0, math.log(4)))
    assert (marginal_entropy(SURE), marginal_entropy(alike)) == pytest.approx((math.log(4), 0), abs=1e-6)
    assert marginal_entropy(UNSURE) == pytest.approx(math.log(4))


@pytest.mark.parametrize(
    ("real", "fake", "expected"), [(SURE, UNSURE, -2), (UNSURE, UNSURE, -1), (SURE, SURE, -1), (UNSURE, SURE, 0)]
)
def test_the_discriminator_pays_for_unsure_reals_and_sure_fakes(real: Tensor, fake: Tensor, expected: float) -> None:
    batch = Batch(shown(real), torch.full((4,), UNKNOWN))
    for preset, names in (("quick", {"disagreement"}), ("paper", set())):
        spec = asked(labeled="none", marginal_weight=1.0, preset=preset)
        loss, metrics = d_loss(Told(), batch, shown(fake), spec)
        assert loss.item() == pytest.approx(expected * math.log(4), abs=1e-6)
        assert metrics.keys() == {"entropy_real", "entropy_fake", "marginal_entropy"} | names


def test_classes_that_are_even_count_by_their_weight() -> None:
    batch, alike = Batch(shown(SURE), torch.full((4,), UNKNOWN)), SURE[:1].expand(4, -1)
    losses = [
        d_loss(Told(), batch, shown(alike), asked(labeled="none", marginal_weight=weight))[0].item()
        for weight in (0.0, 1.0, 2.5)
    ]
    assert losses == pytest.approx([0, -math.log(4), -2.5 * math.log(4)], abs=1e-6)


class Wavering(nn.Module):
    """A discriminator that gives one answer after another."""

    def __init__(self, *answers: Tensor) -> None:
        super().__init__()
        self.answers = iter(answers)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return next(self.answers)


def test_the_discriminator_pays_for_answers_that_differ_between_two_looks() -> None:
    one, other = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    p, q = one.softmax(dim=1), other.softmax(dim=1)
    expected = ((p * (p / q).log()).sum(dim=1) + (q * (q / p).log()).sum(dim=1)).mean() / 2
    torch.testing.assert_close(disagreement(one, other), expected)
    assert disagreement(one, one) == 0
    batch, spec = Batch(shown(UNSURE), torch.full((4,), UNKNOWN)), asked(labeled="none", consistency_weight=0.7)
    loss, metrics = d_loss(Wavering(one, other, UNSURE), batch, shown(UNSURE), spec)
    both = torch.cat([one, other])
    as_ever = entropy(both) - spec.marginal_weight * marginal_entropy(both) - math.log(4)
    torch.testing.assert_close(loss, as_ever + 0.7 * expected)
    torch.testing.assert_close(metrics["disagreement"], expected)


def test_what_is_labeled_or_in_the_paper_or_convolutional_has_other_defaults() -> None:
    knobs = ("consistency_weight", "marginal_weight", "input_noise", "layer_noise", "augment")
    found = {
        name: tuple(getattr(asked(**given), knob) for knob in knobs)
        for name, given in {
            "labeled": {},
            "clusters": {"labeled": "none"},
            "clusters with more noise": {"labeled": "none", "input_noise": 0.5},
            "conv": {"labeled": "none", "network": "conv"},
            "paper": {"labeled": "none", "preset": "paper"},
            "points": {"labeled": "none", "dataset": "ring"},
        }.items()
    }
    assert found == {
        "labeled": (0.3, 1.0, 0.1, 0.1, ["translation"]),
        "clusters": (0.3, 2.0, 0.1, 0.1, ["translation"]),
        "clusters with more noise": (0.3, 2.0, 0.5, 0.1, ["translation"]),
        "conv": (0.0, 1.0, 0.05, 0.05, []),
        "paper": (0.0, 1.0, 0.05, 0.05, []),
        "points": (0.3, 2.0, 0.1, 0.1, []),
    }


def test_labeled_images_add_their_cross_entropy() -> None:
    labels, nobody = torch.arange(4), torch.full((4,), UNKNOWN)
    losses = {}
    for name, told in (("right", 5 * torch.eye(4)), ("none", UNSURE), ("wrong", 5 * torch.eye(4).roll(1, 0))):
        batch = Batch(shown(UNSURE), nobody, shown(told), labels)
        loss, metrics = d_loss(Told(), batch, shown(UNSURE), asked(label_weight=2.0))
        assert loss.item() == pytest.approx(2 * metrics["class_loss"].item() - math.log(4), abs=1e-5)
        losses[name] = metrics["class_loss"].item()
    assert losses["right"] == pytest.approx(math.log(1 + 3 * math.exp(-5)))
    assert losses["none"] == pytest.approx(math.log(4))
    assert losses["wrong"] == pytest.approx(math.log(math.exp(5) + 3))


@pytest.mark.parametrize(("told", "expected"), [(SURE, -math.log(4)), (UNSURE, 0), (SURE[:1].expand(4, -1), 0)])
def test_the_generator_is_paid_for_sure_and_even_answers(told: Tensor, expected: float) -> None:
    loss, _ = g_loss(Told(), Batch(shown(SURE), torch.arange(4)), shown(told), asked())
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_noise_is_drawn_in_training_alone(network: str) -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(4, 1, 28, 28), torch.zeros(4)
    judge = catgan.discriminator(asked(network=network, input_noise=0.5), MNIST)
    assert not torch.equal(judge(images, labels), judge(images, labels))
    assert torch.equal(judge.eval()(images, labels), judge(images, labels))
    silent = catgan.discriminator(asked(network=network, input_noise=0.0, layer_noise=0.0), MNIST)
    assert torch.equal(silent(images, labels), silent(images, labels))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_weight_decay_shrinks_what_no_loss_moves(weight_decay: float) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(3, 3)
    before = layer.weight.detach().clone()
    optimizer = catgan.decaying_adam(layer, asked(weight_decay=weight_decay), 1e-3)
    (0 * layer(torch.ones(1, 3))).sum().backward()
    optimizer.step()
    assert (layer.weight.abs() < before.abs()).all() == (weight_decay > 0)
    assert torch.equal(layer.weight, before) == (weight_decay == 0)


def test_clusters_may_outnumber_classes_where_no_label_names_them() -> None:
    spec = asked(labeled="none", clusters=20)
    assert spec.names_clusters
    assert not asked().names_clusters
    judge = catgan.discriminator(spec, MNIST)
    assert catgan.classify(judge, torch.rand(3, 1, 28, 28)).shape == (3, 20)


@pytest.mark.parametrize(("clusters", "names"), [(3, [0, 1, 2]), (4, [0, 0, 2, None])])
def test_as_many_clusters_as_labels_are_named_one_to_one(
    monkeypatch: pytest.MonkeyPatch, clusters: int, names: list[int | None]
) -> None:
    """Each of two clusters is mostly of label 0: by majority label 1 would have none."""
    assigned = torch.tensor([0] * 9 + [1] * 5 + [2] * 4)
    labels = torch.tensor([0] * 9 + [0] * 3 + [1] * 2 + [2] * 4)
    images = ImageSet(torch.zeros(18, 1, 1, 1), labels, ("a", "b", "c"))
    monkeypatch.setattr(heads, "class_logits", lambda *_: one_hot(assigned, clusters).float())
    spec = asked(labeled="none", clusters=clusters)
    state = SimpleNamespace(shape=ImageShape(1, 28, 3))
    dataset = SimpleNamespace(validation=images)
    assert heads.class_names(spec, state, dataset) == names  # type: ignore[arg-type]  # no more of them is read


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"clusters": 20}, "leave clusters out"),
        ({"batch_size": 1}, "batch_size must be 2 or more"),
        ({"packing": 2}, "packing must be 1"),
        ({"generator": "noise_image"}, "ask for network conv"),
        ({"network": "conv", "generator": "noise_image", "latent_size": 100}, "latent_size must be 784"),
        ({"network": "conv", "dataset": "ring"}, "draws images"),
        ({"network": "conv", "width": 24}, "multiple of 16"),
        ({"network": "conv", "generator": "noise_image", "dataset": ["mnist"]}, "Input should be"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(knobs: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        asked(**knobs)


def test_defaults_follow_the_network_the_preset_and_the_data() -> None:
    assert asked().latent_size == asked(network="conv").latent_size == 128
    assert asked(network="conv", generator="noise_image", dataset="shapes").latent_size == 65_536
    paper = asked(network="conv", preset="paper", dataset="shapes")
    assert (paper.generator, paper.latent_size, paper.batch_size) == ("noise_image", 65_536, 4)
    assert asked(preset="paper").generator == "strided"
    assert (asked(dataset="ring").network, asked(dataset="ring").augment) == ("mlp", [])
    assert (asked().augment, asked(network="conv").augment, asked(preset="paper").augment) == (["translation"], [], [])
    assert asked().serves == ("labels", "images", "classes")
