"""What serving takes and answers, as JSON."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class SampledImage(BaseModel):
    """One generated image."""

    index: Annotated[int, Field(description="`index=` asks for this image alone.")]
    label: int | None
    label_name: str | None
    confidence: Annotated[
        float | None, Field(description="p(label) where the model's class head chose the image; else null.")
    ]
    png: Annotated[str, Field(description="The PNG's bytes in base64.")]


class SampledPoint(BaseModel):
    """One generated point of the plane."""

    index: Annotated[int, Field(description="`index=` asks for this point alone.")]
    label: int | None
    label_name: str | None
    point: Annotated[tuple[float, float], Field(description="x and y.")]


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
