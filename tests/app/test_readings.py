"""Images sent to be classified and scored: what is answered, and by which job."""

import base64
import io
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from tests.app.world import SIZE, Head, World, tiny_discriminator

BOTH = Head(classes=(0, 1, 2, 3), scores=True)
CONDITIONAL = Head(scores=True, needs_label=True)


def shades(seed: int = 0, channels: int = 1) -> NDArray[np.uint8]:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, channels), np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def encoded(pixels: NDArray[Any] | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(target, kind, **options)
    return target.getvalue()


def send(client: TestClient, content: bytes, kind: str = "image/png", path: str = "/classify", **query: Any) -> Any:
    return client.post(path, params=query, content=content, headers={"Content-Type": kind})


def listed(*contents: bytes) -> dict[str, list[str]]:
    return {"images": [base64.b64encode(content).decode() for content in contents]}


def expected(step: int, head: Head, *pictures: NDArray[np.uint8], **inputs: Any) -> list[NDArray[np.float32]]:
    """Run the very network that the world wrote, without any code of the service."""
    session = onnxruntime.InferenceSession(tiny_discriminator(step, head), providers=["CPUExecutionProvider"])
    images = np.stack([picture[None] for picture in pictures]).astype(np.float32) / 255
    found: list[NDArray[np.float32]] = session.run(None, {"images": images, **inputs})
    return found


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64))
    found: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return found


def test_an_image_is_classified_as_the_network_has_it(client: TestClient, world: World) -> None:
    job = world.trained(100, labels=0, head=BOTH)
    answer = send(client, encoded(shades()))
    assert answer.status_code == 200, answer.text
    probabilities = softmax(expected(100, BOTH, shades())[0])[0]
    document = answer.json()
    assert (document["object"], document["job_id"], document["step"]) == ("classification", job.id, 100)
    assert (answer.headers["X-Job-ID"], answer.headers["X-Checkpoint-Step"]) == (job.id, "100")
    (result,) = document["results"]
    assert list(result["probabilities"]) == [str(label) for label in range(10)]
    told = list(result["probabilities"].values())
    assert np.allclose(told, [*probabilities, *[0] * 6], atol=1e-6)
    assert (result["label"], result["label_name"]) == (int(probabilities.argmax()), str(probabilities.argmax()))
    assert result["probability"] == max(told)


def test_an_image_is_scored_as_the_network_has_it(client: TestClient, world: World) -> None:
    job = world.trained(100, labels=0, head=BOTH)
    pictures = [shades(seed) for seed in range(5)]
    answer = client.post("/score", json=listed(*map(encoded, pictures)))
    assert answer.status_code == 200, answer.text
    logits = expected(100, BOTH, *pictures)[1]
    document = answer.json()
    assert (document["object"], document["job_id"], document["step"]) == ("score", job.id, 100)
    assert np.allclose([result["logit"] for result in document["results"]], logits, atol=1e-6)
    assert np.allclose([result["probability"] for result in document["results"]], 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert len({result["logit"] for result in document["results"]}) == 5


def test_a_critics_score_is_no_probability(client: TestClient, world: World) -> None:
    critic = Head(scores=True, odds=False)
    world.trained(100, labels=0, head=critic)
    (result,) = send(client, encoded(shades()), path="/score").json()["results"]
    assert result["probability"] is None
    assert result["logit"] == pytest.approx(float(expected(100, critic, shades())[0][0]), abs=1e-6)


def test_a_conditional_discriminator_is_told_the_label(client: TestClient, world: World) -> None:
    world.trained(100, head=CONDITIONAL)
    image = encoded(shades())
    for label in (0, 7):
        (result,) = send(client, image, path="/score", label=label).json()["results"]
        logits = expected(100, CONDITIONAL, shades(), label=np.array([label]))
        assert result["logit"] == pytest.approx(float(logits[0][0]), abs=1e-6)
    without = send(client, image, path="/score")
    assert without.status_code == 422
    assert without.json()["errors"][0]["pointer"] == "/label"
    assert send(client, image, path="/score", label=11).status_code == 422


def test_a_label_means_nothing_to_a_discriminator_that_knows_none(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    answer = send(client, encoded(shades()), path="/score", label=1)
    assert answer.status_code == 422
    assert "leave `label` out" in answer.json()["errors"][0]["detail"]


def test_a_conditional_discriminator_with_a_class_head_classifies_without_a_label(
    client: TestClient, world: World
) -> None:
    head = Head(classes=(0, 1, 2), scores=True, needs_label=True)
    world.trained(100, head=head)
    (result,) = send(client, encoded(shades())).json()["results"]
    logits = expected(100, head, shades(), label=np.array([5]))[0]
    assert np.allclose(list(result["probabilities"].values())[:3], softmax(logits)[0], atol=1e-6)


def test_outputs_of_the_same_label_count_together_and_nameless_ones_not_at_all(
    client: TestClient, world: World
) -> None:
    head = Head(classes=(4, None, 4, 2))
    world.trained(100, labels=0, head=head)
    outputs = softmax(expected(100, head, shades())[0])[0]
    (result,) = send(client, encoded(shades())).json()["results"]
    assert result["probabilities"]["4"] == pytest.approx(outputs[0] + outputs[2], abs=1e-6)
    assert result["probabilities"]["2"] == pytest.approx(outputs[3], abs=1e-6)
    assert sum(result["probabilities"].values()) == pytest.approx(1 - outputs[1], abs=1e-6)


def test_a_classifier_classifies_and_draws_nothing(client: TestClient, world: World) -> None:
    drawing = world.trained(100)
    held = world.start()
    world.classifier(held, 50, Head(classes=tuple(range(10))))
    assert send(client, encoded(shades())).json()["job_id"] == held.job.id
    assert client.get("/sample").headers["X-Job-ID"] == drawing.id
    refused = client.get("/sample", params={"job": held.job.id})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/job"
    assert "it can classify images (`POST /classify`)" in refused.json()["detail"]


@pytest.mark.parametrize(("path", "lacking"), [("/classify", "classify"), ("/score", "score")])
def test_a_job_that_cannot_says_what_it_can(client: TestClient, world: World, path: str, lacking: str) -> None:
    job = world.trained(100)
    answer = send(client, encoded(shades()), path=path, job=job.id)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == "/job"
    assert f"cannot {lacking} images" in fault["detail"]
    assert "it can draw images (`GET /sample`) and draw images of a given label" in fault["detail"]


def test_without_a_job_the_newest_that_can_answers(client: TestClient, world: World) -> None:
    able = world.trained(100, labels=0, head=BOTH)
    scoring = world.trained(100, labels=0, head=Head(scores=True))
    world.trained(100)
    assert send(client, encoded(shades())).json()["job_id"] == able.id
    assert send(client, encoded(shades()), path="/score").json()["job_id"] == scoring.id
    assert send(client, encoded(shades()), path="/score", job=able.id).json()["job_id"] == able.id


def test_without_any_job_that_can_nothing_is_found(client: TestClient, world: World) -> None:
    world.trained(100)
    answer = send(client, encoded(shades()))
    assert answer.status_code == 404
    assert "GET /families" in answer.json()["detail"]


def test_steps_go_back_in_time_and_damage_falls_back(client: TestClient, world: World) -> None:
    job = world.trained(100, 200, labels=0, head=BOTH)
    image = encoded(shades())
    old, new = (send(client, image, step=step).json() for step in (100, 200))
    assert old["results"] != new["results"]
    assert send(client, image).json() == new
    client.app.state.resources.graphs._kept.clear()  # type: ignore[attr-defined]  # what a restart does
    world.damage(job, 200, "discriminator.onnx")
    assert send(client, image).json() == old
    pinned = send(client, image, step=200)
    assert pinned.status_code == 503
    assert "discriminator.onnx of step 200 is damaged" in pinned.json()["detail"]
    assert send(client, image, step=101).status_code == 404


def test_a_network_that_has_diverged_says_so(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=Head(classes=(0, 1), scores=True, sharpness=float("nan")))
    answer = send(client, encoded(shades()))
    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":not-finite")
