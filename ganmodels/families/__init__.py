"""Every family there is. Adding one is one file and one line here."""

from ganmodels.families import cgan, dcgan
from ganmodels.family import Family

FAMILIES: dict[str, Family] = {
    "cgan": cgan.FAMILY,
    "dcgan": dcgan.FAMILY,
}
