"""What a run is called: collapsing where it collapses, and never where it does not."""

from typing import Any

import pytest

from ganmodels.health import IN_A_ROW, Monitor
from ganmodels.specs import SPEC

FINE = {"d_loss": 1.0, "g_loss": 1.0, "d_real": 1.0, "d_fake": -1.0, "g_gradient_norm": 0.5}


def verdicts(*observed: tuple[dict[str, float], float], times: int = IN_A_ROW) -> list[str]:
    """Show a monitor of a run of 10,000 steps each of these so many times in a row."""
    monitor = Monitor(total_steps=10_000, real=1.0)
    found = []
    step = 4_000
    for numbers, diversity in observed:
        for _ in range(times):
            step += 100
            verdict = monitor.observe(step, numbers, diversity)
            found += [verdict.kind] if verdict else []
    return found


def test_a_verdict_is_told_once_and_again_when_it_changes() -> None:
    assert verdicts((FINE, 0.9), (FINE, 0.9)) == ["healthy"]
    assert verdicts((FINE, 0.9), (FINE, 0.1), (FINE, 0.9)) == ["healthy", "collapsing", "healthy"]


def test_one_bad_observation_is_no_verdict() -> None:
    assert verdicts((FINE, 0.1), times=IN_A_ROW - 1) == []
    assert verdicts((FINE, 0.1)) == ["collapsing"]


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ({"d_loss": 51.0}, "diverging"),
        ({"g_loss": -51.0}, "diverging"),
        ({"d_loss": 49.0}, "healthy"),
        ({"d_real": 9.0, "d_fake": -9.0}, "discriminator_dominates"),
        ({"d_real": 2.0, "d_fake": -2.0}, "healthy"),
    ],
)
def test_figures_have_their_verdicts(numbers: dict[str, float], kind: str) -> None:
    assert verdicts((FINE | numbers, 0.9)) == [kind]


@pytest.mark.parametrize(
    ("family", "numbers", "kind"),
    [
        ("wgan_gp", {"d_real": 1_000.0, "d_fake": 400.0, "d_loss": -585.0, "g_loss": -400.0}, "healthy"),
        ("wgan", {"d_real": 8.0, "d_fake": -8.0}, "healthy"),
        ("hinge", {"d_real": 8.0, "d_fake": -8.0, "g_loss": 60.0}, "healthy"),
        ("hinge", {"d_loss": 51.0}, "diverging"),
        ("r3gan", {"g_loss": 51.0}, "diverging"),
        ("r3gan", {"d_real": 8.0, "d_fake": -8.0}, "healthy"),
        ("lsgan", {"d_real": 1.0, "d_fake": 0.0}, "discriminator_dominates"),
        ("lsgan", {"d_real": 0.6, "d_fake": 0.4}, "healthy"),
        ("lsgan", {"d_loss": 51.0}, "diverging"),
        ("dcgan", {"d_real": 9.0, "d_fake": -9.0}, "discriminator_dominates"),
    ],
)
def test_an_output_is_read_as_what_it_means(family: str, numbers: dict[str, float], kind: str) -> None:
    spec = SPEC.validate_python({"family": family, "total_steps": 10_000})
    monitor = Monitor.of(spec, 1.0, None)
    found = [monitor.observe(4_000 + 100 * n, FINE | {"d_real": 0.6, "d_fake": 0.4} | numbers, 0.9) for n in range(10)]
    assert [verdict.kind for verdict in found if verdict] == [kind]


def test_images_that_become_more_various_do_not_collapse() -> None:
    monitor = Monitor(total_steps=10_000, real=1.0)
    found = [monitor.observe(4_000 + 100 * n, FINE, 0.05 * 1.06**n) for n in range(2 * IN_A_ROW)]
    assert [verdict.kind for verdict in found if verdict] == ["healthy"]


def test_early_images_may_look_alike_unless_nothing_reaches_the_generator() -> None:
    stuck: dict[str, Any] = {**FINE, "g_gradient_norm": 0.0}
    for numbers, kind in ((FINE, "healthy"), (stuck, "collapsing")):
        monitor = Monitor(total_steps=10_000, real=1.0)
        found = [monitor.observe(1_000 + 10 * (1 + n), numbers, 0.1) for n in range(IN_A_ROW)]
        assert [verdict.kind for verdict in found if verdict] == [kind]
