"""What is sent to be looked at: images in every form, broken and hostile ones, and bodies that hold none."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.requests import MOST_BODY_BYTES, MOST_UPLOAD_BYTES
from app.routes.readings import EXAMPLE
from app.serving.uploads import MOST_BYTES, MOST_IMAGES, MOST_PIXELS
from tests.app.test_readings import BOTH, encoded, listed, send, shades
from tests.app.world import SIZE, World, tiny_discriminator


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
