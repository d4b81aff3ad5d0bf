"""Images sent to be classified and scored: what is answered, and what is refused before it can do harm."""

import base64
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from app.requests import MOST_BODY_BYTES, MOST_UPLOAD_BYTES
from app.routes.readings import EXAMPLE
from app.serving.uploads import MOST_BYTES, MOST_IMAGES, MOST_PIXELS
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


def test_an_image_is_the_same_whatever_it_came_in(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    grey = shades()
    rgb = np.stack([grey] * 3, axis=-1)
    alpha = np.concatenate([rgb, np.full((SIZE, SIZE, 1), 255, np.uint8)], axis=-1)
    sixteen = grey.astype(np.uint16) << 8
    whole = send(client, encoded(grey)).json()["results"]
    for content, kind in (
        (encoded(rgb), "image/png"),
        (encoded(alpha), "image/png"),
        (encoded(sixteen), "image/png"),
        (encoded(Image.fromarray(grey).convert("P")), "image/png"),
        (encoded(rgb, "WEBP", lossless=True), "image/webp"),
        (encoded(alpha, "WEBP", lossless=True), "IMAGE/WEBP; x=y"),
    ):
        answer = send(client, content, kind)
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"] == whole
    lossy = send(client, encoded(grey, "JPEG", quality=100), "image/jpeg").json()["results"]
    assert lossy[0]["probability"] == pytest.approx(whole[0]["probability"], abs=0.1)
    many = client.post("/classify", json=listed(*[encoded(grey)] * 3)).json()["results"]
    assert many == whole * 3


def test_what_is_transparent_is_black(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    ink = np.zeros((SIZE, SIZE, 4), np.uint8)
    ink[..., :3] = 255
    ink[2:5, 2:5, 3] = 255
    answer = send(client, encoded(ink), path="/score").json()["results"]
    assert answer == send(client, encoded(ink[..., 3]), path="/score").json()["results"]
    assert answer != send(client, encoded(ink[..., 0]), path="/score").json()["results"]


def test_color_reaches_a_model_of_color_and_grey_is_grey_there(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100, labels=0, channels=3, head=BOTH)
    color = shades(1, channels=3)
    session = onnxruntime.InferenceSession(tiny_discriminator(100, BOTH, 3), providers=["CPUExecutionProvider"])
    for sent, seen in ((color, color), (shades(), np.stack([shades()] * 3, axis=-1))):
        (result,) = send(client, encoded(sent), path="/score").json()["results"]
        images = seen.transpose(2, 0, 1)[None].astype(np.float32) / 255
        assert result["logit"] == pytest.approx(float(session.run(["logit"], {"images": images})[0][0]), abs=1e-6)


def test_an_image_of_another_size_is_refused_naming_both(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    answer = client.post("/classify", json=listed(encoded(shades()), encoded(np.zeros((28, 20), np.uint8))))
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == "/images/1"
    assert "20 by 28" in fault["detail"]
    assert f"{SIZE} by {SIZE}" in fault["detail"]


def png_header(width: int, height: int) -> bytes:
    """Write a PNG that announces so many pixels and holds next to none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def webp_header(width: int, height: int) -> bytes:
    """Write a WebP whose canvas announces so many pixels."""
    canvas = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", len(canvas)) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_header(width: int, height: int) -> bytes:
    """Take a JPEG and let its frame announce so many pixels."""
    whole = encoded(shades(), "JPEG")
    frame = whole.index(b"\xff\xc0")
    return whole[: frame + 5] + struct.pack(">HH", height, width) + whole[frame + 9 :]


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(shades(seed)) for seed in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def hostile() -> Iterator[tuple[str, bytes, str]]:
    whole = {f"image/{kind.lower()}": encoded(shades(), kind) for kind in ("PNG", "JPEG", "WEBP")}
    for kind, content in whole.items():
        yield "empty", b"", kind
        yield "not one", b"<svg/>" * 9, kind
        for part in (1, 2, 3):
            yield f"cut at {part}/4", content[: len(content) * part // 4], kind
        yield "its signature alone", content[:12], kind
        yield "of another type", next(other for name, other in whole.items() if name != kind), kind
    for side in (1001, 50_000):
        yield f"a PNG of {side} by {side}", png_header(side, side), "image/png"
    yield "a PNG of no pixels", png_header(0, 0), "image/png"
    yield "a PNG with less than it says", png_header(SIZE, SIZE * 2), "image/png"
    for side in (1001, 16_383):
        yield f"a WebP of {side} by {side}", webp_header(side, side), "image/webp"
    yield "a WebP without pixels", webp_header(SIZE, SIZE), "image/webp"
    yield "a JPEG of 65,500 by 65,500", jpeg_header(65_500, 65_500), "image/jpeg"
    yield "an animated PNG", animated("PNG"), "image/png"
    yield "an animated WebP", animated("WEBP"), "image/webp"
    yield "a GIF said to be a PNG", encoded(shades(), "GIF"), "image/png"
    yield "random bytes after a signature", b"\x89PNG\r\n\x1a\n" + bytes(shades(3)), "image/png"


@pytest.mark.parametrize("path", ["/classify", "/score"])
def test_hostile_images_are_refused_with_a_reason(client: TestClient, world: World, path: str) -> None:
    world.trained(100, labels=0, head=BOTH)
    for name, content, kind in hostile():
        for answer in (send(client, content, kind, path), client.post(path, json=listed(content))):
            if name == "of another type" and answer.request.headers["content-type"] == "application/json":
                assert answer.status_code == 200
                continue
            assert answer.status_code == 422, (name, kind, answer.text)
            assert answer.json()["errors"][0]["detail"], (name, kind)


def test_images_with_bytes_changed_at_random_are_answered_or_refused(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    random = np.random.default_rng(0)
    seen = set()
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = encoded(shades(), kind)
        for _ in range(40):
            content = bytearray(whole)
            for place in random.integers(0, len(whole), random.integers(1, 6)):
                content[place] = random.integers(256)
            seen.add(send(client, bytes(content), f"image/{kind.lower()}").status_code)
    assert seen == {200, 422}


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[" * 100_000, 400, None),
        (b"\xff\xfe", 400, None),
        (b"null", 422, ""),
        (b"[]", 422, ""),
        (b'"images"', 422, ""),
        (b"{}", 422, ""),
        (b'{"images": ["iVBORw0KGgo="], "label": 7}', 422, ""),
        (b'{"images": []}', 422, "/images"),
        (b'{"images": "iVBORw0KGgo="}', 422, "/images"),
        (b'{"images": [7]}', 422, "/images/0"),
        (b'{"images": [null]}', 422, "/images/0"),
        (b'{"images": ["no base64"]}', 422, "/images/0"),
        (b'{"images": ["\\ud800"]}', 422, "/images/0"),
        (b'{"images": [""]}', 422, "/images/0"),
        (b'{"images": ["iVBORw0KGgo="]}', 422, "/images/0"),
    ],
)
def test_json_that_holds_no_images_is_refused(
    client: TestClient, world: World, body: bytes, status: int, pointer: str | None
) -> None:
    world.trained(100, labels=0, head=BOTH)
    answer = send(client, body, "application/json")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["pointer"] for fault in answer.json().get("errors", [])] == ([] if pointer is None else [pointer])


@pytest.mark.parametrize("kind", ["image/gif", "text/plain", "multipart/form-data; boundary=x", "", "image/*"])
def test_what_is_not_declared_as_an_image_is_refused(client: TestClient, world: World, kind: str) -> None:
    world.trained(100, labels=0, head=BOTH)
    answer = send(client, encoded(shades()), kind)
    assert answer.status_code == 415
    assert "image/png, image/jpeg, image/webp, application/json" in answer.json()["detail"]
    undeclared = client.post("/classify", content=encoded(shades()))
    assert undeclared.status_code == 415


def test_an_image_and_a_body_have_limits(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    whole = encoded(shades())
    padded = whole + b"\0" * (MOST_BYTES - len(whole))
    assert len(padded) > MOST_BODY_BYTES
    assert send(client, padded).status_code == 200
    assert send(client, padded + b"\0").status_code == 413
    assert client.post("/score", json=listed(padded + b"\0")).status_code == 413
    assert client.post("/score", json=listed(*[whole] * MOST_IMAGES)).status_code == 200
    many = client.post("/score", json=listed(*[whole] * (MOST_IMAGES + 1)))
    assert (many.status_code, many.json()["errors"][0]["pointer"]) == (422, "/images")
    too_much = b" " * (MOST_UPLOAD_BYTES + 1)
    for content in (too_much, iter([too_much[:1000], too_much[1000:]])):
        answer = client.post("/classify", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert f"{MOST_UPLOAD_BYTES:,}" in answer.json()["detail"]
    elsewhere = client.post("/jobs", content=padded, headers={"Content-Type": "application/json"})
    assert elsewhere.status_code == 413


def test_an_image_of_the_largest_size_is_looked_at(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    side = int(MOST_PIXELS**0.5)
    answer = send(client, encoded(Image.new("L", (side, side))))
    assert "resize it" in answer.json()["detail"]
    wider = send(client, encoded(Image.new("L", (side + 1, side))))
    assert "1,000,000 pixels" in wider.json()["detail"]


def test_the_example_of_the_document_can_be_pasted(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=BOTH)
    for path in ("/classify", "/score"):
        assert client.post(path, json={"images": [EXAMPLE]}).status_code == 200
