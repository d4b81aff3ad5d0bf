"""How many images show the label that was asked for: `python -m benchmarks.labels --url URL [--images N]`.

Asks every job of a service that draws labels for images of each, and a supervised classifier of the same service, which
never saw a GAN, what they show. The classifier is its newest `classifier` job of the same data set; it is trained first
where there is none, and its accuracy on test is printed beside.
"""

import argparse
import base64
import io
import math
import statistics
from collections.abc import Iterator

import httpx
import numpy as np
from PIL import Image

from ganymede import ApiError, Client, Job

BATCH = 64  # images in one request to classify
SURE_OF_NONE = 503


def main() -> None:
    """Print a line for each job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="a service with trained jobs")
    parser.add_argument("--images", type=int, default=100, help="of each label")
    asked = parser.parse_args()
    with Client(asked.url) as client:
        jobs = [job for job in client.jobs(state="succeeded", limit=100).data if job.spec["family"] != "classifier"]
        for job in jobs:
            try:
                told(client, job, asked.images)
            except ApiError as refusal:
                print(f"{family(job)} {job.id}  {refusal}")


def told(client: Client, job: Job, images: int) -> None:
    """Print how much of what one job draws is read as it was asked for, how sure its own head was, what it refused."""
    reader = classifier(client, job.spec["dataset"])
    shares: dict[int, float] = {}
    least, refused = 1.0, 0
    for label in range(10):
        drawn = []
        for seed in range(images):
            try:
                sample = client.sample(label=label, seed=seed, job=job.id, format="npz")
            except ApiError as refusal:
                if refusal.status != SURE_OF_NONE:
                    raise
                refused += 1
                continue
            drawn.append(np.load(io.BytesIO(sample.content))["images"])
            least = min(least, 1.0 if sample.confidence is None else sample.confidence)
        if drawn:
            shares[label] = statistics.mean(found == label for found in read(client, reader.id, np.concatenate(drawn)))
    each = " ".join(f"{100 * shares[label]:.0f}" if label in shares else "none" for label in range(10))
    share = 100 * statistics.mean(shares.values()) if shares else math.nan
    print(
        f"{family(job)} {job.id}  {share:.2f} %  (of each label: {each})  sure from {least:.3f}, refused {refused}",
        flush=True,
    )


def family(job: Job) -> str:
    """Return the family's name, as wide as most."""
    return f"{job.spec['family']:10}"


def read(client: Client, reader: str, images: np.ndarray) -> Iterator[int]:
    """Yield the label that a classifier sees in each image."""
    for first in range(0, len(images), BATCH):
        body = {"images": [png(image) for image in images[first : first + BATCH]]}
        answer = httpx.post(f"{client.url}/classify", params={"job": reader}, json=body, timeout=60, trust_env=False)
        answer.raise_for_status()
        yield from (result["label"] for result in answer.json()["results"])


def png(image: np.ndarray) -> str:
    """Encode bytes (H, W, C) as PNG in base64."""
    target = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


def classifier(client: Client, dataset: str) -> Job:
    """Return the newest trained classifier of a data set, a new one where there is none."""
    found = client.jobs(state="succeeded", family="classifier", dataset=dataset, limit=1).data
    if found:
        return found[0]
    job = client.wait(client.submit(family="classifier", dataset=dataset).id)
    print(f"trained a classifier, whose accuracy on test is {100 * (job.metrics.get('test_accuracy') or 0):.2f} %")
    return job


if __name__ == "__main__":
    main()
