"""What serving takes and answers, as JSON."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.parameters import MOST, MOST_SCALE
from app.patterns import GRID, SLUG, TEXT, UUID
from app.serving.drawings import MOST_IMAGES, Format

LEAST_TRUNCATION, MOST_TRUNCATION = 0.04, 4
LISTED = Field(min_length=1, max_length=MOST_IMAGES, fail_fast=True)  # one fault says enough

Seed = Annotated[int, Field(ge=0, le=MOST)]
AnyLabel = Annotated[int, Field(ge=0, le=MOST)] | Annotated[str, Field(min_length=1, max_length=100, pattern=TEXT)]
LatentNumber = Annotated[float, Field(ge=-10, le=10)]


class SampledImage(BaseModel):
    """One generated image."""

    seed: Annotated[int | None, Field(description="Null where its latent vector was sent.")]
    index: Annotated[int, Field(description="`seed=` and `index=` ask for this image alone.")]
    label: int | None
    label_name: str | None
    confidence: Annotated[
        float | None, Field(description="p(label) where the model's class head chose the image; else null.")
    ]
    png: Annotated[str, Field(description="The PNG's bytes in base64.")]


class SampledPoint(BaseModel):
    """One generated point of the plane."""

    seed: Annotated[int | None, Field(description="Null where its latent vector was sent.")]
    index: Annotated[int, Field(description="`seed=` and `index=` ask for this point alone.")]
    label: int | None
    label_name: str | None
    point: Annotated[tuple[float, float], Field(description="x and y.")]


class SampleRequest(BaseModel):
    """Images to draw: one for each seed, label or latent vector."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seeds: Annotated[
        Annotated[list[Seed], LISTED] | None,
        Field(description="Image i is that of `GET /sample?seed=<seeds[i]>`, with `label=<labels[i]>` where sent."),
    ] = None
    labels: Annotated[
        Annotated[list[AnyLabel], LISTED] | None,
        Field(
            description="By index or name, one for each of `seeds` or `latents`. Alone, image i is that of "
            "`GET /sample?seed=<seed>&label=<labels[i]>&index=<i>`."
        ),
    ] = None
    latents: Annotated[
        Annotated[list[Annotated[list[LatentNumber], Field(min_length=1, fail_fast=True)]], LISTED] | None,
        Field(description="Vectors of the model's latent size. A generator that takes labels needs `labels` as well."),
    ] = None
    seed: Annotated[Seed | None, Field(description="For `labels` alone; drawn where left out: see `X-Seed`.")] = None
    truncation: Annotated[
        Annotated[float, Field(ge=LEAST_TRUNCATION, le=MOST_TRUNCATION)] | None,
        Field(description="As of `GET /sample`; not for `latents`."),
    ] = None
    format: Annotated[Format, Field(strict=False)] = Format.PNG
    grid: Annotated[
        Annotated[str, Field(pattern=GRID)] | None,
        Field(description="Rows `x` columns of a picture.", examples=["4x4"]),
    ] = None
    scale: Annotated[int, Field(ge=1, le=MOST_SCALE, description="Enlarge each pixel; not for `npz`.")] = 1
    job: Annotated[Annotated[str, Field(pattern=UUID)] | None, Field(description="The job that answers.")] = None
    model: Annotated[Annotated[str, Field(pattern=SLUG)] | None, Field(description="The model that answers.")] = None
    step: Annotated[
        Annotated[int, Field(ge=0, le=MOST)] | Literal["latest", "best"] | None,
        Field(description="Which checkpoint; `latest`, or what the model stands for, when left out."),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _few(cls, sent: object) -> object:
        """Refuse far more fields than there are as one fault: a million would keep every other request waiting."""
        if isinstance(sent, dict) and len(sent) > 2 * len(cls.model_fields):
            raise ValueError(f"Found {len(sent):,} fields. Allowed: {', '.join(sorted(cls.model_fields))}.")
        return sent


class SampleDocument(BaseModel):
    """Generated images, and what would draw the same again."""

    object: Literal["sample"] = "sample"
    job_id: str
    step: Annotated[int, Field(description="The step of the checkpoint that drew them.")]
    seed: Annotated[int | None, Field(description="Of all images; null where they have several, or none.")]
    truncation: Annotated[float | None, Field(description="How far from 0 the noise was allowed to be; null: any.")]
    images: Annotated[list[SampledImage | SampledPoint], Field(description="Points where the job learns points.")]


class ImagesDocument(BaseModel):
    """Images to look at."""

    model_config = ConfigDict(extra="forbid")

    images: Annotated[
        list[Annotated[str, Field(description="The bytes of a PNG, JPEG or WebP in base64.")]],
        Field(
            min_length=1, max_length=64, description="Each of 2 MB and a megapixel at most, and of the model's size."
        ),
    ]


class Classification(BaseModel):
    """What one image shows."""

    label: Annotated[int, Field(description="The likeliest label's index.")]
    label_name: str
    probability: Annotated[float, Field(description="The likeliest label's.")]
    probabilities: Annotated[
        dict[str, float],
        Field(
            description="Each label's, by name. What is missing to 1 belongs to clusters that no label was given to."
        ),
    ]


class ClassificationDocument(BaseModel):
    """What images show, in the order they came in."""

    object: Literal["classification"] = "classification"
    job_id: str
    step: Annotated[int, Field(description="The step of the checkpoint that classified them.")]
    results: list[Classification]


class Score(BaseModel):
    """How real one image looks."""

    logit: Annotated[float, Field(description="The discriminator's answer: the higher, the more real.")]
    probability: Annotated[
        float | None,
        Field(description="1 / (1 + exp(−logit)); null where the logit is no log-odds, as a critic's is not."),
    ]


class ScoreDocument(BaseModel):
    """How real images look, in the order they came in."""

    object: Literal["score"] = "score"
    job_id: str
    step: Annotated[int, Field(description="The step of the checkpoint that scored them.")]
    results: list[Score]
