from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganmodels import training
from ganmodels.datasets import Dataset
from ganmodels.export import Exporter
from ganmodels.families import FAMILIES
from ganmodels.family import ImageShape
from ganmodels.packing import Packed
from ganmodels.specs import SPEC

SHAPE = ImageShape(1, 8, 10)


def asked(**knobs: Any) -> Any:
    small = {"family": "dcgan", "dataset": "digits", "width": 4, "batch_size": 12, "total_steps": 3, "packing": 3}
    machine = {"device": "cpu", "threads": 1, "precision": "fp32"}
    return SPEC.validate_python({**small, **machine, **knobs})


class Remembers(nn.Module):
    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        self.images, self.labels = images, labels
        return images.mean(dim=(1, 2, 3))


def test_a_pack_is_neighbors_stacked_in_depth() -> None:
    images, inner = torch.randn(6, 2, 5, 5), Remembers()
    judged = Packed(inner, 3)(images, torch.arange(6))
    assert judged.shape == (2,)
    assert torch.equal(inner.images, torch.stack([torch.cat([*images[:3]]), torch.cat([*images[3:]])]))
    assert len(inner.labels) == 2


def test_the_memory_layout_of_the_images_changes_nothing() -> None:
    images, inner = torch.randn(4, 3, 5, 5), Remembers()
    Packed(inner, 2)(images, torch.arange(4))
    expected = inner.images
    Packed(inner, 2)(images.to(memory_format=torch.channels_last), torch.arange(4))
    assert torch.equal(inner.images, expected)


def test_the_discriminator_is_as_deep_as_a_pack_and_the_generator_as_an_image() -> None:
    state = training.start(asked(), ImageShape(3, 8, 10))
    assert state.generator is not None
    first = state.discriminator.network.layers[0]  # type: ignore[index]  # a module's attributes are untyped
    assert first.in_channels == 9
    assert state.generator.network(torch.zeros(2, 100), torch.zeros(2, dtype=torch.int64)).shape == (2, 3, 8, 8)


@pytest.mark.parametrize("family", ["dcgan", "lsgan", "hinge", "r3gan"])
def test_packs_are_trained_on(family: str, digits: Dataset) -> None:
    spec = asked(family=family, augment=["translation"])
    state, score = training.start(spec, SHAPE), FAMILIES[family].score
    for _, metrics in training.train(spec, state, digits.train):
        assert all(value.isfinite() for value in metrics.values())
    seen = training.as_seen(state.discriminator.network, spec, FAMILIES[family])
    assert score is not None
    assert score(seen, torch.zeros(12, 1, 8, 8), torch.zeros(12, dtype=torch.int64)).shape == (4,)


def test_a_discriminator_of_packs_cannot_score_one_image_and_is_not_exported() -> None:
    alone, packed = asked(packing=1), asked()
    assert "scores" in alone.serves
    assert packed.serves == ("images",)
    assert Exporter(packed, training.start(packed, SHAPE)).files().keys() == {"generator.onnx"}


@pytest.mark.parametrize("knobs", [{"batch_size": 13}, {"conditional": True}])
def test_packs_that_cannot_be_made_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="packing"):
        asked(**knobs)
