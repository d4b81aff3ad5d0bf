"""More images than are held at once: the same ones, in pieces, at constant memory."""

import io
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.serving import drawings, streams
from app.serving.choices import Label
from app.serving.drawings import Drawing, Format, Wish
from app.serving.graphs import Graphs
from app.serving.noises import Seeded
from store import checkpoints
from tests.app.world import SIZE, Head, World

COUNT = 150  # two parts and some


def npz(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)


def files(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


@pytest.mark.parametrize("query", ["", "&label=3", "&index=7&truncation=0.5"])
def test_images_in_pieces_are_those_of_one_piece(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    world.trained(100)
    urls = {form: f"/sample?seed=1&n={COUNT}&format={form}{query}" for form in ("npz", "zip")}
    whole = {form: client.get(url) for form, url in urls.items()}
    monkeypatch.setattr(drawings, "MOST_IMAGES", 10)
    pieces = {form: client.get(url) for form, url in urls.items()}
    for form, answer in pieces.items():
        assert answer.status_code == 200
        assert "Content-Length" not in answer.headers
        assert answer.headers["ETag"] == whole[form].headers["ETag"]
        assert answer.content == client.get(urls[form]).content
    assert files(pieces["zip"].content) == files(whole["zip"].content)
    np.testing.assert_equal(npz(pieces["npz"].content), npz(whole["npz"].content))


def test_images_that_a_class_head_chooses_come_in_pieces_too(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.trained(100, labels=0, head=Head(classes=(0, 1, 2)))
    url = "/sample?seed=1&n=9&format=npz&label=1"
    whole = client.get(url)
    assert whole.status_code == 200
    monkeypatch.setattr(drawings, "MOST_IMAGES", 5)
    monkeypatch.setattr(streams, "PART", 4)
    np.testing.assert_equal(npz(client.get(url).content), npz(whole.content))


@pytest.mark.parametrize("form", ["png", "webp", "json"])
def test_what_must_be_whole_is_refused_with_what_need_not_be(client: TestClient, world: World, form: str) -> None:
    world.trained(100)
    answer = client.get(f"/sample?n=1001&format={form}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/n"
    assert "`zip` and `npz`" in answer.json()["detail"] + answer.json()["errors"][0]["detail"]


def test_what_goes_wrong_at_once_is_said(client: TestClient, world: World) -> None:
    job = world.trained(100)
    world.damage(job, 100)
    answer = client.get("/sample?n=2000&format=npz")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")


@pytest.mark.parametrize("form", [Format.NPZ, Format.ZIP])
def test_ten_times_the_images_take_the_same_memory(world: World, form: Format) -> None:
    job = world.trained(100)
    with world.database.read() as connection:
        checkpoint = checkpoints.latest(connection, job.number)
    graphs = Graphs(world.artifacts)

    def most_bytes(count: int) -> int:
        wish = Wish(Seeded.row(1, 0, count), (Label("3"),) * count, form, None, 1)
        drawing = Drawing.plan(job, checkpoint, wish)
        tracemalloc.start()
        sent = sum(len(piece) for piece in streams.pieces(drawing, graphs))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sent > count * SIZE * SIZE / 2
        return most

    most_bytes(100)  # what is loaded once
    listed = 1_000  # bytes that a zip's list of files may take for each
    assert most_bytes(5_000) < 2 * most_bytes(500) + listed * 5_000 * (form is Format.ZIP)


def test_the_keys_of_a_row_are_those_of_its_list_and_take_no_memory_each() -> None:
    keys = [(7, index) for index in range(5, 50_005)]
    row = Seeded.row(7, 5, 50_000).keys
    assert list(row) == keys
    assert list(row[64:128]) == keys[64:128]
    assert row[-1] == keys[-1]
    assert len(repr(row)) < 100  # also what an entity tag is made of


def test_what_is_streamed_has_limits_too(client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.trained(100)
    monkeypatch.setattr(drawings, "MOST_IMAGES", 100)
    monkeypatch.setattr(drawings, "MOST_PIXELS_STREAMED", COUNT * SIZE**2)
    for query, pointer in ((f"n={COUNT}", None), (f"n={COUNT + 1}", "/n"), (f"n={COUNT}&scale=2", "/scale")):
        answer = client.get(f"/sample?format=zip&{query}")
        found = None if answer.status_code == 200 else answer.json()["errors"][0]["pointer"]
        assert found == pointer, query
    monkeypatch.setattr(drawings, "MOST_PIXELS", SIZE**2)
    monkeypatch.setattr(drawings, "MOST_PIXELS_STREAMED", 1 << 32)
    refused = client.get(f"/sample?format=zip&n={COUNT}&scale=2")
    assert refused.status_code == 422
    assert f"An image of {2 * SIZE} by {2 * SIZE} pixels has more than" in refused.text
