"""What a `catgan` job may ask for."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ganmodels.specs import limits
from ganmodels.specs.datasets import DATASETS, DatasetFacts
from ganmodels.specs.knobs import AdamKnobs, FamilyFacts, Labeled, LabeledKnobs, PerClass, why_not_doubling

Noise = Annotated[float, Field(ge=0, le=10)]


class CatganSpec(AdamKnobs, LabeledKnobs):
    """Categorical GAN: a discriminator that is sure of real images, in even classes, and unsure of generated ones."""

    SERVES: ClassVar[tuple[str, ...]] = ("images", "classes")
    JUDGED_BY: ClassVar[tuple[str, ...]] = ("error_rate",)
    PAPER: ClassVar[Mapping[str, Any]] = {
        "augment": [],
        "ema_decay": 0.0,
        "cooldown": 0.0,
        "consistency_weight": 0.0,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "input_noise": 0.05,
        "layer_noise": 0.05,
        "total_steps": 100_000,
    }
    CONV: ClassVar[Mapping[str, Any]] = {  # what `network: conv` changes, in either preset
        "augment": [],
        "consistency_weight": 0.0,
        "batch_size": 4,
        "total_steps": 2_000,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "input_noise": 0.05,
        "layer_noise": 0.05,
        "preview_grid": "4x4",
    }

    family: Literal["catgan"]
    total_steps: limits.TotalSteps = 20_000
    batch_size: limits.BatchSize = 100
    network: Annotated[
        Literal["mlp", "conv"], Field(description="The paper's fully connected networks, or convolutions with ELU.")
    ] = "mlp"
    generator: Annotated[
        Literal["strided", "noise_image"],
        Field(description="Of `conv`: doubling layers, or same-size convolutions over noise as large as the image."),
    ] = "strided"
    width: Annotated[
        int,
        # A row of ELUs that is no multiple of 16 long would round differently with the batch in ONNX Runtime.
        Field(ge=16, le=128, multiple_of=16, description="Channels nearest the image, of `conv`."),
    ] = 16
    clusters: Annotated[
        int | None,
        Field(ge=2, le=1000, description="The discriminator's classes; as many as the data's when left out."),
    ] = None
    labeled: Labeled = PerClass(per_class=10)
    label_weight: limits.LabelWeight = 1.0
    marginal_weight: Annotated[
        float, Field(ge=0, le=100, description="Weight of D's classes being even over the real images of a batch.")
    ] = 1.0
    consistency_weight: Annotated[
        float,
        Field(ge=0, le=100, description="Weight of D's two answers to an image, disturbed twice, being the same."),
    ] = 0.3
    weight_decay: Annotated[
        float, Field(ge=0, le=1, description="Share of each parameter that is added to its gradient (L2).")
    ] = 1e-5
    input_noise: Annotated[Noise, Field(description="Deviation of the Gaussian noise on the images D learns from.")] = (
        0.1
    )
    layer_noise: Annotated[Noise, Field(description="Deviation of the Gaussian noise on D's hidden layers.")] = 0.1
    latent_size: limits.LatentSize = 128
    ema_decay: limits.EmaDecay = 0.999
    generator_learning_rate: limits.GeneratorRate = 1e-3
    discriminator_learning_rate: limits.DiscriminatorRate = 1e-3
    augment: limits.Augment = ["translation"]
    cooldown: limits.Cooldown = 0.5
    beta1: limits.Beta1 = 0.5
    beta2: limits.Beta2 = 0.999

    @classmethod
    def defaults(cls, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give those of the network and preset that are asked for; noise as large as the image needs its latents."""
        chosen = dict(super().defaults(asked))
        if asked.get("network") == "conv":
            chosen |= cls.CONV
            chosen |= {"generator": "noise_image"} if asked.get("preset") == "paper" else {}
        elif asked.get("labeled") == "none" and asked.get("preset") != "paper":
            chosen["marginal_weight"] = 2.0  # clusters that nobody names starve (docs/experiments.md)
        dataset = asked.get("dataset", "mnist")
        facts = DATASETS[dataset] if dataset in list(DATASETS) else None  # any other name is refused by name, later
        if facts is not None and asked.get("generator", chosen.get("generator")) == "noise_image":
            chosen["latent_size"] = facts.size**2
        if facts is not None and facts.kind == "points":
            chosen["augment"] = []
        return chosen

    @model_validator(mode="after")
    def check_outputs(self) -> Self:
        """Raise ValueError for outputs that labels cannot name, or a batch that says nothing of the whole."""
        facts = DATASETS[self.dataset]
        if self.labeled != "none" and self.clusters not in (None, len(facts.label_names)):
            raise ValueError(f"with labels there are as many classes, {len(facts.label_names)}: leave clusters out")
        if self.batch_size < 2:
            raise ValueError("the entropy of the classes is estimated on the batch: batch_size must be 2 or more")
        if self.packing > 1:
            raise ValueError("the discriminator classifies single images: packing must be 1")
        return self

    @model_validator(mode="after")
    def check_generator(self) -> Self:
        """Raise ValueError for an image of noise without convolutions, or of another size than the images."""
        if self.generator == "noise_image":
            pixels = DATASETS[self.dataset].size ** 2
            if self.network != "conv":
                raise ValueError("generator noise_image is made of convolutions: ask for network conv")
            if self.latent_size != pixels:
                raise ValueError(f"noise_image starts from one number per pixel: latent_size must be {pixels}")
        return self

    def why_unfit(self, facts: DatasetFacts) -> str | None:
        """Fully connected networks take any image, and points too; convolutions what doubles to its size."""
        if self.network == "mlp":
            return None
        if reason := super().why_unfit(facts):
            return reason
        return why_not_doubling(facts.size)

    @property
    def labels_from(self) -> Literal["generator", "classes"] | None:
        """The classes, which pick images."""
        return "classes"

    @property
    def names_clusters(self) -> bool:
        """Without labels the classes are clusters."""
        return self.labeled == "none"


FACTS = FamilyFacts(
    CatganSpec,
    "Categorical GAN",
    "Springenberg: Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks, 2016",
    "https://arxiv.org/abs/1511.06390",
    ("images", "labels", "classes"),
)
