"""The judge's own process: trains a data set's classifier once for all jobs, beside the run that will ask for it.

Started by a training child, with which it ends; it reports nothing and leaves one file among the artifacts.
"""

import subprocess
import sys
import threading
from pathlib import Path

import torch

from ganmodels import classifier
from ganmodels.classifier import Classifier
from ganmodels.datasets import Dataset, load
from ganmodels.specs.knobs import AdversarialKnobs, Knobs
from store.artifacts import Artifacts
from store.errors import ArtifactNotFound
from worker.child import end_with_parent

THREADS = 1  # part of the result: a judge must not depend on how many CPUs its first job was given


class Judge:
    """The classifier of one data set: read from the artifacts, or on its way there."""

    @classmethod
    def of(cls, spec: Knobs, dataset: Dataset, artifacts: Artifacts, data_dir: str) -> "Judge | None":
        """Find who judges a job's images; None where there are none to judge, or nobody will ask."""
        if spec.evaluate_every is None or not isinstance(spec, AdversarialKnobs) or dataset.facts.kind == "points":
            return None
        judged_as = dataset.facts.judged_as
        return cls(load(judged_as, Path(data_dir)) if judged_as else dataset, artifacts, data_dir)

    def __init__(self, dataset: Dataset, artifacts: Artifacts, data_dir: str) -> None:
        """Start to train it, in a process of its own, unless it is there."""
        self._dataset = dataset
        self._artifacts = artifacts
        self._process: subprocess.Popen[bytes] | None = None
        if find(dataset, artifacts) is None:
            command = [sys.executable, "-m", "worker.judge", dataset.name, data_dir, artifacts.url]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr)

    def await_classifier(self) -> Classifier:
        """Return the classifier, waiting for it; train it here where its process has died."""
        if self._process is not None:
            self._process.wait()
        return find(self._dataset, self._artifacts) or train(self._dataset, self._artifacts)


def find(dataset: Dataset, artifacts: Artifacts) -> Classifier | None:
    """Read the classifier of these very images, if it has been trained."""
    try:
        return classifier.unpack(artifacts.get(_path(dataset)))
    except ArtifactNotFound:
        return None


def train(dataset: Dataset, artifacts: Artifacts) -> Classifier:
    """Train the classifier and keep it; whoever does so at the same time writes the same bytes."""
    threads = torch.get_num_threads()
    trained = classifier.train_classifier(dataset, THREADS)
    torch.set_num_threads(threads)  # those that the run asks for
    artifacts.put(_path(dataset), classifier.pack(trained))
    return trained


def _path(dataset: Dataset) -> str:
    return f"classifiers/{dataset.digest}-v{classifier.VERSION}.safetensors"


def main() -> None:
    """Train the judge of the data set named on the command line."""
    name, data_dir, artifacts = sys.argv[1:]
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    train(load(name, Path(data_dir)), Artifacts(artifacts))


if __name__ == "__main__":
    main()
