"""How the figures of a row are read from its runs: means beside their marks, gains pair by pair, ranks along a run."""

from collections.abc import Callable, Mapping, Sequence

from scipy.stats import spearmanr

from benchmarks.papers.records import Record
from benchmarks.papers.statistics import Figure, mean_of, paired_gain

Runs = Mapping[str, Sequence[Record]]  # the finished runs of a row's arms, by the arm's name, in order of seed
Read = Callable[[Runs], list[Figure]]

COLLAPSING = "collapsing"
WASSERSTEIN = ("fd_classifier", "held_out_wasserstein_estimate", "held_out_d_loss")


def error(arm: str, at_most: float, minutes: float) -> Read:
    """Read how many of the 10,000 test images the final model gets wrong, and what that took of a processor."""
    return lambda runs: [
        mean_of("wrong of 10,000", runs[arm], "test_error_rate", 10_000, at_most=at_most),
        _minutes(runs[arm], minutes),
    ]


def accuracy(arm: str, at_least: float, minutes: float | None = None) -> Read:
    """Read the final model's test accuracy, and beside it that of the checkpoint which validation chose."""
    return lambda runs: [
        mean_of("accuracy", runs[arm], "test_accuracy", at_least=at_least),
        Figure("accuracy of the one chosen on validation", [_chosen(run) for run in runs[arm]]),
        *([] if minutes is None else [_minutes(runs[arm], minutes)]),
    ]


def _minutes(runs: Sequence[Record], at_most: float) -> Figure:
    return Figure("CPU minutes", [run.cpu_minutes for run in runs], at_most=at_most, digits=3)


def _chosen(run: Record) -> float:
    """Read the accuracy of the best checkpoint, which is the final one where nothing else is told."""
    wrong = run.figures.get("test_best_error_rate", run.figures["test_error_rate"])
    assert wrong is not None
    return 1 - wrong


def gain(labels: int, points: float) -> Read:
    """Read by how many points the same network learns better beside a generator that learns, draw by draw."""

    def read(runs: Runs) -> list[Figure]:
        with_, without = runs[f"{labels} labels"], runs[f"{labels} labels, G frozen"]
        return [
            mean_of("accuracy", with_, "test_accuracy"),
            mean_of("accuracy, G frozen", without, "test_accuracy"),
            *paired_gain("gain in points", with_, without, "test_accuracy", 100, points),
        ]

    return read


def correlation(runs: Runs) -> list[Figure]:
    """Rank the held-out estimate of 20 even checkpoints, after the first 5 % of the run, against their distance."""
    return [
        Figure("Spearman, wgan's estimate", [_spearman(run, WASSERSTEIN[1]) for run in runs["wgan"]], at_least=0.8),
        Figure("Spearman, gan's D loss", [_spearman(run, WASSERSTEIN[2]) for run in runs["gan"]]),
    ]


def _spearman(run: Record, name: str) -> float:
    distance, estimate = (dict(run.series[each]) for each in ("fd_classifier", name))
    steps = sorted(step for step in distance.keys() & estimate.keys() if step >= 0.05 * run.spec["total_steps"])
    return float(spearmanr([estimate[step] for step in steps], [distance[step] for step in steps]).statistic)


def called(runs: Runs) -> list[Figure]:
    """Read what the service made of runs driven into collapse, and of healthy ones."""
    healthy = [*runs["wgan"], *runs["gan"]]
    early = [
        any(kind == COLLAPSING and 2 * step < r.spec["total_steps"] for step, kind in r.verdicts)
        for r in runs["driven"]
    ]
    wrongly = [any(kind == COLLAPSING for _, kind in run.verdicts) for run in healthy]
    return [
        Figure("share of driven runs called so in time", [float(found) for found in early], at_least=1.0),
        Figure("share of healthy runs ever called so", [float(found) for found in wrongly], at_most=0.0),
    ]


def steps_to(runs: Runs, arms: Sequence[str], distances: Sequence[float]) -> list[Figure]:
    """Read after how many steps each arm first reaches each distance on validation."""
    return [
        Figure(
            f"steps to a distance of {distance:g} on validation, {arm}",
            [_first(run, distance) for run in runs[arm]],
            digits=0,
        )
        for distance in distances
        for arm in arms
    ]


def _first(run: Record, distance: float) -> float:
    reached = [step for step, value in run.series["fd_classifier"] if value <= distance]
    return float(min(reached)) if reached else float("inf")


def side_by_side(runs: Runs, name: str, times: float = 1) -> list[Figure]:
    """Read one figure of every arm."""
    return [mean_of(arm, found, name, times) for arm, found in runs.items()]


def distances(runs: Runs) -> list[Figure]:
    """Read every arm's Fréchet distance, and that of real images."""
    every = [run for found in runs.values() for run in found]
    return [*side_by_side(runs, "test_fd_classifier"), mean_of("real images", every[:1], "test_fd_classifier_real")]


def change(runs: Runs) -> list[Figure]:
    """Read both distances, and what the augmentation changes, seed by seed."""
    plain, augmented = (
        {run.spec["seed"]: run.figures["test_fd_classifier"] for run in runs[arm]} for arm in ("plain", "augmented")
    )
    pairs = [(here, augmented.get(seed)) for seed, here in plain.items()]
    changes = [(there / here - 1) * 100 for here, there in pairs if here and there is not None]
    return [*distances(runs), Figure("change, %", changes, at_most=-25)]


def clusters(runs: Runs) -> list[Figure]:
    """Read the mean error and the best run's."""
    wrong = mean_of("% wrong", runs["catgan"], "test_error_rate", 100)
    return [wrong, Figure("best run, % wrong", sorted(wrong.values)[:1], at_most=9.5)]
