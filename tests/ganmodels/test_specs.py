from typing import Any

import pytest
from pydantic import ValidationError

from ganmodels.families import FAMILIES
from ganmodels.specs import FAMILIES as MENU
from ganmodels.specs import SPEC
from ganmodels.specs.knobs import why_not_doubling


def asked(**knobs: Any) -> Any:
    return SPEC.validate_python({"family": "dcgan", "dataset": "digits", **knobs})


def test_the_menu_and_the_kitchen_list_the_same_families() -> None:
    assert MENU.keys() == FAMILIES.keys()
    for name, family in FAMILIES.items():
        assert family.spec is MENU[name].spec


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 4097),
        ("total_steps", 10**12),
        ("total_steps", 0),
        ("seed", -1),
        ("seed", 2**53),
        ("width", 3),
        ("beta1", 1.0),
        ("ema_decay", -0.1),
        ("cooldown", 1.5),
        ("initial_deviation", 0.0),
        ("discriminator_norm", "layer"),
        ("discriminator_learning_rate", 0.0),
        ("generator_learning_rate", -0.1),
        ("r1_weight", -1.0),
        ("dataset", "cifar"),
        ("misspelled", 1),
        ("conditional", "yes"),
    ],
)
def test_a_knob_out_of_bounds_is_refused_by_name(knob: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        asked(**{knob: value})
    # A cadence whose default hangs on a refused knob has none: that is said too, but is no fault of its own.
    faults = [error["loc"] for error in refusal.value.errors() if error["type"] != "default_factory_not_called"]
    assert faults == [("dcgan", knob)]


@pytest.mark.parametrize(("knob", "value"), [("batch_size", 1), ("batch_size", 4096), ("cooldown", 0.0), ("width", 4)])
def test_a_knob_at_its_bound_is_taken(knob: str, value: Any) -> None:
    assert getattr(asked(**{knob: value}), knob) == value


@pytest.mark.parametrize(
    ("knobs", "figure"),
    [
        ({"family": "gan"}, "fd_classifier"),
        ({"family": "acgan"}, "fd_classifier"),
        ({"family": "sgan"}, "error_rate"),
        ({"family": "sgan", "labeled": "none"}, "fd_classifier"),
        ({"family": "catgan", "labeled": "none"}, "error_rate"),
        ({"family": "classifier", "network": "mlp", "dataset": "ring"}, "error_rate"),
        ({"family": "r3gan", "dataset": "ring"}, None),
    ],
)
def test_each_job_is_judged_by_what_it_has(knobs: dict[str, Any], figure: str | None) -> None:
    assert SPEC.validate_python(knobs).judged_by == figure


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValidationError, match="cgan"):
        SPEC.validate_python({"family": "gan9"})


@pytest.mark.parametrize("name", sorted(MENU))
def test_paper_settings_fill_what_is_left_out_and_nothing_else(name: str) -> None:
    paper = SPEC.validate_python({"family": name, "preset": "paper", "batch_size": 7})
    for knob, value in MENU[name].spec.PAPER.items():
        assert getattr(paper, knob) == (7 if knob == "batch_size" else value)
    assert paper.batch_size == 7
    quick = SPEC.validate_python({"family": name})
    assert quick.model_dump() != paper.model_dump()


def test_what_was_asked_for_outweighs_the_paper() -> None:
    assert asked(preset="paper", ema_decay=0.5).ema_decay == 0.5


def test_only_a_conditional_dcgan_serves_labels() -> None:
    assert asked(conditional=True).serves_labels
    assert not asked().serves_labels
    assert SPEC.validate_python({"family": "cgan"}).serves_labels


def test_sizes_are_four_to_seven_doubled() -> None:
    sizes = [size for size in range(1, 300) if why_not_doubling(size) is None]
    assert sizes == [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256]
    for size, nearest in ((1, 8), (9, 8), (30, 28), (31, 32), (36, 32), (37, 40), (1_000, 256)):
        assert str(why_not_doubling(size)).endswith(f"the nearest have {nearest}")


def test_data_that_a_family_cannot_learn_is_refused_saying_why() -> None:
    for asked, why in (
        ({"family": "dcgan", "dataset": "ring"}, "this family draws images; ring has points of the plane"),
        ({"family": "convgan", "dataset": "cifar10"}, "cifar10 has images of 32 pixels and 3 channels"),
        ({"family": "gan", "dataset": "ring", "augment": ["cutout"]}, "ring has points"),
        ({"family": "gan", "augment": ["color"]}, "3 channels"),
        ({"family": "gan", "early_stop": 3}, "evaluate_every"),
        ({"family": "r3gan", "dataset": "ring", "evaluate_every": 10, "early_stop": 2}, "of ring this job has neither"),
        ({"family": "gan", "measures": ["parzen"], "evaluate_every": None}, "evaluate_every"),
        ({"family": "classifier", "augment": ["color"]}, "3 channels"),
        ({"family": "classifier", "network": "mlp", "dataset": "ring", "augment": ["translation"]}, "ring has points"),
        ({"family": "gan", "measures": ["nearest_neighbor"]}, "asked for labels"),
        ({"family": "cgan", "packing": 2}, "packing"),
        ({"family": "gan", "packing": 3}, "must divide"),
        ({"family": "gan", "labeled": "all"}, "labeled"),
    ):
        with pytest.raises(ValidationError, match=why):
            SPEC.validate_python(asked)
