"""The generator of a checkpoint for servers that know nothing of Ganymede: exported, so that PyTorch alone runs it."""

from collections.abc import Mapping
from pathlib import Path

import torch

from ganmodels import checkpoints
from ganmodels.export import sampler
from ganmodels.family import ImageShape
from ganmodels.specs import SPEC
from ganmodels.specs.knobs import AdversarialKnobs


def export(home: Path, target: Path) -> Mapping[str, str]:
    """Write the generator of the one checkpoint below `home`; return what a peer's environment says of it."""
    (card,) = home.glob("artifacts/jobs/*/attempt-*/checkpoints/*/card.json")
    files = {file.name: file.read_bytes() for file in card.parent.iterdir()}
    facts = checkpoints.verify(files)
    shape = ImageShape(facts["image"]["channels"], facts["image"]["size"], len(facts["label_names"]))
    spec = SPEC.validate_python(facts["spec"])
    assert isinstance(spec, AdversarialKnobs)
    network = sampler(spec, checkpoints.restore(files, spec, shape))
    example = (torch.zeros(3, facts["latent"]["size"]), torch.arange(3))
    axes = ({0: torch.export.Dim.DYNAMIC},) * 2
    torch.export.save(torch.export.export(network, example, dynamic_shapes=axes), target)
    return {"GENERATOR": str(target), "LATENT_SIZE": str(facts["latent"]["size"])}
