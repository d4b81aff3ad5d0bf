"""Named types: every limit and meaning of a knob in one place, so that a family that overrides a default keeps both."""

from typing import Annotated, Literal

from pydantic import Field

Steps = Annotated[int, Field(ge=1, le=10_000_000)]
Size = Annotated[int, Field(ge=1, le=4096)]
Threads = Annotated[int, Field(ge=1, le=256)]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
HookUrl = Annotated[
    str,
    Field(
        max_length=2_000,
        pattern=r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])(:|/|$))[^\s\x00]*$",
        description="Where to: https, or http on the service's own machine.",
        examples=["https://example.org/ganymede"],
    ),
]
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
PreviewGrid = Annotated[
    str, Field(pattern=r"^[1-9][0-9]?x[1-9][0-9]?$", description="Rows `x` columns of a preview, 99x99 at most.")
]
EvaluateEvery = Annotated[
    Annotated[int, Field(ge=0, le=10_000_000)] | None,
    Field(
        description="Steps between evaluations on validation; 0 evaluates once at the end, on test alone, so that no "
        "checkpoint is known to be the best; null never."
    ),
]
EarlyStop = Annotated[
    Annotated[int, Field(ge=1, le=1000)] | None,
    Field(description="End the run after so many evaluations in a row without a better one; null never does."),
]
KeepCheckpoints = Annotated[
    int,
    Field(ge=1, le=10_000, description="How many of the newest checkpoints are kept, beside the best on validation."),
]
MaxMinutes = Annotated[
    Annotated[float, Field(gt=0, le=1_000_000)] | None,
    Field(description="End the run, with a checkpoint, once training has taken so long; null never does."),
]
OnDivergence = Annotated[
    Literal["fail", "rollback"],
    Field(
        description="What follows a number that is not finite: the end, or the last healthy checkpoint with fresh "
        "noise, three times at most."
    ),
]
DataFraction = Annotated[
    float, Field(gt=0, le=1, description="Share of the training images that the run may see, drawn by the seed.")
]
Measure = Literal["classification_accuracy_score", "memorization", "nearest_neighbor", "parzen"]
Measures = Annotated[
    list[Measure],
    Field(max_length=4, description="What else is measured on the test split at the end; each takes a minute or so."),
]

LatentSize = Annotated[int, Field(ge=1, le=65_536, description="Numbers of noise the generator starts from.")]
GeneratorLoss = Annotated[
    Literal["non_saturating", "minimax"],
    Field(description="softplus(−D(G(z))), or −softplus(D(G(z))) whose gradient fades as D wins."),
]
LearningRate = Annotated[float, Field(gt=0, le=1, description="The optimizer's learning rate.")]
GeneratorRate = Annotated[
    float, Field(ge=0, le=1, description="The generator's learning rate; 0 leaves it as it was drawn.")
]
DiscriminatorRate = Annotated[float, Field(gt=0, le=1, description="The discriminator's learning rate.")]
DiscriminatorSteps = Annotated[
    int, Field(ge=1, le=100, description="Discriminator updates in a step, each with images and noise of its own.")
]
Beta1 = Annotated[float, Field(ge=0, lt=1, description="Adam's decay of the mean gradient.")]
Beta2 = Annotated[float, Field(ge=0, lt=1, description="Adam's decay of the squared gradient.")]
R1Weight = Annotated[
    float,
    Field(ge=0, le=1000, description="γ of the zero-centered gradient penalty on real images; 0 leaves it out."),
]
R1Every = Annotated[
    int,
    Field(
        ge=1,
        le=1000,
        description="The penalty is taken at every so many of D's updates, and weighs so many times as much.",
    ),
]
PenaltyWeight = Annotated[float, Field(ge=0, le=1000, description="Weight of the gradient penalty.")]
Cooldown = Annotated[
    float, Field(ge=0, le=1, description="Share of the run, at its end, over which the learning rates fall to 0.")
]
Augment = Annotated[
    list[Literal["translation", "cutout", "color"]],
    Field(
        max_length=3,
        description="What is done to real and generated images alike before the discriminator sees them, "
        "differentiably (DiffAugment).",
    ),
]
Packing = Annotated[
    int, Field(ge=1, le=16, description="Images that the discriminator judges together, as one (PacGAN).")
]
PretrainSteps = Annotated[
    int, Field(ge=0, le=100_000, description="Discriminator updates before the two networks alternate, in step 1.")
]
InitialDeviation = Annotated[
    float, Field(gt=0, le=1, description="Standard deviation of the convolutions' first weights.")
]
DiscriminatorNorm = Annotated[
    Literal["none", "batch", "spectral"],
    Field(description="What keeps the discriminator's convolutions in bounds: nothing, BatchNorm or spectral norm."),
]
MismatchWeight = Annotated[
    float,
    Field(ge=0, le=10, description="Weight of real images under a wrong label as further fakes; 0 leaves them out."),
]
Hidden = Annotated[list[Size], Field(min_length=1, max_length=8, description="Widths of the hidden layers.")]
Width = Annotated[int, Field(ge=4, le=512, description="Channels nearest the image, in both networks.")]
Conditional = Annotated[bool, Field(description="Learn and serve the data set's labels.")]
Clip = Annotated[float, Field(gt=0, le=10, description="Largest magnitude of each of the critic's parameters.")]
Dropout = Annotated[float, Field(ge=0, lt=1, description="Share of the discriminator's activations left out.")]
LabelWeight = Annotated[float, Field(ge=0, le=1000, description="λ of the cross-entropy on labeled images.")]
