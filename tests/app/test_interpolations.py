"""The way between two images over HTTP: where it begins and ends, what lies on it, and who cannot go it."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from app.serving import latents
from app.serving.noises import Between, slerp
from tests.app.world import LATENT, SIZE, Head, World

UNIFORM = {**LATENT, "distribution": "uniform"}


def arrays(client: TestClient, path: str = "/interpolate", **query: Any) -> dict[str, NDArray[Any]]:
    answer = client.get(path, params={"format": "npz", **query})
    assert answer.status_code == 200, answer.text
    return dict(np.load(io.BytesIO(answer.content), allow_pickle=False))


def fault(client: TestClient, **query: Any) -> tuple[int, str, str]:
    answer = client.get("/interpolate", params={"from_seed": 1, "to_seed": 2, **query})
    (error,) = answer.json()["errors"]
    return answer.status_code, error["pointer"], error["detail"]


@pytest.mark.parametrize("latent", [LATENT, UNIFORM], ids=["normal", "uniform"])
@pytest.mark.parametrize("frames", [2, 3, 64])
def test_the_way_begins_and_ends_with_the_images_of_both_seeds(
    client: TestClient, world: World, latent: dict[str, Any], frames: int
) -> None:
    held = world.start()
    world.checkpoint(held, 100, latent=latent)
    way = arrays(client, from_seed=1, to_seed=2, label=7, frames=frames)
    assert way["images"].shape == (frames, SIZE, SIZE, 1)
    assert (list(way["seed"]), set(way["labels"])) == ([1, 2], {7})
    for place, seed in ((0, 1), (-1, 2)):
        alone = arrays(client, "/sample", seed=seed, label=7)["images"][0]
        assert way["images"][place].tobytes() == alone.tobytes()


def test_normal_noise_walks_on_a_great_circle() -> None:
    """On the plane of both ends, its length between theirs: a straight way dips below both."""
    latent = {**LATENT, "size": 100}
    way = Between(1, 2, 9).vectors(latent).astype(float)
    lengths = np.linalg.norm(way, axis=1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1])
    plane = np.linalg.qr(way[[0, -1]].T)[0]
    assert way @ plane @ plane.T == pytest.approx(way, abs=1e-5)
    straight = np.linspace(way[0], way[-1], 9)
    assert np.linalg.norm(straight, axis=1).min() < 0.85 * min(lengths[0], lengths[-1])


def test_vectors_of_equal_length_keep_it_at_exact_angles() -> None:
    """The closed form: unit vectors at right angles, an eighth of the way is π/16."""
    start, end = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    for eighths in range(9):
        angle = np.pi / 16 * eighths
        assert slerp(start, end, eighths / 8) == pytest.approx([np.cos(angle), np.sin(angle)], abs=1e-12)


def test_uniform_noise_walks_straight_and_stays_in_its_range() -> None:
    latent = {**UNIFORM, "size": 100}
    way = Between(1, 2, 9).vectors(latent)
    assert way == pytest.approx(np.linspace(way[0], way[-1], 9), abs=1e-6)
    assert np.abs(way).max() <= 1


@pytest.mark.parametrize("seeds", [(1, 1), (1, 2), (3, 5), (4, 6)])
def test_noise_on_one_line_is_walked_straight(seeds: tuple[int, int]) -> None:
    """One number alone, or the same seed twice: there is no circle to go on."""
    latent = {**LATENT, "size": 1}
    way = Between(*seeds, 5).vectors(latent)
    assert way == pytest.approx(np.linspace(way[0], way[-1], 5), abs=1e-6)
    assert np.array_equal(way[[0, -1]], latents.noise([(seed, 0) for seed in seeds], latent))


def test_a_frame_does_not_depend_on_how_many_there_are(client: TestClient, world: World) -> None:
    world.trained(100)
    few, many = (arrays(client, from_seed=1, to_seed=2, label=7, frames=frames)["images"] for frames in (5, 9))
    assert few.tobytes() == many[::2].tobytes()
    assert len({frame.tobytes() for frame in many}) == 9


def test_without_a_label_the_first_image_s_is_kept_all_the_way(client: TestClient, world: World) -> None:
    world.trained(100)
    for from_seed, to_seed in ((1, 2), (3, 4), (5, 6)):
        answer = client.get(f"/interpolate?from_seed={from_seed}&to_seed={to_seed}")
        label = client.get(f"/sample?seed={from_seed}").headers["X-Label"]
        assert answer.headers["X-Label"] == label
        last = arrays(client, from_seed=from_seed, to_seed=to_seed)["images"][-1]
        assert last.tobytes() == arrays(client, "/sample", seed=to_seed, label=label)["images"][0].tobytes()


def test_a_strip_and_an_animation_hold_the_same_frames(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100, channels=3)
    query = "from_seed=1&to_seed=2&label=7&frames=5&scale=2"
    frames = arrays(client, from_seed=1, to_seed=2, label=7, frames=5)["images"].repeat(2, 1).repeat(2, 2)
    strip = client.get(f"/interpolate?{query}")
    assert strip.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(strip.content))), np.concatenate(list(frames), axis=1))
    animated = client.get(f"/interpolate?{query}&format=webp")
    assert animated.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(animated.content)) as animation:
        assert animation.n_frames == 5  # type: ignore[attr-defined]
        for place, frame in enumerate(frames):
            animation.seek(place)
            assert np.array_equal(np.asarray(animation.convert("RGB")), frame)


@pytest.mark.parametrize("kind", ["png", "webp", "npz"])
def test_the_same_way_is_the_same_bytes_and_known_by_its_tag(client: TestClient, world: World, kind: str) -> None:
    world.trained(100)
    here = f"/interpolate?from_seed=1&to_seed=2&format={kind}"
    first, again = client.get(here), client.get(here)
    assert first.content == again.content
    assert client.get(here, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    back = f"/interpolate?from_seed=2&to_seed=1&format={kind}"
    others = [f"{here}&frames=15", f"{here}&label=7", back, *([f"{here}&scale=2"] if kind != "npz" else [])]
    assert len({client.get(url).headers["ETag"] for url in [here, *others]}) == len(others) + 1


def test_a_way_of_an_ended_job_s_step_is_kept_for_good(client: TestClient, world: World) -> None:
    job = world.trained(100)
    query = "/interpolate?from_seed=1&to_seed=2"
    assert "immutable" in client.get(f"{query}&job={job.id}&step=100").headers["Cache-Control"]
    client.put("/models/digits", json={"job": job.id, "step": 100})
    by_name = client.get(f"{query}&model=digits")
    assert (by_name.headers["Cache-Control"], by_name.headers["X-Checkpoint-Step"]) == ("no-cache", "100")


def test_a_label_may_be_named(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100, names=["shirt", "Sneaker", "bag", *"3456789"])
    assert client.get("/interpolate?from_seed=1&to_seed=2&label=sneaker").headers["X-Label"] == "1"
    status, pointer, detail = fault(client, label="sneakers")
    assert (status, pointer) == (422, "/label")
    assert "Did you mean 'Sneaker'?" in detail


def test_a_class_head_follows_no_label(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=Head(classes=(0, 1, 2)))
    status, pointer, detail = fault(client, label=1)
    assert (status, pointer) == (422, "/label")
    assert "leave `label` out" in detail
    assert "X-Label" not in client.get("/interpolate?from_seed=1&to_seed=2").headers


def test_points_walk_through_the_plane(client: TestClient, world: World) -> None:
    held = world.start()
    world.points(held, 100)
    way = arrays(client, from_seed=1, to_seed=2, frames=5)["points"]
    assert way[0].tobytes() == arrays(client, "/sample", seed=1)["points"].tobytes()
    assert way[-1].tobytes() == arrays(client, "/sample", seed=2)["points"].tobytes()
    for kind in ("png", "webp"):
        picture = Image.open(io.BytesIO(client.get(f"/interpolate?from_seed=1&to_seed=2&format={kind}").content))
        assert picture.size == (256, 256)
    assert fault(client, format="webp", frames=64, scale=3)[:2] == (422, "/scale")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"from_seed": None}, "/from_seed"),
        ({"to_seed": None}, "/to_seed"),
        ({"from_seed": -1}, "/from_seed"),
        ({"to_seed": 2**53}, "/to_seed"),
        ({"frames": 1}, "/frames"),
        ({"frames": 65}, "/frames"),
        ({"format": "gif"}, "/format"),
        ({"format": "zip"}, "/format"),
        ({"format": "npz", "scale": 2}, "/scale"),
        ({"frames": 64, "scale": 32}, "/frames"),
        ({"label": 11}, "/label"),
        ({"from_label": 1}, "/from_label"),
        ({"seed": 1}, "/seed"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    client: TestClient, world: World, query: dict[str, Any], pointer: str
) -> None:
    world.trained(100)
    asked = {name: value for name, value in {"from_seed": 1, "to_seed": 2, **query}.items() if value is not None}
    answer = client.get("/interpolate", params=asked)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
