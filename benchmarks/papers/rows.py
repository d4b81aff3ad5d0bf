"""The table: what each paper reports, the runs that are held against it, and how they are read.

Published figures stand with their source: S is the paper's own text or its authors' code, T another paper's quotation.
Every figure is of the test split, read once at the end of a run, unless it says validation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.papers.readings import (
    WASSERSTEIN,
    Read,
    accuracy,
    called,
    change,
    clusters,
    correlation,
    distances,
    error,
    gain,
    side_by_side,
    steps_to,
)
from benchmarks.papers.statistics import excess, fraction_of, mean_of


@dataclass(frozen=True)
class Arm:
    """One setting, run with the seeds 0, 1, …; `series` are the curves that are kept.

    `as_written` runs the write-up's code, faults and all, outside the service (`benchmarks.papers.as_written`).
    """

    name: str
    spec: Mapping[str, Any]
    seeds: int
    series: tuple[str, ...] = ()
    as_written: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table: what was published, what we aim for, the runs, and what is read from them."""

    name: str
    system: str
    published: str
    aim: str
    arms: tuple[Arm, ...]
    read: Read
    note: str = ""


def sgan(labels: int, **more: Any) -> dict[str, Any]:
    """Ask for the semi-supervised GAN with so many labels."""
    return {"family": "sgan", "labeled": {"count": labels}, **more}


FROZEN = {"generator_learning_rate": 0.0}
HUNDRED = {"count": 100}
DRIVEN = {"family": "gan", "generator_loss": "minimax", "discriminator_learning_rate": 0.02, "r1_weight": 0.0}

SHARP = Arm(
    "dcgan",
    {
        "family": "dcgan",
        "conditional": True,
        "width": 32,
        "total_steps": 6_000,
        "measures": ["nearest_neighbor", "classification_accuracy_score"],
    },
    3,
)
SCARCE = {"family": "dcgan", "data_fraction": 0.01, "width": 24, "batch_size": 32, "total_steps": 20_000}
LONG = Arm(
    "gan",
    {"family": "gan", "hidden": [1024, 1024], "r1_weight": 0.05, "total_steps": 30_000, "measures": ["parzen"]},
    3,
)
CGAN = Arm("cgan", {"family": "cgan", "measures": ["parzen"]}, 3)
CATGAN = Arm("catgan", {"family": "catgan", "labeled": HUNDRED, "total_steps": 30_000}, 3)
WRITE_UP = {"family": "convgan", "preset": "paper", "total_steps": 4_000}
WGAN = Arm("wgan", {"family": "wgan", "total_steps": 8_000, "evaluate_every": 400}, 5, WASSERSTEIN)
GAN = Arm("gan", {"family": "gan", "total_steps": 8_000, "evaluate_every": 400}, 5, WASSERSTEIN)

ROWS: tuple[Row, ...] = (
    *(
        Row(
            f"T{number}",
            f"`sgan`, {labels} labels",
            f"{published} (Odena 2016, S; best of a random search)",
            f"≥ {aim}" + (f" in {minutes} CPU minutes" if minutes else ""),
            (Arm(f"{labels} labels", sgan(labels, evaluate_every=1_000), 3),),
            accuracy(f"{labels} labels", aim, minutes),
        )
        for number, labels, published, aim, minutes in (
            (1, 25, ".802", 0.82, None),
            (2, 50, ".883", 0.90, None),
            (3, 100, ".928", 0.945, 15),
            (4, 1000, ".964", 0.972, None),
        )
    ),
    *(
        Row(
            f"T5, {labels} labels",
            "`sgan`: gain over the same network with G frozen",
            f"{published} points (Odena 2016, S)",
            "as large, 95 % interval above 0",
            (
                Arm(f"{labels} labels", sgan(labels, total_steps=steps), 10),
                Arm(f"{labels} labels, G frozen", sgan(labels, total_steps=steps, **FROZEN), 10),
            ),
            gain(labels, float(published)),
            "paired by draw: seed s has the same labels in both",
        )
        for labels, published, steps in ((100, "+3.3", 3_000), (25, "+5.2", 1_500))  # many draws, few steps
    ),
    Row(
        "T6, CPU",
        "`sgan` MLP, feature matching, 100 labels",
        "93 ± 6.5 wrong of 10,000 (Salimans 2016, S)",
        "≤ 130 in 30 CPU minutes; on a GPU ≤ 92 on the full schedule",
        (Arm("mlp", {"family": "sgan", "network": "mlp", "labeled": HUNDRED}, 3),),
        error("mlp", 130, minutes=30),
        "the full schedule needs a GPU",
    ),
    Row(
        "T7",
        "`catgan` MLP, 100 labels",
        "191 ± 10 wrong of 10,000 (T)",
        "≤ 185; ≤ 250 in 30 CPU minutes",
        (CATGAN,),
        error("catgan", 185, minutes=30),
    ),
    Row(
        "T8",
        "`catgan` unsupervised, K = 20",
        "9.70 % wrong, best run (T)",
        "≤ 9.5 % best, mean reported",
        (Arm("catgan", {"family": "catgan", "labeled": "none", "clusters": 20, "total_steps": 40_000}, 3),),
        clusters,
        "clusters named by the majority of validation",
    ),
    *(
        Row(
            name,
            f"Parzen log-likelihood, `{family}`",
            f"{published} (T)",
            f"≥ {aim:g}",
            (arm,),
            lambda runs, family=family, aim=aim: [  # type: ignore[misc]  # mypy cannot infer defaults in a lambda
                mean_of("nats", runs[family], "test_parzen_log_likelihood", at_least=aim),
                mean_of("as many real images", runs[family], "test_parzen_real"),
                mean_of("k-means", runs[family], "test_parzen_k_means"),
            ],
            "the metric can be gamed: k-means draws no digit that a person would call one",
        )
        for name, family, published, aim, arm in (
            ("T9", "gan", "225 ± 2", 230, LONG),
            ("T10", "cgan", "132 ± 1.8", 200, CGAN),
        )
    ),
    Row(
        "T11, cgan",
        "`cgan`: images read as the label asked for",
        "–",
        "≥ 97 % within 200,000 steps",
        (CGAN,),
        lambda runs: [mean_of("% as asked", runs["cgan"], "test_label_consistency", 100, at_least=97)],
    ),
    Row(
        "T11, dcgan",
        "conditional `dcgan`: images read as the label asked for",
        "–",
        "≥ 99 %",
        (SHARP,),
        lambda runs: [
            mean_of("% as asked", runs["dcgan"], "test_label_consistency", 100, at_least=99),
            mean_of("real images", runs["dcgan"], "test_classifier_accuracy", 100),
        ],
    ),
    Row(
        "T12",
        "conditional `dcgan`, 1-nearest-neighbor error from 50,000 samples",
        "2.98 % (Radford 2016, to be re-checked)",
        "≤ 2.9 %, and ≤ real images'",
        (SHARP,),
        lambda runs: [
            mean_of("% wrong", runs["dcgan"], "test_nearest_neighbor_error", 100, at_most=2.9),
            mean_of("real images", runs["dcgan"], "test_nearest_neighbor_error_real", 100),
            excess(
                "points above real images",
                runs["dcgan"],
                "test_nearest_neighbor_error",
                "test_nearest_neighbor_error_real",
                100,
                at_most=0,
            ),
        ],
    ),
    Row(
        "T13",
        "classification accuracy score, conditional `dcgan`",
        "–",
        "≥ 97.5 %, within 2 points of real",
        (SHARP,),
        lambda runs: [
            mean_of("%", runs["dcgan"], "test_classification_accuracy_score", 100, at_least=97.5),
            mean_of("real images", runs["dcgan"], "test_classification_accuracy_real", 100),
            excess(
                "points below real images",
                runs["dcgan"],
                "test_classification_accuracy_real",
                "test_classification_accuracy_score",
                100,
                at_most=2,
            ),
        ],
    ),
    Row(
        "T14",
        "`wgan`: rank correlation of the estimate with the Fréchet distance",
        "a claim (Arjovsky 2017, S)",
        "≥ 0.8",
        (
            WGAN,
            GAN,
        ),
        correlation,
        "on 4,800 validation images, which no step has learned from",
    ),
    Row(
        "T15",
        "`wgan`: modes",
        '"no evidence of mode collapse" (Arjovsky 2017, S)',
        "10 of 10 digits, every class ≥ 5 %, 5 of 5 seeds",
        (WGAN,),
        lambda runs: [
            mean_of("digits", runs["wgan"], "test_modes"),
            mean_of("rarest digit, %", runs["wgan"], "test_least_class_share", 100),
            fraction_of("seeds that meet both", runs["wgan"], lambda f: f["test_least_class_share"] >= 0.05, 1.0),
        ],
    ),
    Row(
        "Health",
        "a run driven into collapse, and ten that are not",
        "–",
        "`collapsing` before half of the steps; never for the ten",
        (
            Arm("driven", {**DRIVEN, "total_steps": 5_000}, 5),
            WGAN,
            GAN,
        ),
        called,
    ),
    Row(
        "T16, CPU",
        "Stacked MNIST, 1,000 modes: modes and KL, `r3gan`",
        "DCGAN 99 / 3.40 (S), WGAN-GP 959 / .73 (T), PacDCGAN2 1000 / .06 (S), R3GAN 1000 / .029 (T)",
        "≥ 960 and < .7; on a GPU 1000 and ≤ .055",
        (Arm("r3gan", {"family": "r3gan", "dataset": "stacked-mnist", "total_steps": 10_000}, 3),),
        lambda runs: [
            mean_of("modes", runs["r3gan"], "test_modes", at_least=960),
            mean_of("KL", runs["r3gan"], "test_mode_kl", at_most=0.7),
        ],
        "the full form needs a GPU",
    ),
    *(
        Row(
            f"T17, {dataset}",
            f"2-D {dataset}, modes found, `r3gan`",
            f"VEEGAN {veegan}, GAN {gan} (S)",
            f"{modes}, every seed",
            (Arm("r3gan", {"family": "r3gan", "dataset": dataset}, 5),),
            lambda runs, modes=modes: [  # type: ignore[misc]  # mypy cannot infer defaults in a lambda
                mean_of("modes", runs["r3gan"], "test_modes"),
                fraction_of("seeds with all", runs["r3gan"], lambda f: f["test_modes"] == modes, 1.0),
                mean_of("samples of high quality, %", runs["r3gan"], "test_high_quality_fraction", 100),
            ],
        )
        for dataset, modes, veegan, gan in (("ring", 8, "8", "1"), ("grid", 25, "24.6", "3.3"))
    ),
    Row(
        "T18",
        "DiffAugment with 1 % of the data, `dcgan`",
        "CIFAR-10 with 10 %: FID −44 % (S)",
        "Fréchet distance −25 % or better",
        (
            Arm("plain", SCARCE, 3),
            Arm("augmented", {**SCARCE, "augment": ["translation", "cutout"]}, 3),
        ),
        change,
    ),
    Row(
        "T19",
        "`convgan`: as written against corrected, `d_pretrain_steps` 0 against 300",
        "the author stopped at 600 steps",
        "4,000 steps, all measured",
        (
            Arm("as written", WRITE_UP, 3, as_written=True),
            Arm("corrected", WRITE_UP, 3),
            Arm("corrected, no pre-training", {**WRITE_UP, "d_pretrain_steps": 0}, 3),
            Arm("quick preset", {"family": "convgan"}, 3),
            Arm("quick preset, no pre-training", {"family": "convgan", "d_pretrain_steps": 0}, 3),
        ),
        distances,
        "as written: two optimizers for one discriminator, BatchNorm left out of the generator's training, and in "
        "training mode when one image is drawn",
    ),
    Row(
        "T20",
        "100 labels side by side, wrong of 10,000",
        '"GANs are not good at classification"',
        "the table, same draws, whoever wins",
        (
            replace(CATGAN, name="`catgan`"),
            Arm("`sgan`", sgan(100, evaluate_every=1_000), 3),
            Arm("`classifier`, as sgan's", {"family": "classifier", "labeled": HUNDRED}, 5),
            Arm(
                "`classifier`, as sgan's, translated",
                {"family": "classifier", "labeled": HUNDRED, "augment": ["translation"]},
                5,
            ),
            Arm("`classifier`, googlenet", {"family": "classifier", "network": "googlenet", "labeled": HUNDRED}, 3),
        ),
        lambda runs: side_by_side(runs, "test_error_rate", 10_000),
        "`sgan`'s quick preset translates what D sees, labeled images too; `translated` does so for the classifier",
    ),
    Row(
        "T21",
        "`sgan` against a GAN of the same networks: Fréchet distance at equal steps",
        '"better samples, less generator training" (Odena 2016, S)',
        "measured, same seeds",
        (
            Arm("1,000 labels", sgan(1000, total_steps=3_000, generator_loss="non_saturating"), 3),
            Arm(
                "no labels",
                {"family": "sgan", "labeled": "none", "total_steps": 3_000, "generator_loss": "non_saturating"},
                3,
            ),
        ),
        distances,
    ),
    Row(
        "T22",
        "`gan`: `minimax` against `non_saturating`",
        "a claim (Goodfellow 2014, S)",
        "measured",
        tuple(
            Arm(
                loss,
                {"family": "gan", "generator_loss": loss, "total_steps": 20_000, "evaluate_every": 500},
                3,
                ("fd_classifier",),
            )
            for loss in ("minimax", "non_saturating")
        ),
        lambda runs: [*distances(runs), *steps_to(runs, ("minimax", "non_saturating"), (60, 30))],
    ),
)
