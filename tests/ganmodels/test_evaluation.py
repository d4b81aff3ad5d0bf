import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels import checkpoints, classifier, evaluation, precision
from ganmodels.batches import to_range
from ganmodels.classifier import Classifier
from ganmodels.datasets import Dataset, ImageSet
from ganmodels.evaluation import evaluate, frechet_distance, held_out, judged
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC
from ganmodels.training import State, start


@pytest.fixture(scope="module")
def judge(digits: Dataset) -> Classifier:
    return classifier.train_classifier(digits, threads=1)


@pytest.fixture(scope="module")
def spec() -> Any:
    return precision.resolve(SPEC.validate_python({"family": "dcgan", "dataset": "digits", "conditional": True}))


class Copier(nn.Module):
    """Draws training images of the label asked for, which no generator could improve on."""

    def __init__(self, dataset: Dataset, *, honest: bool = True) -> None:
        super().__init__()
        self.images = nn.Parameter(to_range(dataset.train.images, (-1.0, 1.0)), requires_grad=False)
        self.labels, self.honest = dataset.train.labels, honest

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        wanted = labels if self.honest else (labels + 1) % 10
        chosen = [int((self.labels == label).nonzero()[row % 80]) for row, label in enumerate(wanted)]
        return self.images[chosen]


class Noise(nn.Module):
    """Draws noise, whatever it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return z[:, :64].reshape(-1, 1, 8, 8).clamp(-1, 1)


def drawing(spec: Any, generator: nn.Module) -> State:
    """Put a stand-in in the place of a run's averaged generator."""
    state = start(spec, ImageShape(1, 8, 10))
    assert state.generator is not None
    state.generator.averaged = generator
    return state


def test_the_distance_of_a_set_to_itself_is_nothing() -> None:
    features = torch.randn(500, 16, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_the_distance_of_two_normal_clouds_is_the_closed_form() -> None:
    """With covariances 1 and s² it is |shift|² + d·(1 − s)²."""
    features = torch.randn(4_000, 3, generator=torch.Generator().manual_seed(0)).double()
    moved = 2 * features + torch.tensor([3.0, 0.0, 0.0])
    whitened = (features - features.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(features.T.cov())).T
    assert frechet_distance(whitened, 2 * whitened + torch.tensor([3.0, 0, 0])) == pytest.approx(9 + 3)
    assert frechet_distance(features, moved) == pytest.approx(12, rel=0.05)


def test_the_distance_stands_fewer_images_than_features() -> None:
    some, others = torch.randn(2, 10, 64, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(some, some) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(some, others) > 1


def test_real_images_pass_and_noise_does_not(digits: Dataset, judge: Classifier, spec: Any) -> None:
    real = judged(spec, drawing(spec, Copier(digits)), digits.validation, judge, 400)
    noise = judged(spec, drawing(spec, Noise()), digits.validation, judge, 400)
    assert real["label_consistency"] > 0.95
    assert real["classifier_accuracy"] > 0.9
    assert real["fd_classifier"] < 2 * real["fd_classifier_real"]
    assert noise["fd_classifier"] > 5 * noise["fd_classifier_real"]
    assert 0 < noise["label_consistency"] < 0.3
    assert noise["fd_classifier_real"] == real["fd_classifier_real"]


def test_images_of_the_wrong_label_are_noticed(digits: Dataset, judge: Classifier, spec: Any) -> None:
    wrong = judged(spec, drawing(spec, Copier(digits, honest=False)), digits.validation, judge, 400)
    assert wrong["label_consistency"] < 0.1


def test_the_splits_are_measured_apart_and_the_seed_is_all_there_is_to_chance(
    digits: Dataset, judge: Classifier, spec: Any
) -> None:
    def measured(split: Any, seed: int) -> dict[str, float]:
        seeded = spec.model_copy(update={"seed": seed})
        return judged(seeded, drawing(seeded, Noise()), getattr(digits, split), judge, 200)

    assert measured("test", 1) == measured("test", 1)
    assert measured("test", 1)["fd_classifier"] != measured("test", 2)["fd_classifier"]
    assert measured("test", 1)["fd_classifier_real"] != measured("validation", 1)["fd_classifier_real"]


def test_a_generator_without_labels_has_no_label_consistency(digits: Dataset, judge: Classifier) -> None:
    spec = precision.resolve(SPEC.validate_python({"family": "dcgan", "dataset": "digits"}))
    assert "label_consistency" not in judged(spec, drawing(spec, Noise()), digits.validation, judge, 100)


def test_the_two_real_sides_share_no_image(digits: Dataset) -> None:
    beside, reference = evaluation.sides(digits.test, 100)
    assert (len(beside), len(reference)) == (100, 100)
    assert not {image.numpy().tobytes() for image in beside.images} & {
        image.numpy().tobytes() for image in reference.images
    }


def test_a_class_head_is_measured_on_the_whole_split(digits: Dataset) -> None:
    spec = precision.resolve(
        SPEC.validate_python({"family": "classifier", "dataset": "digits", "network": "mlp", "total_steps": 1})
    )
    figures = evaluate(spec, start(spec, ImageShape(1, 8, 10)), digits, None, "validation")
    assert figures.keys() == {"accuracy", "error_rate"}
    assert figures["accuracy"] == pytest.approx(1 - figures["error_rate"])
    assert (figures["error_rate"] * 300) == pytest.approx(round(figures["error_rate"] * 300))


def test_held_out_losses_draw_nothing_from_the_run_and_leave_it_as_it_was(digits: Dataset) -> None:
    for family in ("dcgan", "wgan_gp", "r3gan", "acgan"):
        spec = precision.resolve(SPEC.validate_python({"family": family, "dataset": "digits", "width": 8}))
        state = start(spec, ImageShape(1, 8, 10))
        before = checkpoints.digest(state)
        torch.manual_seed(1)
        figures = held_out(spec, state, digits.validation)
        torch.manual_seed(2)
        assert held_out(spec, state, digits.validation) == figures
        assert {"d_loss", "g_loss"} <= figures.keys()
        assert checkpoints.digest(state) == before
        assert state.discriminator.network.training


@pytest.mark.parametrize("family", ["sgan", "catgan"])
def test_held_out_losses_have_a_part_for_labels_where_the_run_has_labels(family: str, digits: Dataset) -> None:
    def figures(labeled: Any) -> set[str]:
        asked = {"family": family, "network": "mlp", "dataset": "digits", "labeled": labeled}
        spec = precision.resolve(SPEC.validate_python(asked))
        return set(held_out(spec, start(spec, ImageShape(1, 8, 10)), digits.validation))

    of_labels = {"class_loss", "batch_accuracy"}
    assert figures({"per_class": 1}) >= of_labels
    assert not figures("none") & of_labels


@pytest.mark.parametrize("packing", [1, 7, 11])
def test_held_out_images_are_judged_in_packs_of_any_size(packing: int, digits: Dataset) -> None:
    asked = {"family": "gan", "dataset": "digits", "packing": packing, "batch_size": 77, "hidden": [8]}
    spec = precision.resolve(SPEC.validate_python(asked))
    assert "d_loss" in held_out(spec, start(spec, ImageShape(1, 8, 10)), digits.validation)


def test_held_out_losses_weigh_penalties_as_the_step_does(digits: Dataset) -> None:
    asked = {"family": "r3gan", "dataset": "digits", "width": 8, "discriminator_steps": 5, "total_steps": 1000}
    fading = {"penalty_weight": 1000.0, "final_penalty_weight": 0.0}
    spec = precision.resolve(SPEC.validate_python(asked | fading))
    state = start(spec, ImageShape(1, 8, 10))
    state.step = 1000
    assert held_out(spec, state, digits.validation)["d_loss"] == pytest.approx(math.log(2), abs=0.05)


def test_a_view_is_held_against_another_in_training_alone(digits: Dataset) -> None:
    asked = {"family": "catgan", "dataset": "digits"}
    spec = precision.resolve(SPEC.validate_python(asked))
    assert spec.consistency_weight > 0
    assert "disagreement" not in held_out(spec, start(spec, ImageShape(1, 8, 10)), digits.validation)


@pytest.mark.parametrize("conditional", [False, True])
def test_every_one_of_many_classes_is_drawn_often_enough_to_be_met(
    conditional: bool, monkeypatch: pytest.MonkeyPatch, judge: Classifier
) -> None:
    asked = {"family": "dcgan", "dataset": "stacked-mnist", "conditional": conditional, "width": 4}
    spec = precision.resolve(SPEC.validate_python(asked))
    state = start(spec, ImageShape(3, 28, 1000))

    def perfect(spec: Any, state: State, labels: Tensor, first: int = 0) -> ImageSet:
        return ImageSet(torch.zeros(len(labels), 1, 1, 1), labels, ())

    drawn = iter(torch.arange(26_000).split(2_000))
    monkeypatch.setattr(evaluation, "generate", perfect)
    monkeypatch.setattr(evaluation, "look", lambda judge, images: (images, next(drawn) % 1000))
    read = evaluation._enough(spec, state, judge, torch.zeros(2_000, dtype=torch.int64))
    assert torch.equal(read.bincount(), torch.full((1000,), 26))


def test_a_stack_of_grey_images_is_read_channel_by_channel(digits: Dataset, judge: Classifier) -> None:
    images, labels = digits.test.images, digits.test.labels
    stacked = torch.cat([images[:99], images[99:198], images[198:297]], dim=1)
    features, read = evaluation.look(judge, stacked)
    expected = 100 * labels[:99] + 10 * labels[99:198] + labels[198:297]
    assert features.shape == (99, 3 * 128)
    assert (read == expected).double().mean() > 0.7
    assert torch.equal(evaluation.look(judge, images)[1], judge.judge(images.float() / 255)[1])
