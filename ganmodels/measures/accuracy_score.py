"""Whether a classifier that saw generated images alone can read real ones.

The classification accuracy score (Ravuri, Vinyals 2019), https://arxiv.org/abs/1905.10887.

Deviation: the classifier is this project's judge, trained as it is on real images, where the paper has a ResNet-50.
"""

import torch

from ganmodels import draws
from ganmodels.classifier import Classifier, Network, fit
from ganmodels.datasets import ImageSet
from ganmodels.draws import Purpose
from ganmodels.family import ImageShape


def classification_accuracy_score(generated: ImageSet, test: ImageSet, seed: int, threads: int) -> float:
    """Train on generated images and the labels they were asked for; give the accuracy on real images.

    The score of as many real images is what to compare it with. The same images, seed and number of threads give the
    same score; torch is left with that number. Raises ValueError when the two sets have different labels.
    """
    if generated.label_names != test.label_names:
        raise ValueError(f"generated labels {generated.label_names}, expected {test.label_names}")
    torch.set_num_threads(threads)
    _, channels, size, _ = generated.images.shape
    shape = ImageShape(channels, size, len(generated.label_names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws.number(seed, 0, 0, Purpose.CLASSIFIER_WEIGHTS))
        network = Network(shape)
    fit(network, generated)
    _, read = Classifier(network.eval(), shape).judge(test.images.float() / 255)
    return float((read == test.labels).double().mean())
