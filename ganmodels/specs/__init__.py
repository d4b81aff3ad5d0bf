"""The menu of families: what a job may ask for, its limits and its defaults. Loads no torch.

One declaration feeds the REST schema, the command line, the documentation and the trainer. Limits belong to named
types (`limits`), knobs that families share to groups (`knobs`), defaults to the family; `preset: paper` swaps a
family's defaults for its paper's.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, TypeAdapter

from ganmodels.specs import (
    acgan,
    catgan,
    cgan,
    classifier,
    convgan,
    dcgan,
    gan,
    hinge,
    lsgan,
    r3gan,
    sgan,
    wgan,
    wgan_gp,
)
from ganmodels.specs.acgan import AcganSpec
from ganmodels.specs.catgan import CatganSpec
from ganmodels.specs.cgan import CganSpec
from ganmodels.specs.classifier import ClassifierSpec
from ganmodels.specs.convgan import ConvganSpec
from ganmodels.specs.datasets import DATASETS, DatasetFacts, DatasetName
from ganmodels.specs.dcgan import DcganSpec
from ganmodels.specs.gan import GanSpec
from ganmodels.specs.hinge import HingeSpec
from ganmodels.specs.knobs import FamilyFacts, Knobs, answered
from ganmodels.specs.limits import TotalSteps
from ganmodels.specs.lsgan import LsganSpec
from ganmodels.specs.r3gan import R3ganSpec
from ganmodels.specs.sgan import SganSpec
from ganmodels.specs.wgan import WganSpec
from ganmodels.specs.wgan_gp import WganGpSpec

__all__ = [
    "DATASETS",
    "FAMILIES",
    "NUMERICS_VERSION",
    "SPEC",
    "DatasetFacts",
    "DatasetName",
    "FamilyFacts",
    "Knobs",
    "Spec",
    "TotalSteps",
    "answered",
]

# Rises when a code change moves any family's golden losses or averages: a running job is then refused, not changed.
NUMERICS_VERSION = 4

FAMILIES: Mapping[str, FamilyFacts] = {
    "catgan": catgan.FACTS,
    "cgan": cgan.FACTS,
    "dcgan": dcgan.FACTS,
    "convgan": convgan.FACTS,
    "gan": gan.FACTS,
    "wgan": wgan.FACTS,
    "wgan_gp": wgan_gp.FACTS,
    "lsgan": lsgan.FACTS,
    "hinge": hinge.FACTS,
    "acgan": acgan.FACTS,
    "r3gan": r3gan.FACTS,
    "sgan": sgan.FACTS,
    "classifier": classifier.FACTS,
}

AnySpec = (
    CatganSpec
    | CganSpec
    | DcganSpec
    | ConvganSpec
    | GanSpec
    | WganSpec
    | WganGpSpec
    | LsganSpec
    | HingeSpec
    | AcganSpec
    | R3ganSpec
    | SganSpec
    | ClassifierSpec
)
Spec = Annotated[AnySpec, Field(discriminator="family")]
SPEC: TypeAdapter[AnySpec] = TypeAdapter(Spec)
