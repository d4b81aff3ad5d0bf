"""Images over HTTP: what a seed promises, what may be asked for, and what is said when it cannot be had."""

import base64
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from app.main import create_app
from app.serving import latents
from app.serving.graphs import MOST_KEPT
from tests.app.world import LATENT, LOOPBACK, SIZE, World

KEYS = [(1, index) for index in range(500)]
NORMAL = {"size": 64, "distribution": "normal", "low": None, "high": None}


def pixels(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


def arrays(client: TestClient, **query: Any) -> dict[str, NDArray[Any]]:
    answer = client.get("/sample", params={"format": "npz", **query})
    assert answer.status_code == 200, answer.text
    return dict(np.load(io.BytesIO(answer.content), allow_pickle=False))


def fault(client: TestClient, **query: Any) -> tuple[int, str, str]:
    """Return the status, pointer and detail of a request that is refused for one parameter."""
    answer = client.get("/sample", params=query)
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    return answer.status_code, error["pointer"], error["detail"]


def test_a_label_and_a_seed_draw_a_png(client: TestClient, world: World) -> None:
    job = world.trained(100)
    answer = client.get("/sample", params={"label": 7, "seed": 5})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert pixels(answer.content).shape == (SIZE, SIZE)
    told = {name: answer.headers[name] for name in ("X-Seed", "X-Label", "X-Checkpoint-Step", "X-Job-ID")}
    assert told == {"X-Seed": "5", "X-Label": "7", "X-Checkpoint-Step": "100", "X-Job-ID": job.id}


@pytest.mark.parametrize("kind", ["png", "webp", "npz", "zip", "json"])
def test_the_same_seed_draws_the_same_bytes_and_another_does_not(client: TestClient, world: World, kind: str) -> None:
    world.trained(100)
    first, again, other = (client.get(f"/sample?n=3&format={kind}&seed={seed}") for seed in (5, 5, 6))
    assert first.content == again.content
    assert first.headers["ETag"] == again.headers["ETag"]
    assert first.content != other.content
    assert first.headers["ETag"] != other.headers["ETag"]


def test_a_restarted_service_draws_the_same_bytes(world: World) -> None:
    world.trained(100)
    drawn = set()
    for _ in range(2):
        with TestClient(create_app(world.settings), LOOPBACK) as client:
            drawn.add(client.get("/sample?n=9&seed=5").content)
    assert len(drawn) == 1


def test_an_image_does_not_depend_on_those_beside_it(client: TestClient, world: World) -> None:
    world.trained(100)
    together = arrays(client, n=100, seed=9)
    for index in (0, 1, 63, 64, 99):
        alone = arrays(client, index=index, seed=9)
        assert np.array_equal(alone["images"][0], together["images"][index])
        assert alone["labels"][0] == together["labels"][index]
    assert not np.array_equal(together["images"][0], together["images"][1])


def test_a_label_asked_for_changes_the_image_and_not_its_noise(client: TestClient, world: World) -> None:
    world.trained(100)
    drawn = arrays(client, n=20, seed=3)
    by_label = [arrays(client, n=20, seed=3, label=label) for label in range(10)]
    assert len({labeled["images"].tobytes() for labeled in by_label}) == 10
    for position, label in enumerate(drawn["labels"]):
        assert np.array_equal(drawn["images"][position], by_label[label]["images"][position])


def test_labels_are_drawn_from_the_seed_and_told(client: TestClient, world: World) -> None:
    world.trained(100)
    drawn = arrays(client, n=1000, seed=1)["labels"]
    assert set(drawn) == set(range(10))
    assert np.bincount(drawn).min() > 50
    answer = client.get("/sample?seed=1")
    assert int(answer.headers["X-Label"]) == drawn[0]
    assert "X-Label" not in client.get("/sample?seed=1&n=2").headers


def test_a_seed_is_drawn_and_told_where_none_is_given(client: TestClient, world: World) -> None:
    world.trained(100)
    first, second = client.get("/sample?label=1"), client.get("/sample?label=1")
    assert first.content != second.content
    assert first.headers["Cache-Control"] == "no-store"
    assert client.get("/sample", params={"label": 1, "seed": first.headers["X-Seed"]}).content == first.content


def test_every_format_holds_the_same_images(client: TestClient, world: World) -> None:
    job = world.trained(100)
    found = arrays(client, n=6, seed=2)
    assert found["images"].shape == (6, SIZE, SIZE, 1)
    assert found["images"].dtype == np.uint8
    assert found["seed"] == 2

    with zipfile.ZipFile(io.BytesIO(client.get("/sample?n=6&seed=2&format=zip").content)) as packed:
        assert packed.namelist() == [f"{i:06d}-label-{label}.png" for i, label in enumerate(found["labels"])]
        zipped = [pixels(packed.read(name)) for name in packed.namelist()]
    document = client.get("/sample?n=6&seed=2&format=json").json()
    told = [pixels(base64.b64decode(image["png"])) for image in document["images"]]
    for image, from_zip, from_json in zip(found["images"][..., 0], zipped, told, strict=True):
        assert np.array_equal(image, from_zip)
        assert np.array_equal(image, from_json)
    assert (document["job_id"], document["step"], document["seed"]) == (job.id, 100, 2)
    assert [image["label"] for image in document["images"]] == list(found["labels"])

    grid = client.get("/sample?n=6&seed=2")
    assert np.array_equal(pixels(grid.content), pixels(client.get("/sample?n=6&seed=2&format=webp").content)[..., 0])


def test_a_grid_holds_the_images_row_by_row(client: TestClient, world: World) -> None:
    world.trained(100)
    images = arrays(client, n=5, seed=2)["images"][..., 0]
    for query, rows, columns in (("n=5", 2, 3), ("n=5&grid=1x5", 1, 5), ("n=5&grid=3x2", 3, 2)):
        picture = pixels(client.get(f"/sample?seed=2&{query}").content)
        assert picture.shape == (rows * SIZE, columns * SIZE)
        cells = [
            picture[row * SIZE : (row + 1) * SIZE, column * SIZE : (column + 1) * SIZE]
            for row in range(rows)
            for column in range(columns)
        ]
        for image, cell in zip(images, cells, strict=False):
            assert np.array_equal(image, cell)
        assert not np.any(cells[5:])


def test_a_grid_alone_says_how_many(client: TestClient, world: World) -> None:
    world.trained(100)
    assert client.get("/sample?grid=2x3&seed=1").content == client.get("/sample?grid=2x3&n=6&seed=1").content


def test_scale_makes_each_pixel_a_square(client: TestClient, world: World) -> None:
    world.trained(100)
    small, large = (pixels(client.get(f"/sample?seed=1&scale={scale}").content) for scale in (1, 3))
    assert np.array_equal(small, arrays(client, seed=1)["images"][0, ..., 0])
    assert np.array_equal(small, large[1::3, 1::3])
    assert np.array_equal(large, small.repeat(3, 0).repeat(3, 1))


def test_color_stays_color(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100, channels=3)
    assert pixels(client.get("/sample?seed=1").content).shape == (SIZE, SIZE, 3)
    assert arrays(client, n=2)["images"].shape == (2, SIZE, SIZE, 3)


def test_uniform_noise_stays_in_its_range(client: TestClient, world: World) -> None:
    drawn = latents.noise(KEYS, {"size": 8, "distribution": "uniform", "low": -2.0, "high": 3.0})
    assert -2 <= drawn.min() < -1.9
    assert 2.9 < drawn.max() <= 3
    normal = latents.noise(KEYS, {"size": 8, "distribution": "normal", "low": -1.0, "high": 1.0})
    assert abs(normal.mean()) < 0.1
    assert 0.9 < normal.std() < 1.1


@pytest.mark.parametrize("threshold", [0.04, 0.5, 1.0, 2.0, 4.0])
def test_truncated_noise_keeps_to_its_threshold_and_what_kept_to_it_before(threshold: float) -> None:
    whole, truncated = latents.noise(KEYS, NORMAL), latents.noise(KEYS, NORMAL, threshold)
    near = np.abs(whole) <= threshold
    assert np.array_equal(truncated[near], whole[near])
    assert np.abs(truncated).max() <= threshold
    assert np.array_equal(truncated[7:8], latents.noise(KEYS[7:8], NORMAL, threshold))
    # The moments of a normal distribution cut at ±t: mean 0, variance 1 − 2 t φ(t) / (Φ(t) − Φ(−t)).
    normal = NormalDist()
    variance = 1 - 2 * threshold * normal.pdf(threshold) / (normal.cdf(threshold) - normal.cdf(-threshold))
    assert truncated.var() == pytest.approx(variance, rel=0.02)
    assert abs(truncated.mean()) < 0.02 * threshold


def test_truncation_draws_more_usual_images(client: TestClient, world: World) -> None:
    world.trained(100)
    drawn = [arrays(client, n=200, seed=1, label=3)["images"]]
    drawn += [arrays(client, n=200, seed=1, label=3, truncation=most)["images"] for most in (2, 0.5, 0.1)]
    spreads = [images.astype(float).std(axis=0).mean() for images in drawn]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 5 * spreads[-1]
    document = client.get("/sample?seed=1&format=json&truncation=0.50").json()
    assert document["truncation"] == 0.5


def test_truncation_is_refused_where_noise_has_an_end_anyway(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100, latent={**LATENT, "distribution": "uniform"})
    assert client.get("/sample?seed=1").status_code == 200
    status, pointer, detail = fault(client, truncation=0.5)
    assert (status, pointer) == (422, "/truncation")
    assert "uniform noise" in detail


def test_a_client_that_has_the_bytes_gets_none_and_no_model_is_run(client: TestClient, world: World) -> None:
    job = world.trained(100)
    known = client.get("/sample?seed=1&label=3").headers["ETag"]
    world.damage(job, 100)
    client.app.state.resources.graphs._kept.clear()  # type: ignore[attr-defined]  # what a restart does
    again = client.get("/sample?seed=1&label=3", headers={"If-None-Match": f'"other", {known}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == known
    assert client.get("/sample?seed=2&label=3", headers={"If-None-Match": known}).status_code == 503


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("label=4", False),
        ("n=2", False),
        ("index=1", False),
        ("scale=2", False),
        ("format=webp", False),
        ("truncation=0.5", False),
        ("truncation=4", False),
        ("step=100", False),
        ("step=latest", True),
        ("n=1", True),
        ("grid=1x1", True),
    ],
)
def test_an_entity_tag_changes_with_everything_that_matters(
    client: TestClient, world: World, query: str, same: bool
) -> None:
    world.trained(100, 200)
    plain = client.get("/sample?seed=1").headers["ETag"]
    assert (client.get(f"/sample?seed=1&{query}").headers["ETag"] == plain) is same


def test_an_entity_tag_changes_with_the_generator_though_the_step_does_not(client: TestClient, world: World) -> None:
    held = world.start()
    seen = set()
    for variant in (1, 2):
        world.checkpoint(held, 100, variant=variant)
        answer = client.get("/sample?seed=1&label=3")
        seen.add((answer.headers["ETag"], answer.content))
    assert len({tag for tag, _ in seen}) == len({content for _, content in seen}) == 2


def test_only_what_can_never_change_is_kept_for_good(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100)
    pinned = f"/sample?seed=1&step=100&job={held.job.id}"
    assert client.get(pinned).headers["Cache-Control"] == "no-cache"
    world.succeed(held)
    assert "immutable" in client.get(pinned).headers["Cache-Control"]
    assert client.get("/sample?seed=1&step=100").headers["Cache-Control"] == "no-cache"  # a newer job may answer
    assert client.get(f"/sample?seed=1&job={held.job.id}").headers["Cache-Control"] == "no-cache"
    assert client.get(f"/sample?step=100&job={held.job.id}").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"n": 0}, "/n"),
        ({"n": 1001}, "/n"),
        ({"n": "1.0"}, "/n"),
        ({"n": "1_0"}, "/n"),
        ({"n": " 1"}, "/n"),
        ({"n": "١"}, "/n"),
        ({"seed": -1}, "/seed"),
        ({"seed": 2**53}, "/seed"),
        ({"seed": 10**400}, "/seed"),
        ({"index": -1}, "/index"),
        ({"index": 2**64}, "/index"),
        ({"step": -1}, "/step"),
        ({"step": 2**63}, "/step"),
        ({"step": "newest"}, "/step"),
        ({"format": "gif"}, "/format"),
        ({"grid": "0x4"}, "/grid"),
        ({"grid": "4"}, "/grid"),
        ({"grid": "4x4\n"}, "/grid"),
        ({"grid": "2x2", "n": 5}, "/grid"),
        ({"grid": "999x999"}, "/grid"),
        ({"grid": "2x2", "format": "npz"}, "/grid"),
        ({"scale": 0}, "/scale"),
        ({"scale": 33}, "/scale"),
        ({"scale": 2, "format": "npz"}, "/scale"),
        ({"n": 1000, "scale": 32}, "/scale"),
        ({"grid": "1x600", "scale": 4}, "/grid"),
        ({"truncation": 0}, "/truncation"),
        ({"truncation": 0.039}, "/truncation"),
        ({"truncation": -1}, "/truncation"),
        ({"truncation": 4.01}, "/truncation"),
        ({"truncation": "nan"}, "/truncation"),
        ({"truncation": "inf"}, "/truncation"),
        ({"truncation": "1e-1"}, "/truncation"),
        ({"truncation": "٠.٥"}, "/truncation"),
        ({"truncation": ""}, "/truncation"),
        ({"job": "7"}, "/job"),
        ({"job": "0B9C1C9E-3B1F-4A52-9D7A-5F3F1D2C6A10"}, "/job"),
        ({"label": ""}, "/label"),
        ({"label": "7\x00"}, "/label"),
        ({"label": "x" * 101}, "/label"),
        ({"label": ["7", "8"]}, "/label"),
        ({"lable": 7}, "/lable"),
        ({"model": "Default"}, "/model"),
        ({"model": "../default"}, "/model"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    client: TestClient, world: World, query: dict[str, Any], pointer: str
) -> None:
    world.trained(100)
    status, named, detail = fault(client, **query)
    assert (status, named) == (422, pointer)
    assert detail


def test_many_ask_at_once_and_each_gets_its_own(client: TestClient, world: World) -> None:
    world.trained(100)
    expected = [client.get(f"/sample?seed={seed}&n=4").content for seed in range(20)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: client.get(f"/sample?seed={seed % 20}&n=4").content, range(60)))
    assert found == expected * 3


def test_only_so_many_networks_are_kept(client: TestClient, world: World) -> None:
    world.trained(*range(1, MOST_KEPT + 5))
    for step in range(1, MOST_KEPT + 5):
        assert client.get(f"/sample?seed=1&step={step}").headers["X-Checkpoint-Step"] == str(step)
    assert len(client.app.state.resources.graphs._kept) == MOST_KEPT  # type: ignore[attr-defined]
