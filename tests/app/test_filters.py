"""Labels from a generator that takes none: its own class head chooses among candidates."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from app.serving import filters, latents
from app.serving.filters import LEAST_CONFIDENCE, MOST_CANDIDATES
from tests.app.world import LATENT, Head, World

THREE = Head(classes=(0, 1, 2))
BLIND = Head(classes=(0, 1, 2), sharpness=0.0)


def sample(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/sample", params={"format": "json", **query})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def pixels(image: dict[str, Any]) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image["png"]))))


def classified(client: TestClient, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = client.post("/classify", json={"images": [image["png"] for image in images]})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_every_image_shows_the_label_asked_for_and_says_how_surely(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=THREE)
    unlabeled = classified(client, sample(client, n=32, seed=5)["images"])
    assert len({found["label"] for found in unlabeled}) == 3
    for label in range(3):
        images = sample(client, n=32, seed=5, label=label)["images"]
        assert {image["label"] for image in images} == {label}
        for image, found in zip(images, classified(client, images), strict=True):
            assert found["label"] == label
            assert found["probability"] >= LEAST_CONFIDENCE
            assert image["confidence"] == pytest.approx(found["probability"], abs=1e-6)


def test_the_first_candidate_that_is_sure_is_taken(client: TestClient, world: World) -> None:
    """Find it here by trying one after the other, through a second door: `/classify` on images of the same noise."""
    world.trained(100, labels=0, head=THREE)
    plain = sample(client, n=16, seed=5)["images"]
    for image, found in zip(plain, classified(client, plain), strict=True):
        chosen = sample(client, index=image["index"], seed=5, label=1)["images"][0]
        sure = found["label"] == 1 and found["probability"] >= LEAST_CONFIDENCE
        assert (chosen["png"] == image["png"]) is sure, image["index"]


def test_an_image_does_not_depend_on_those_beside_it(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=THREE)
    together = sample(client, n=16, seed=9, label=2)["images"]
    for index in range(16):
        assert sample(client, index=index, seed=9, label=2)["images"] == [together[index]]
    assert len({image["png"] for image in together}) == 16


def test_the_lowest_confidence_is_told(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=THREE)
    images = sample(client, n=8, seed=1, label=1)["images"]
    answer = client.get("/sample?n=8&seed=1&label=1")
    assert answer.headers["X-Label"] == "1"
    assert answer.headers["X-Label-Confidence"] == f"{min(image['confidence'] for image in images):.6f}"


def test_without_a_label_none_is_drawn_and_no_confidence_told(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=THREE)
    answer = client.get("/sample?seed=1")
    assert not {"X-Label", "X-Label-Confidence"} & set(answer.headers)
    image = sample(client, seed=1)["images"][0]
    assert (image["label"], image["label_name"], image["confidence"]) == (None, None, None)
    arrays = np.load(io.BytesIO(client.get("/sample?n=3&seed=1&format=npz").content), allow_pickle=False)
    assert list(arrays["labels"]) == [-1, -1, -1]


def test_when_no_candidate_is_sure_the_answer_says_how_many_were_tried(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BLIND)
    assert client.get("/sample?seed=1").status_code == 200
    answer = client.get("/sample?seed=1&label=2")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith(":label-not-found")
    assert f"{MOST_CANDIDATES} candidates" in answer.json()["detail"]
    assert "the best has 0.3333" in answer.json()["detail"]


def test_clusters_of_one_label_count_together(client: TestClient, world: World) -> None:
    """Six equal clusters, of which the label has one, three or all: only where it has all is anything sure."""
    for classes, status in (((0, 1, 2, 3, 4, None), 503), ((0, 0, 0, 1, 2, None), 503), ((0,) * 6, 200)):
        world.trained(100, labels=0, head=Head(classes=classes, sharpness=0.0))
        answer = client.get("/sample?seed=1&label=0")
        assert answer.status_code == status, classes
        image = sample(client, seed=1)["images"]
        share = sum(label == 0 for label in classes) / 6
        assert classified(client, image)[0]["probabilities"]["0"] == pytest.approx(share)


def test_only_labels_that_a_cluster_was_named_after_can_be_asked_for(client: TestClient, world: World) -> None:
    job = world.trained(100, labels=0, head=Head(classes=(3, None, 5, 3)))
    assert client.get("/sample?seed=1&label=5").status_code == 200
    answer = client.get("/sample?seed=1&label=4")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/label", "detail": f'Job {job.id} has no label "4". Allowed: 3, 5.'},
    ]


@pytest.mark.parametrize("file", ["generator.onnx", "discriminator.onnx"])
def test_either_network_damaged_falls_back_to_the_checkpoint_before(
    client: TestClient, world: World, file: str
) -> None:
    job = world.trained(100, 200, labels=0, head=THREE)
    whole = client.get("/sample?seed=1&label=1&step=100")
    world.damage(job, 200, file)
    answer = client.get("/sample?seed=1&label=1")
    assert (answer.status_code, answer.headers["X-Checkpoint-Step"]) == (200, "100")
    assert answer.content == whole.content
    pinned = client.get("/sample?seed=1&label=1&step=200")
    assert pinned.status_code == 503
    assert f"{file} of step 200 is damaged" in pinned.json()["detail"]
    needed = file == "generator.onnx"
    assert client.get("/sample?seed=1&step=200").status_code == (503 if needed else 200)


def test_an_entity_tag_changes_with_the_discriminator_where_it_chooses(client: TestClient, world: World) -> None:
    held, seen = world.start(), []
    for head in (THREE, Head(classes=(0, 1, 2), sharpness=100.0)):
        world.checkpoint(held, 100, labels=0, head=head)
        seen.append([client.get(f"/sample?seed=1{label}").headers["ETag"] for label in ("", "&label=1")])
    (plain, labeled), (plain_again, labeled_again) = seen
    assert plain == plain_again
    assert labeled != labeled_again
    assert client.get("/sample?seed=1&label=1", headers={"If-None-Match": labeled_again}).status_code == 304


def test_a_candidate_that_its_head_knows_only_where_it_stands_is_passed_over() -> None:
    class Dots:
        """Draws a dot of a pixel, then one of nine."""

        def draw(self, noise: NDArray[np.float32], labels: None) -> NDArray[np.uint8]:
            images = np.zeros((len(noise), 28, 28, 1), np.uint8)
            images[0, 10, 10] = 255
            images[1:, 9:12, 9:12] = 255
            return images

    class Spot:
        """Is sure where one pixel is lit."""

        def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
            return images[:, 10, 10] / 255

    image, confidence = filters.choose(Dots(), Spot(), (5, 3), 0, LATENT, None)  # type: ignore[arg-type]
    assert (image.sum(), confidence) == (9 * 255, 1.0)


def test_the_first_candidate_has_the_image_s_own_noise_and_every_other_its_own() -> None:
    tried = latents.candidates((5, 3), range(100), LATENT)
    assert np.array_equal(tried[:1], latents.noise([(5, 3)], LATENT))
    assert len(np.unique(tried, axis=0)) == 100
    assert np.array_equal(tried[40:48], latents.candidates((5, 3), range(40, 48), LATENT))
    assert not np.isin(tried, latents.candidates((5, 4), range(100), LATENT)).any()
