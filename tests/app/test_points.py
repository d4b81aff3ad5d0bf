"""Points of the plane: a job that learns a ring answers as one that learns images, as far as that means anything."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from app.serving import choices
from app.serving.points import SIDE, scatter
from ganmodels.specs import SPEC
from store import jobs
from tests.app.world import World

SPAN = 2.0


@pytest.fixture
def ring(world: World) -> str:
    held = world.start()
    world.points(held, 100, SPAN)
    return held.job.id


def points(client: TestClient, **query: Any) -> NDArray[np.float32]:
    answer = client.get("/sample", params={"format": "npz", **query})
    assert answer.status_code == 200, answer.text
    arrays = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert sorted(arrays) == ["labels", "points", "seed"]
    found: NDArray[np.float32] = arrays["points"]
    return found


@pytest.mark.usefixtures("ring")
def test_points_come_as_coordinates(client: TestClient) -> None:
    found = points(client, n=1000, seed=3)
    assert (found.shape, found.dtype) == ((1000, 2), np.float32)
    assert np.abs(found).max() <= SPAN
    assert found.min() < -SPAN / 2
    assert found.max() > SPAN / 2
    document = client.get("/sample?n=1000&seed=3&format=json").json()
    assert np.array_equal(np.array([image["point"] for image in document["images"]], np.float32), found)
    assert [image["index"] for image in document["images"]] == list(range(1000))


@pytest.mark.usefixtures("ring")
def test_a_point_does_not_depend_on_those_beside_it(client: TestClient) -> None:
    """To the bit, though the generator has a softplus, whose last bit ONNX Runtime lets depend on the batch."""
    together = points(client, n=30, seed=9)
    alone = np.concatenate([points(client, index=index, seed=9) for index in range(30)])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.usefixtures("ring")
def test_a_picture_shows_every_point(client: TestClient) -> None:
    found = points(client, n=50, seed=3)
    for kind in ("png", "webp"):
        answer = client.get(f"/sample?n=50&seed=3&format={kind}")
        assert answer.headers["content-type"] == f"image/{kind}"
        picture = np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"))
        assert np.array_equal(picture, scatter(found, SPAN)[..., 0])
    assert client.get("/sample?n=50&seed=3").content == client.get("/sample?n=50&seed=3").content
    large = Image.open(io.BytesIO(client.get("/sample?n=50&seed=3&scale=2").content))
    assert large.size == (2 * SIDE, 2 * SIDE)


def test_a_dot_is_where_its_point_is() -> None:
    corners = {(-1, 1): (0, 0), (1, 1): (0, -1), (-1, -1): (-1, 0), (1, -1): (-1, -1)}
    for (x, y), (row, column) in corners.items():
        picture = scatter(np.array([[x * SPAN, y * SPAN]], np.float32), SPAN)
        assert picture[row, column, 0] == 255
        assert picture.sum() == 9 * 255
    middle = scatter(np.zeros((1, 2), np.float32), SPAN)[..., 0]
    assert middle[SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].all()
    outside = scatter(np.array([[9 * SPAN, 0]], np.float32), SPAN)[..., 0]
    assert outside[:, -1].any()


@pytest.mark.parametrize(
    ("query", "pointer"), [("grid=2x2", "/grid"), ("format=zip", "/format"), ("label=1", "/label")]
)
def test_what_means_nothing_for_points_is_refused(client: TestClient, ring: str, query: str, pointer: str) -> None:
    answer = client.get(f"/sample?job={ring}&{query}")
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_no_image_can_be_scored_as_a_point(client: TestClient, ring: str) -> None:
    target = io.BytesIO()
    Image.new("L", (1, 1)).save(target, "PNG")
    answer = client.post(
        "/score", params={"job": ring}, content=target.getvalue(), headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 422
    assert "points of the plane" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("knobs", "able"),
    [
        ({"family": "gan"}, {"images"}),
        ({"family": "cgan"}, {"images", "labels"}),
        ({"family": "sgan", "network": "mlp"}, {"images"}),
        ({"family": "catgan"}, {"images"}),
    ],
)
def test_nobody_waits_for_points_to_do_what_they_never_will(
    world: World, knobs: dict[str, Any], able: set[str]
) -> None:
    with world.database.write() as connection:
        job = jobs.submit(connection, SPEC.validate_python({"dataset": "ring", **knobs})).job
    assert set(choices.promised(job)) == able
