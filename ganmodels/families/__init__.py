"""Every family there is. Adding one is one file and one line here."""

from ganmodels.families import (
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
from ganmodels.family import Family

FAMILIES: dict[str, Family] = {
    "catgan": catgan.FAMILY,
    "cgan": cgan.FAMILY,
    "dcgan": dcgan.FAMILY,
    "convgan": convgan.FAMILY,
    "gan": gan.FAMILY,
    "wgan": wgan.FAMILY,
    "wgan_gp": wgan_gp.FAMILY,
    "lsgan": lsgan.FAMILY,
    "hinge": hinge.FAMILY,
    "acgan": acgan.FAMILY,
    "r3gan": r3gan.FAMILY,
    "sgan": sgan.FAMILY,
    "classifier": classifier.FAMILY,
}
