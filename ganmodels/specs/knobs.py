"""The knobs that families share, in groups: a family's spec is the groups it has and the defaults it sets."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ganmodels.specs import limits
from ganmodels.specs.datasets import DATASETS, DatasetFacts, DatasetName

LABEL_MEASURES = {"classification_accuracy_score", "nearest_neighbor"}  # they train on images and the labels asked for

# What `d_real` and `d_fake`, if there are any, say of an image being real: its log-odds, its probability, or neither.
Output = Literal["log-odds", "probability", "score"]


class InitFrom(BaseModel):
    """A checkpoint of another job, whose networks' weights a run begins with."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    job: Annotated[limits.Id, Field(description="The other job, of the same family and networks.")]
    step: Annotated[
        Annotated[int, Field(ge=0)] | Literal["latest", "best"], Field(description="Which of its checkpoints.")
    ] = "latest"


class Webhook(BaseModel):
    """Who is told, by a signed POST, of what happens to the job (https://www.standardwebhooks.com)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    url: limits.HookUrl
    events: Annotated[
        list[Literal["starting", "running", "checkpoint", "health", "paused", "succeeded", "failed", "cancelled"]],
        Field(min_length=1, max_length=8, description="The types of events that it is told of."),
    ] = ["succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class FamilyFacts:
    """What the menu says of a family beside its knobs."""

    spec: type["Knobs"]
    title: str
    paper: str
    url: str
    serves: tuple[str, ...]  # what a checkpoint can answer: "images", "labels", "classes", "scores"


def _share(parts: int, least: int) -> Any:
    """Default a cadence to one `parts`-th of the run, so that a long run does not drown in checkpoints."""
    return lambda data: max(least, data["total_steps"] // parts)


class Knobs(BaseModel):
    """The knobs that every family shares."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    PAPER: ClassVar[Mapping[str, Any]] = {}  # what `preset: paper` changes
    SERVES: ClassVar[tuple[str, ...]] = ("images", "scores")
    JUDGED_BY: ClassVar[tuple[str, ...]] = ("fd_classifier",)  # `best` is lowest in the first of them that it has
    OUTPUT: ClassVar[Output] = "log-odds"
    BOUNDED: ClassVar[tuple[str, ...]] = ("d_loss", "g_loss")  # losses of a known scale: a large one has diverged

    family: str
    preset: Annotated[
        Literal["quick", "paper"],
        Field(description="Which defaults fill the knobs left out: what trains best here, or the published settings."),
    ] = "quick"
    dataset: Annotated[DatasetName, Field(description="The data set to learn.")] = "mnist"
    name: Annotated[limits.Tag | None, Field(description="A name for people; need not be unique.")] = None
    tags: Annotated[
        dict[limits.Tag, limits.Tag], Field(max_length=20, description="Free key-value pairs to find the job by.")
    ] = {}
    priority: Annotated[int, Field(ge=-100, le=100, description="Higher is claimed first; then the older.")] = 0
    webhooks: Annotated[
        list[Webhook], Field(max_length=5, description="Who is told of what happens to the job, by signed requests.")
    ] = []
    max_attempts: Annotated[int, Field(ge=1, le=10, description="How often a retryable failure is tried.")] = 3
    total_steps: limits.TotalSteps
    batch_size: limits.BatchSize = 64
    data_fraction: limits.DataFraction = 1.0
    init_from: Annotated[
        InitFrom | None,
        Field(description="A job whose networks this one begins with instead of random ones; their averages too."),
    ] = None
    max_minutes: limits.MaxMinutes = None
    seed: limits.Seed = 0
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="`auto` takes a GPU where there is one.")] = (
        "auto"
    )
    threads: Annotated[
        limits.Threads | Literal["auto"],
        Field(description="CPU threads of the trainer; part of the result, since their number changes the last bit."),
    ] = "auto"
    precision: limits.Precision = "auto"
    deterministic: Annotated[bool, Field(description="On a GPU: repeatable to the bit, and slower.")] = False
    ema_decay: limits.EmaDecay
    checkpoint_every: Annotated[
        limits.Steps,
        Field(
            description="Steps between checkpoints; a twentieth of the run when left out.",
            default_factory=_share(20, 50),
        ),
    ]
    keep_checkpoints: limits.KeepCheckpoints = 20
    preview_every: Annotated[
        limits.Steps,
        Field(
            description="Steps between fixed-noise previews; a twentieth of the run when left out.",
            default_factory=_share(20, 50),
        ),
    ]
    preview_grid: limits.PreviewGrid = "8x10"
    log_every: Annotated[
        limits.Steps,
        Field(
            description="Steps between metric points; a two-hundredth of the run when left out.",
            default_factory=_share(200, 1),
        ),
    ]
    evaluate_every: limits.EvaluateEvery = 0
    measures: limits.Measures = []
    early_stop: limits.EarlyStop = None
    on_divergence: limits.OnDivergence = "fail"

    @model_validator(mode="before")
    @classmethod
    def fill_from_preset(cls, asked: Any) -> Any:
        """Fill the knobs left out with the defaults that go with those given."""
        return {**cls.defaults(asked), **asked} if isinstance(asked, dict) else asked

    @classmethod
    def defaults(cls, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the defaults that depend on what is asked: the paper's, when its preset is."""
        return cls.PAPER if asked.get("preset") == "paper" else {}

    @model_validator(mode="after")
    def check_early_stop(self) -> Self:
        """Raise ValueError for an early stop that no evaluation will ever cause."""
        if self.early_stop is not None and not self.evaluate_every:
            raise ValueError("early_stop counts evaluations: set evaluate_every to the steps between them")
        if self.early_stop is not None and self.judged_by is None:
            raise ValueError(f"early_stop compares images or named classes; of {self.dataset} this job has neither")
        return self

    @model_validator(mode="after")
    def check_measures(self) -> Self:
        """Raise ValueError for a measure of what this job will not have, or that will not be taken."""
        if self.measures and self.evaluate_every is None:
            raise ValueError("measures are taken when the job is evaluated: set evaluate_every to 0 or more")
        if self.measures and ("images" not in self.SERVES or DATASETS[self.dataset].kind == "points"):
            raise ValueError("measures are of generated images, and this job draws none")
        if (of_labels := sorted(LABEL_MEASURES & set(self.measures))) and self.labels_from != "generator":
            raise ValueError(f"{of_labels[0]} needs a generator that is asked for labels")
        return self

    @model_validator(mode="after")
    def check_data(self) -> Self:
        """Raise ValueError unless the family's networks can learn this data set."""
        if reason := self.why_unfit(DATASETS[self.dataset]):
            raise ValueError(f"{reason}; {self.dataset} has {_described(DATASETS[self.dataset])}")
        return self

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Say why the family cannot learn such data, None when it can."""
        return "this family draws images" if facts.kind == "points" else None

    @property
    def serves(self) -> tuple[str, ...]:
        """What a checkpoint of this very job can answer."""
        labels = ("labels",) if self.labels_from else ()
        return (*labels, *self.SERVES)

    @property
    def judged_by(self) -> str | None:
        """The figure of an evaluation that checkpoints are compared by, lowest at best; None where there is none."""
        there = {
            "error_rate": "classes" in self.serves,
            "fd_classifier": "images" in self.SERVES and DATASETS[self.dataset].kind != "points",
        }
        return next((figure for figure in self.JUDGED_BY if there[figure]), None)

    @property
    def labels_from(self) -> Literal["generator", "classes"] | None:
        """Who can be asked for a label: the generator, the discriminator's class head that picks images, or nobody."""
        return None

    @property
    def serves_labels(self) -> bool:
        """Whether an image of a given label can be asked for."""
        return self.labels_from is not None

    @property
    def score_needs_label(self) -> bool:
        """Whether the discriminator's estimate is of an image as one of its label."""
        return self.labels_from == "generator"

    @property
    def names_clusters(self) -> bool:
        """Whether the class head's outputs are clusters, which validation names after the fact."""
        return False


def answered(serves: Collection[str], kind: str | None, labels_from: str | None) -> tuple[str, ...]:
    """Tell what can be asked of a job: points are drawn, but no picture of one is sent, nor chosen by its class."""
    if kind != "points":
        return tuple(serves)
    of_pictures = {"scores", "classes"} | ({"labels"} if labels_from == "classes" else set())
    return tuple(what for what in serves if what not in of_pictures)


def _described(facts: DatasetFacts) -> str:
    if facts.kind == "points":
        return "points of the plane"
    return f"images of {facts.size} pixels and {facts.channels} channel{'s' * (facts.channels > 1)}"


class DisturbedKnobs(Knobs):
    """The knob of discriminators and classifiers that see their images disturbed."""

    augment: limits.Augment = []

    @model_validator(mode="after")
    def check_augment(self) -> Self:
        """Raise ValueError for disturbances that such data cannot take."""
        facts = DATASETS[self.dataset]
        if self.augment and facts.kind == "points":
            raise ValueError(f"augment disturbs images; {self.dataset} has points of the plane")
        if "color" in self.augment and facts.channels == 1:
            raise ValueError(f"augment color needs images of 3 channels; {self.dataset} has 1")
        return self


class AdversarialKnobs(DisturbedKnobs):
    """The knobs of a generator and a discriminator."""

    latent_size: limits.LatentSize = 100
    generator_learning_rate: limits.GeneratorRate
    discriminator_learning_rate: limits.DiscriminatorRate
    discriminator_steps: limits.DiscriminatorSteps = 1
    cooldown: limits.Cooldown = 0.0
    packing: limits.Packing = 1
    d_pretrain_steps: limits.PretrainSteps = 0

    @model_validator(mode="after")
    def check_packing(self) -> Self:
        """Raise ValueError for packs that a batch cannot be cut into, or that have several labels."""
        if self.batch_size % self.packing:
            raise ValueError(f"packing {self.packing} must divide batch_size {self.batch_size}")
        if self.packing > 1 and self.labels_from == "generator":
            raise ValueError("packing judges images together, whatever their labels: leave the labels out")
        return self

    @property
    def serves(self) -> tuple[str, ...]:
        """What a checkpoint of this very job can answer; a discriminator of packs cannot score one image."""
        return tuple(what for what in super().serves if what != "scores" or self.packing == 1)


class AdamKnobs(AdversarialKnobs):
    """The knobs of networks that Adam trains."""

    beta1: limits.Beta1
    beta2: limits.Beta2


class LogisticKnobs(AdversarialKnobs):
    """The knob of the original loss, of which the generator has two forms."""

    generator_loss: limits.GeneratorLoss = "non_saturating"


class PenaltyKnobs(AdversarialKnobs):
    """The knobs of the penalty on the discriminator's gradient at real images."""

    r1_weight: limits.R1Weight = 0.0
    r1_every: limits.R1Every = 8


class ConvolutionalKnobs(AdamKnobs):
    """The knobs of DCGAN's networks, which several losses share."""

    width: limits.Width = 32
    generator_width: Annotated[
        limits.Width,
        Field(
            description="Channels nearest the image in the generator; as `width` when left out.",
            default_factory=lambda data: data["width"],
        ),
    ]
    conditional: limits.Conditional = False
    conditioning: Annotated[
        Literal["projection", "concat"],
        Field(description="A class embedding and a projection discriminator, or the label beside every layer's input."),
    ] = "projection"
    embedding_size: Annotated[limits.Size, Field(description="Width of the generator's class embedding.")] = 50
    initial_deviation: limits.InitialDeviation = 0.05
    discriminator_norm: limits.DiscriminatorNorm = "none"

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Say why such networks cannot draw such images."""
        if reason := super().why_unfit(facts):
            return reason
        return why_not_doubling(facts.size)

    @property
    def labels_from(self) -> Literal["generator", "classes"] | None:
        """The generator, where it learned labels."""
        return "generator" if self.conditional else None


# Pixels of a side: b·2^k with 4 ≤ b ≤ 7.
DOUBLINGS = tuple(base << times for times in range(1, 7) for base in range(4, 8) if base << times <= 256)


def why_not_doubling(size: int) -> str | None:
    """Say why convolutions cannot draw `size` pixels, and what comes nearest; None where they can."""
    if size in DOUBLINGS:
        return None
    nearest = min(DOUBLINGS, key=lambda doubling: abs(doubling - size))
    return f"its convolutions draw squares of 4 to 7 pixels doubled, up to 256: the nearest have {nearest}"


class PerClass(BaseModel):
    """So many labels of each class."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    per_class: Annotated[int, Field(ge=1, le=100_000)]


class Count(BaseModel):
    """So many labels in all, the classes equally often or as nearly as can be."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    count: Annotated[int, Field(ge=1, le=1_000_000)]


class Fraction(BaseModel):
    """Such a share of the training images, the classes equally often or as nearly as can be."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    fraction: Annotated[float, Field(gt=0, le=1)]


_HOW_MANY = "How many labels the run may use: a fixed, balanced subset that the seed draws."
Labeled = Annotated[PerClass | Count | Fraction | Literal["all", "none"], Field(description=_HOW_MANY)]
GrantedLabels = Annotated[PerClass | Count | Fraction | Literal["all"], Field(description=_HOW_MANY)]  # never none


class LabeledKnobs(Knobs):
    """The knob of families that learn from some labels."""

    labeled: Labeled
