"""How a run is doing, in plain words: what its figures say of collapse, of a lost balance and of divergence.

A verdict needs several observations in a row that agree, so that one bad batch is no alarm.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ganmodels.batches import to_unit
from ganmodels.datasets import ImageSet
from ganmodels.normalization import evaluating
from ganmodels.previews import draw
from ganmodels.specs.knobs import AdversarialKnobs, Knobs, Output
from ganmodels.training import State, family_of

Kind = Literal["healthy", "collapsing", "discriminator_dominates", "diverging"]

IN_A_ROW = 10  # observations that must agree
WARM_UP = 0.2  # share of the run, and
WARM_UP_STEPS = 500  # steps, in which images may still look alike
LEAST_DIVERSITY = 0.3  # of what real images have, or
LEAST_WHEN_STUCK = 0.5  # where nothing will change any more
RISING = 1.05  # times as much as before: images that become more various are not collapsing
LEAST_GRADIENT = 1e-4  # norm below which nothing reaches the generator any more
MOST_CERTAIN = 0.99  # D(real) − D(fake), as probabilities
MOST_LOSS = 50.0  # nats, or squares of a unit, beyond which a loss has left every sensible range
COUNT = 64


@dataclass(frozen=True)
class Verdict:
    """What is made of a run at one step, and why."""

    kind: Kind
    step: int
    reasons: tuple[str, ...] = ()


@dataclass
class Monitor:
    """Watches a run of `total_steps`; `real` is the diversity of real images, which generated ones should have too."""

    total_steps: int
    real: float
    output: Output = "log-odds"
    bounded: tuple[str, ...] = Knobs.BOUNDED
    _seen: deque[tuple[Kind, str]] = field(default_factory=lambda: deque(maxlen=IN_A_ROW))
    _diversities: deque[float] = field(default_factory=lambda: deque(maxlen=IN_A_ROW))
    told: Kind | None = None

    def observe(self, step: int, numbers: Mapping[str, float], diversity: float) -> Verdict | None:
        """Take a step's figures into account; give a verdict when it is another than the last one."""
        self._diversities.append(diversity)
        self._seen.append(self._look(step, numbers, diversity))
        kinds = {kind for kind, _ in self._seen}
        if len(self._seen) < IN_A_ROW or len(kinds) > 1 or kinds == {self.told}:
            return None
        kind, reason = self._seen[-1]
        self.told = kind
        return Verdict(kind, step, (reason,) if reason else ())

    def _look(self, step: int, numbers: Mapping[str, float], diversity: float) -> tuple[Kind, str]:
        losses = {name: abs(numbers[name]) for name in self.bounded if name in numbers}
        worst = max(losses, key=lambda name: losses[name], default=None)
        if worst is not None and not losses[worst] <= MOST_LOSS:
            return "diverging", f"{worst} is {numbers[worst]:.3g} at step {step}, beyond ±{MOST_LOSS:g}"
        if why := self._collapsing(step, numbers, diversity):
            return "collapsing", (
                f"generated images differ from each other by {diversity:.3g} at step {step}, real ones by "
                f"{self.real:.3g}, and {why}"
            )
        if "d_real" in numbers and "d_fake" in numbers and self.output != "score":
            real, fake = self._probability(numbers["d_real"]), self._probability(numbers["d_fake"])
            if real - fake > MOST_CERTAIN:
                return "discriminator_dominates", (
                    f"the discriminator believes {real:.1%} of real and {fake:.1%} of generated images at step {step}"
                )
        return "healthy", ""

    def _collapsing(self, step: int, numbers: Mapping[str, float], diversity: float) -> str | None:
        """Say why images that look alike will go on to; None where they do not, or it is too early to tell."""
        if step <= 0.1 * self.total_steps:
            return None
        if diversity < LEAST_WHEN_STUCK * self.real and numbers.get("g_gradient_norm", 1.0) < LEAST_GRADIENT:
            return "no gradient reaches the generator any more"
        if diversity >= LEAST_DIVERSITY * self.real or diversity > RISING * self._diversities[0]:
            return None
        return "that no longer rises" if step > max(WARM_UP * self.total_steps, WARM_UP_STEPS) else None

    def _probability(self, output: float) -> float:
        if self.output == "probability":
            return max(0.0, min(1.0, output))
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, output))))

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Give what a resumed run must know."""
        return {"seen": list(self._seen), "diversities": list(self._diversities)}

    def recall(self, stored: Mapping[str, Any] | None) -> None:  # Any: JSON
        """Go back to what a checkpoint stored, or to the start; what has been told has been told."""
        self._seen.clear()
        self._diversities.clear()
        if stored:
            self._seen.extend((kind, why) for kind, why in stored["seen"])
            self._diversities.extend(stored["diversities"])

    @classmethod
    def of(cls, spec: Knobs, real: float, told: Kind | None) -> "Monitor":
        """Watch a run of this spec, of which somebody was `told` before, if anybody was."""
        return cls(spec.total_steps, real, spec.OUTPUT, spec.BOUNDED, told=told)


@torch.no_grad()
def diversity(spec: AdversarialKnobs, state: State) -> float:
    """Give the `spread` of what the generator draws of fixed noise: as it is now, since its average lags behind."""
    assert state.generator is not None
    network = state.generator.network
    count = COUNT if state.shape.size <= 64 else COUNT // 8  # large images take long to draw, and say as much each
    with evaluating(network):
        images, _ = draw(spec, state, network, 8, count // 8)
    return spread(to_unit(images, family_of(spec).output_range(spec)).cpu())


def spread_of(images: ImageSet) -> float:
    """Give the same of real images."""
    some = images.images[:: max(1, len(images) // 500)][:500]
    return spread(some.float() / 255 if some.dtype == torch.uint8 else some)


def spread(images: Tensor) -> float:
    """Give the root of the mean squared distance between two images of (N, C, H, W), a pixel's share of it."""
    flat = images.flatten(1).double()
    return math.sqrt(2 * float(flat.var(dim=0).mean()))
