"""The menu of families: what a job may ask for, its limits and its defaults. Loads no torch.

One declaration feeds the REST schema, the command line, the documentation and the trainer. Limits belong to
named types, defaults to the family; `preset: paper` swaps a family's defaults for its paper's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

# Rises when a code change moves any family's golden losses: a running job is then refused, not silently changed.
NUMERICS_VERSION = 1

# Limits and meanings live in named types, so that a family that overrides a default keeps both.
Steps = Annotated[int, Field(ge=1, le=10_000_000)]
Size = Annotated[int, Field(ge=1, le=4096)]
Threads = Annotated[int, Field(ge=1, le=256)]
Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Seed = Annotated[
    int,
    # 2^53 − 1: the largest integer every JSON reader keeps
    Field(ge=0, le=2**53 - 1, description="Everything random in the run is a function of it."),
]
TotalSteps = Annotated[Steps, Field(description="Generator updates, each with its discriminator updates.")]
BatchSize = Annotated[int, Field(ge=1, le=4096, description="Images a network sees in one update.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"], Field(description="`auto` takes bf16 where the hardware has it.")
]
EmaDecay = Annotated[
    float, Field(ge=0, lt=1, description="Decay of the averaged generator that serves; 0 serves the raw one.")
]
LatentSize = Annotated[Size, Field(description="Numbers of noise the generator starts from.")]
GeneratorLoss = Annotated[
    Literal["non_saturating", "minimax"],
    Field(description="softplus(−D(G(z))), or −softplus(D(G(z))) whose gradient fades as D wins."),
]
GeneratorRate = Annotated[float, Field(gt=0, le=1, description="Adam's learning rate for the generator.")]
DiscriminatorRate = Annotated[float, Field(gt=0, le=1, description="Adam's learning rate for the discriminator.")]
Beta1 = Annotated[float, Field(ge=0, lt=1, description="Adam's decay of the mean gradient.")]
Beta2 = Annotated[float, Field(ge=0, lt=1, description="Adam's decay of the squared gradient.")]
R1Weight = Annotated[
    float,
    Field(ge=0, le=1000, description="γ of the zero-centered gradient penalty on real images; 0 leaves it out."),
]
R1Every = Annotated[
    int,
    Field(ge=1, le=1000, description="The penalty is taken every so many steps, and weighs so many times as much."),
]
Cooldown = Annotated[
    float, Field(ge=0, le=1, description="Share of the run, at its end, over which the learning rates fall to 0.")
]
InitialDeviation = Annotated[
    float, Field(gt=0, le=1, description="Standard deviation of the convolutions' first weights.")
]
DiscriminatorNorm = Annotated[
    Literal["none", "batch"],
    Field(description="What follows the discriminator's inner convolutions: nothing, or BatchNorm."),
]
MismatchWeight = Annotated[
    float,
    Field(ge=0, le=10, description="Weight of real images under a wrong label as further fakes; 0 leaves them out."),
]
Hidden = Annotated[list[Size], Field(min_length=1, max_length=8, description="Widths of the hidden layers.")]
Width = Annotated[int, Field(ge=4, le=512, description="Channels nearest the image, in both networks.")]


@dataclass(frozen=True)
class DatasetFacts:
    """What can be said of a data set before a byte of it is read: images are square, `size` pixels, `channels` deep."""

    title: str
    size: int
    channels: int
    label_names: tuple[str, ...]
    license: str


DATASETS: Mapping[str, DatasetFacts] = {
    "mnist": DatasetFacts(
        "MNIST handwritten digits (LeCun, Cortes, Burges)", 28, 1, tuple("0123456789"), "CC BY-SA 3.0"
    ),
    "digits": DatasetFacts(
        "Optical recognition of handwritten digits (Alpaydin, Kaynak), as scikit-learn ships it",
        8,
        1,
        tuple("0123456789"),
        "CC BY 4.0",
    ),
}

DatasetName = Literal["mnist", "digits"]


def _share(parts: int, least: int) -> Any:
    """Default a cadence to one `parts`-th of the run, so that a long run does not drown in checkpoints."""
    return lambda data: max(least, data["total_steps"] // parts)


class Knobs(BaseModel):
    """The knobs that every family shares."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    PAPER: ClassVar[Mapping[str, Any]] = {}  # what `preset: paper` changes

    preset: Annotated[
        Literal["quick", "paper"],
        Field(description="Which defaults fill the knobs left out: what trains best here, or the published settings."),
    ] = "quick"
    dataset: Annotated[DatasetName, Field(description="The data set to learn.")] = "mnist"
    name: Annotated[Tag | None, Field(description="A name for people; need not be unique.")] = None
    tags: Annotated[dict[Tag, Tag], Field(max_length=20, description="Free key-value pairs to find the job by.")] = {}
    priority: Annotated[int, Field(ge=-100, le=100, description="Higher is claimed first; then the older.")] = 0
    max_attempts: Annotated[int, Field(ge=1, le=10, description="How often a retryable failure is tried.")] = 3
    total_steps: TotalSteps
    batch_size: BatchSize = 64
    seed: Seed = 0
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="`auto` takes a GPU where there is one.")] = (
        "auto"
    )
    threads: Annotated[
        Threads | Literal["auto"],
        Field(description="CPU threads of the trainer; part of the result, since their number changes the last bit."),
    ] = "auto"
    precision: Precision = "auto"
    deterministic: Annotated[bool, Field(description="On a GPU: repeatable to the bit, and slower.")] = False
    ema_decay: EmaDecay
    checkpoint_every: Annotated[
        Steps,
        Field(
            description="Steps between checkpoints; a twentieth of the run when left out.",
            default_factory=_share(20, 50),
        ),
    ]
    preview_every: Annotated[
        Steps,
        Field(
            description="Steps between fixed-noise previews; a twentieth of the run when left out.",
            default_factory=_share(20, 50),
        ),
    ]
    log_every: Annotated[
        Steps,
        Field(
            description="Steps between metric points; a two-hundredth of the run when left out.",
            default_factory=_share(200, 1),
        ),
    ]
    evaluate_every: Annotated[
        Annotated[int, Field(ge=0, le=10_000_000)] | None,
        Field(description="Steps between evaluations; 0 evaluates once at the end, null never."),
    ] = 0

    @model_validator(mode="before")
    @classmethod
    def fill_from_preset(cls, asked: Any) -> Any:
        """Fill the knobs left out from the paper's settings when those are asked for."""
        if isinstance(asked, dict) and asked.get("preset") == "paper":
            return {**cls.PAPER, **asked}
        return asked

    @property
    def serves_labels(self) -> bool:
        """Whether the generator can be asked for a label."""
        return False


class AdversarialKnobs(Knobs):
    """The knobs of a generator and a discriminator trained by Adam on the logistic loss."""

    latent_size: LatentSize = 100
    generator_loss: GeneratorLoss = "non_saturating"
    generator_learning_rate: GeneratorRate
    discriminator_learning_rate: DiscriminatorRate
    beta1: Beta1
    beta2: Beta2
    r1_weight: R1Weight
    r1_every: R1Every = 8
    cooldown: Cooldown = 0.0


class CganSpec(AdversarialKnobs):
    """Conditional GAN: fully connected networks that see the label beside their input."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "beta1": 0.9,
        "beta2": 0.999,
        "generator_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "total_steps": 100_000,
    }

    family: Literal["cgan"]
    total_steps: TotalSteps = 20_000
    precision: Precision = "fp32"
    hidden: Hidden = [128]
    ema_decay: EmaDecay = 0.999
    generator_learning_rate: GeneratorRate = 1e-3
    discriminator_learning_rate: DiscriminatorRate = 1e-3
    beta1: Beta1 = 0.5
    beta2: Beta2 = 0.999
    r1_weight: R1Weight = 0.0

    @property
    def serves_labels(self) -> bool:
        """Whether the generator can be asked for a label."""
        return True


class DcganSpec(AdversarialKnobs):
    """Deep convolutional GAN, with or without labels."""

    PAPER: ClassVar[Mapping[str, Any]] = {
        "width": 64,
        "batch_size": 128,
        "ema_decay": 0.0,
        "r1_weight": 0.0,
        "cooldown": 0.0,
        "mismatch_weight": 0.0,
        "initial_deviation": 0.02,
        "discriminator_norm": "batch",
        "beta1": 0.5,
        "beta2": 0.999,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "total_steps": 25_000,
    }

    family: Literal["dcgan"]
    total_steps: TotalSteps = 3_000
    width: Width = 32
    generator_width: Annotated[
        Width,
        Field(
            description="Channels nearest the image in the generator; as `width` when left out.",
            default_factory=lambda data: data["width"],
        ),
    ]
    conditional: Annotated[bool, Field(description="Learn and serve the data set's labels.")] = False
    conditioning: Annotated[
        Literal["projection", "concat"],
        Field(description="A class embedding and a projection discriminator, or the label beside every layer's input."),
    ] = "projection"
    embedding_size: Annotated[Size, Field(description="Width of the generator's class embedding.")] = 50
    initial_deviation: InitialDeviation = 0.05
    discriminator_norm: DiscriminatorNorm = "none"
    ema_decay: EmaDecay = 0.995
    generator_learning_rate: GeneratorRate = 3e-3
    discriminator_learning_rate: DiscriminatorRate = 3e-3
    beta1: Beta1 = 0.5
    beta2: Beta2 = 0.99
    r1_weight: R1Weight = 0.25
    cooldown: Cooldown = 0.7
    mismatch_weight: MismatchWeight = 0.1

    @model_validator(mode="after")
    def check_size(self) -> Self:
        """Raise ValueError unless the data set's images can be doubled up from 4 to 7 pixels."""
        size = DATASETS[self.dataset].size
        if not is_doubling(size):
            raise ValueError(f"dcgan draws squares of 4 to 7 pixels doubled, up to 256; {self.dataset} has {size}")
        return self

    @property
    def serves_labels(self) -> bool:
        """Whether the generator can be asked for a label."""
        return self.conditional


def is_doubling(size: int) -> bool:
    """Tell whether `size` is b·2^k pixels with 4 ≤ b ≤ 7, from 8 to 256."""
    if not 8 <= size <= 256:
        return False
    while size > 7 and size % 2 == 0:
        size //= 2
    return 4 <= size <= 7


Spec = Annotated[CganSpec | DcganSpec, Field(discriminator="family")]
SPEC: TypeAdapter[CganSpec | DcganSpec] = TypeAdapter(Spec)


@dataclass(frozen=True)
class FamilyFacts:
    """What the menu says of a family beside its knobs."""

    spec: type[Knobs]
    title: str
    paper: str
    url: str
    serves: tuple[str, ...]  # what a checkpoint answers: "images", "labels", …


FAMILIES: Mapping[str, FamilyFacts] = {
    "cgan": FamilyFacts(
        CganSpec,
        "Conditional GAN (fully connected)",
        "Mirza, Osindero: Conditional Generative Adversarial Nets, 2014",
        "https://arxiv.org/abs/1411.1784",
        ("images", "labels"),
    ),
    "dcgan": FamilyFacts(
        DcganSpec,
        "Deep convolutional GAN",
        "Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional GANs, 2015",
        "https://arxiv.org/abs/1511.06434",
        ("images", "labels"),
    ),
}
