"""A job's previews as an animation over HTTP."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from app.serving import timelines
from tests.app.world import World, picture


def frames(content: bytes) -> list[NDArray[np.uint8]]:
    found = []
    with Image.open(io.BytesIO(content)) as animation:
        for place in range(animation.n_frames):  # type: ignore[attr-defined]
            animation.seek(place)
            found.append(np.asarray(animation.convert("RGB")))
    return found


def test_the_previews_follow_one_another_from_the_oldest_on(client: TestClient, world: World) -> None:
    held, other = world.start(), world.start()
    for step in (30, 10, 20):
        world.preview(held, step, picture(step))
        world.preview(other, step, picture(200))
    answer = client.get(f"/jobs/{held.job.id}/previews/timeline.webp")
    assert answer.headers["content-type"] == "image/webp"
    shown = frames(answer.content)
    assert [frame.shape for frame in shown] == [(16, 80, 3)] * 3
    assert [set(frame.flat) for frame in shown] == [{10}, {20}, {30}]


def test_many_previews_are_thinned_evenly_and_both_ends_stay(client: TestClient, world: World) -> None:
    held = world.start()
    for step in range(199):
        world.preview(held, step, picture(step, (8, 8)), size=(8, 8))
    shown = frames(client.get(f"/jobs/{held.job.id}/previews/timeline.webp").content)
    assert [int(frame[0, 0, 0]) for frame in shown] == list(range(0, 199, 2))


def test_frames_are_as_large_as_the_largest(client: TestClient, world: World) -> None:
    held = world.start()
    for step, size, mode in ((10, (8, 16), "L"), (20, (16, 8), "RGB")):
        shade = 10 if mode == "L" else 20
        world.preview(held, step, picture(shade, size, mode), size=size)
    first, second = frames(client.get(f"/jobs/{held.job.id}/previews/timeline.webp").content)
    assert first.shape == second.shape == (16, 16, 3)
    assert (set(first[:, :8].flat), set(first[:, 8:].flat)) == ({10}, {0})
    assert (set(second[:8, :, 0].flat), set(second[8:].flat)) == ({20}, {0})


@pytest.mark.parametrize(("side", "shown"), [(64, 64), (128, 64), (129, 43)])
def test_large_previews_are_shrunk_to_what_an_animation_may_hold(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch, side: int, shown: int
) -> None:
    monkeypatch.setattr(timelines, "MOST_PIXELS", 2 * 64 * 64)
    held = world.start()
    for step in (10, 20):
        world.preview(held, step, picture(step, (side, side)), size=(side, side))
    both = frames(client.get(f"/jobs/{held.job.id}/previews/timeline.webp").content)
    assert [frame.shape for frame in both] == [(shown, shown, 3)] * 2
    assert [set(frame.flat) for frame in both] == [{10}, {20}]


def test_a_client_that_has_the_animation_gets_it_anew_with_the_next_preview(client: TestClient, world: World) -> None:
    held = world.start()
    here = f"/jobs/{held.job.id}/previews/timeline.webp"
    world.preview(held, 10, picture(10))
    first, again = client.get(here), client.get(here)
    assert (first.content, first.headers["ETag"]) == (again.content, again.headers["ETag"])
    known = {"If-None-Match": first.headers["ETag"]}
    assert (client.get(here, headers=known).status_code, client.get(here, headers=known).content) == (304, b"")
    world.preview(held, 20, picture(20))
    assert client.get(here, headers=known).status_code == 200


def test_a_job_without_a_preview_has_no_animation(client: TestClient, world: World) -> None:
    job = world.submit()
    answer = client.get(f"/jobs/{job.id}/previews/timeline.webp")
    assert answer.status_code == 404
    assert "no preview yet" in answer.json()["detail"]


def test_a_damaged_preview_is_said(client: TestClient, world: World) -> None:
    held = world.start()
    for step in (10, 20):
        world.preview(held, step, picture(step))
    (path,) = Path(world.settings.artifacts).glob("jobs/*/*/previews/10.png")
    path.write_bytes(picture(30))
    answer = client.get(f"/jobs/{held.job.id}/previews/timeline.webp")
    assert answer.status_code == 503
    assert "10.png of step 10 is damaged" in answer.json()["detail"]
