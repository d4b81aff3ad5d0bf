"""Every family the menu lists, through the API on its own data: posted, trained, and asked for all that it serves."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganmodels.specs import FAMILIES, SPEC
from tests.e2e.conftest import Running, a_stack, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.mnist, pytest.mark.timeout(600)]

FINISHED = ("succeeded", "failed", "cancelled")
SHORT: dict[str, Any] = {
    "dataset": "mnist",
    "total_steps": 4,
    "batch_size": 8,
    "threads": 1,
    "device": "cpu",
    "checkpoint_every": 4,
    "preview_every": 4,
    "log_every": 1,
    "evaluate_every": None,
}
# What each family's smallest run asks for beside that.
ASKED: dict[str, dict[str, Any]] = {
    "dcgan": {"width": 8, "conditional": True},
    "convgan": {"d_pretrain_steps": 3},
    "lsgan": {"width": 8},
    "hinge": {"width": 8},
    "acgan": {"width": 8},
    "r3gan": {"width": 8},
    "wgan_gp": {"width": 8},
    "catgan": {"labeled": "none", "clusters": 20},
}


def asked(family: str) -> dict[str, Any]:
    return SHORT | {"family": family} | ASKED.get(family, {})


def png() -> bytes:
    """Draw a digit of sorts: a bar."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 12:16] = 255
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack with two workers, since there are many jobs."""
    with a_stack(tmp_path_factory.mktemp("home"), workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def trained(running: Running) -> dict[str, dict[str, Any]]:
    """Post one job of every family and wait for all."""
    jobs = {family: running.http.post("/jobs", json=asked(family)) for family in FAMILIES}
    assert {family: answer.status_code for family, answer in jobs.items()} == dict.fromkeys(FAMILIES, 202)
    ids = {family: answer.json()["id"] for family, answer in jobs.items()}
    return {family: _await(running, id) for family, id in ids.items()}


def _await(running: Running, id: str) -> dict[str, Any]:
    """Wait for the end, for long: whoever exports thirteen families' graphs takes its time."""

    def look() -> dict[str, Any] | None:
        job = running.job(id)
        return job if job["state"] in FINISHED else None

    return eventually(look, f"job {id} to finish", seconds=400)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_and_serves_what_it_says(running: Running, trained: Any, family: str) -> None:
    job = trained[family]
    assert job["state"] == "succeeded", job["error"]
    listed = running.http.get(f"/families/{family}").json()
    card = running.items(f"/jobs/{job['id']}/checkpoints")[0]["card"]
    serves = SPEC.validate_python(asked(family)).serves
    assert tuple(card["serves"]) == serves
    assert set(serves) <= set(listed["serves"])
    query = {"job": job["id"], "seed": 1}
    images = running.http.get("/sample", params={**query, "n": 4})
    assert images.status_code == (200 if "images" in serves else 422), images.text
    scores = running.http.post(
        "/score",
        params={"job": job["id"], **({"label": 7} if card["score_needs_label"] else {})},
        content=png(),
        headers={"Content-Type": "image/png"},
    )
    assert scores.status_code == (200 if "scores" in serves else 422), scores.text
    classes = running.http.post(
        "/classify", params={"job": job["id"]}, content=png(), headers={"Content-Type": "image/png"}
    )
    assert classes.status_code == (200 if "classes" in serves else 422), classes.text
    labeled = running.http.get("/sample", params={**query, "label": 7})
    # A head that has hardly learned may be sure of no candidate, or know no cluster of sevens.
    expected = {"generator": {200}, "classes": {200, 422, 503}, None: {422}}[card["labels_from"]]
    assert labeled.status_code in expected, labeled.text


def test_each_family_says_its_paper_defaults_schema_and_abilities(running: Running) -> None:
    listed = {entry["name"]: entry for entry in running.items("/families")}
    assert listed.keys() == FAMILIES.keys()
    for family in listed.values():
        assert family["paper"]
        assert family["paper_url"].startswith("https://")
        assert family["serves"]
        assert family["defaults"]["quick"].keys() == family["defaults"]["paper"].keys()
        assert family["spec_schema"]["properties"]["family"]["const"] == family["name"]


def test_previews_of_convgan_carry_the_discriminators_estimate(running: Running, trained: Any) -> None:
    [preview] = running.items(f"/jobs/{trained['convgan']['id']}/previews")
    assert 0 < preview["score"] < 1
    told = [
        event["data"]
        for event in running.items(f"/jobs/{trained['convgan']['id']}/events")
        if event["type"] == "pretraining"
    ]
    assert [one["update"] for one in told] == [1, 2, 3]


def test_sgan_draws_a_grid_of_five_by_five_and_tells_its_epochs(running: Running) -> None:
    job = running.http.post("/jobs", json=asked("sgan") | {"batch_size": 100, "data_fraction": 0.01, "total_steps": 13})
    done = _await(running, job.json()["id"])
    assert done["state"] == "succeeded", done["error"]
    [*_, preview] = running.items(f"/jobs/{done['id']}/previews")
    assert (preview["width"], preview["height"]) == (5 * 28, 5 * 28)
    wide = running.http.get(f"/jobs/{done['id']}/metrics", params={"form": "epochs"}, headers={"Accept": "text/csv"})
    lines = wide.text.splitlines()
    assert lines[0] == "epoch,train_loss_D,train_loss_G,train_acc,cv_loss_D,cv_loss_G,cv_acc"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2"]
    assert all(float(cell) == float(cell) for line in lines[1:] for cell in line.split(","))


def test_catgan_learns_large_grey_images_with_the_write_ups_networks(running: Running) -> None:
    job = running.http.post(
        "/jobs",
        json={
            **SHORT,
            "family": "catgan",
            "dataset": "shapes",
            "network": "conv",
            "generator": "noise_image",
            "labeled": "all",
            "batch_size": 4,
            "total_steps": 10,
            "checkpoint_every": 10,
            "preview_every": 10,
            "preview_grid": "2x2",
            "threads": 2,
        },
    )
    assert job.status_code == 202, job.text
    done = _await(running, job.json()["id"])
    assert done["state"] == "succeeded", done["error"]
    answer = running.http.get("/sample", params={"job": done["id"], "seed": 1})
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)


@pytest.mark.parametrize("dataset", ["ring", "grid"])
def test_points_of_the_plane_train_and_are_served(running: Running, dataset: str) -> None:
    knobs = SHORT | {"family": "r3gan", "dataset": dataset, "total_steps": 20, "evaluate_every": 0}
    done = _await(running, running.http.post("/jobs", json=knobs).json()["id"])
    assert done["state"] == "succeeded", done["error"]
    assert "test_modes" in done["metrics"]
    answer = running.http.get("/sample", params={"job": done["id"], "seed": 1, "n": 100, "format": "npz"})
    points = np.load(io.BytesIO(answer.content), allow_pickle=False)["points"]
    assert points.shape == (100, 2)


def test_a_stack_of_digits_is_one_of_a_thousand_classes(running: Running) -> None:
    knobs = SHORT | {"family": "dcgan", "width": 8, "dataset": "stacked-mnist", "conditional": True}
    done = _await(running, running.http.post("/jobs", json=knobs).json()["id"])
    assert done["state"] == "succeeded", done["error"]
    answer = running.http.get("/sample", params={"job": done["id"], "seed": 1, "label": "123"})
    assert Image.open(io.BytesIO(answer.content)).mode == "RGB"
    assert answer.headers["X-Label"] == "123"
