"""What is known of a job beside itself: metrics, events, checkpoints and their files, previews."""

import base64
import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.accepts import prefers
from tests.app.world import World, items, picture, tiny_generator


def test_metrics_come_as_one_series_a_name(client: TestClient, world: World) -> None:
    held = world.start()
    world.report(held, [(1, {"d_loss": 1.0, "g_loss": 2.0}), (2, {"d_loss": float("nan")}), (3, {"d_loss": 0.5})])
    d_loss, g_loss = client.get(f"/jobs/{held.job.id}/metrics").json()["data"]
    assert (d_loss["name"], g_loss["name"]) == ("d_loss", "g_loss")
    assert d_loss["points"] == [{"step": 1, "value": 1.0}, {"step": 2, "value": None}, {"step": 3, "value": 0.5}]
    later = client.get(f"/jobs/{held.job.id}/metrics?name=d_loss&from_step=3").json()["data"]
    assert [(series["name"], series["points"]) for series in later] == [("d_loss", [{"step": 3, "value": 0.5}])]
    both = client.get(f"/jobs/{held.job.id}/metrics?name=g_loss&name=d_loss").json()["data"]
    assert [series["name"] for series in both] == ["g_loss", "d_loss"]


def test_metrics_come_in_pages_as_json_and_as_csv(client: TestClient, world: World) -> None:
    held = world.start()
    names = [f"metric/{i}" for i in range(5)]
    world.report(held, [(1, dict.fromkeys(names, 0.5))])
    url = f"/jobs/{held.job.id}/metrics"
    whole = client.get(url).json()
    assert ([series["name"] for series in whole["data"]], whole["has_more"]) == (names, False)
    seen, query = [], {}
    for more in (True, True, False):
        page = client.get(url, params={"limit": 2, **query}).json()
        seen += [series["name"] for series in page["data"]]
        query = {"after": page["last_id"]}
        assert page["has_more"] is more
    assert seen == names
    rows, following = [], f"{url}?limit=2&from_step=1"
    while following:
        answer = client.get(following, headers={"Accept": "text/csv"})
        rows += list(csv.reader(io.StringIO(answer.text)))[1:]
        following = answer.links.get("next", {}).get("url")
    assert rows == [[name, "1", "0.5"] for name in names]


def test_series_asked_for_by_name_are_on_one_page(client: TestClient, world: World) -> None:
    held = world.start()
    world.report(held, [(1, dict.fromkeys("abc", 0.5))])
    url = f"/jobs/{held.job.id}/metrics?name=a&name=b&name=c"
    assert (len(client.get(f"{url}&limit=1").json()["data"]), client.get(url).json()["has_more"]) == (3, False)
    answer = client.get(f"{url}&after=a")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/after")


def test_metrics_are_thinned_without_losing_a_spike(client: TestClient, world: World) -> None:
    held = world.start(total_steps=2000)
    world.report(held, [(step, {"d_loss": 100.0 if step == 777 else 1.0}) for step in range(1, 1001)])
    (series,) = client.get(f"/jobs/{held.job.id}/metrics?max_points=10").json()["data"]
    assert len(series["points"]) <= 10
    assert series["total_points"] == 1000
    assert {"step": 777, "value": 100.0} in series["points"]
    assert (series["points"][0]["step"], series["points"][-1]["step"]) == (1, 1000)


def test_metrics_come_as_csv_when_asked(client: TestClient, world: World) -> None:
    held = world.start()
    world.report(held, [(1, {"d_loss": 1.5, 'odd,"name': 2.0}), (2, {"d_loss": float("inf")})])
    answer = client.get(f"/jobs/{held.job.id}/metrics", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["Vary"] == "Accept"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows == [["name", "step", "value"], ["d_loss", "1", "1.5"], ["d_loss", "2", ""], ['odd,"name', "1", "2.0"]]


EPOCHS = "epoch,train_loss_D,train_loss_G,train_acc,cv_loss_D,cv_loss_G,cv_acc"


def epochs(client: TestClient, job_id: str, accept: str = "text/csv", **query: Any) -> Any:
    return client.get(f"/jobs/{job_id}/metrics", params={"form": "epochs", **query}, headers={"Accept": accept})


def test_metrics_by_epoch_have_a_row_each_and_the_write_up_s_columns(client: TestClient, world: World) -> None:
    held = world.start()
    first = {
        **{"epoch": 1.0, "train_loss_d": 0.5, "train_loss_g": 0.25, "train_accuracy": 0.125},
        **{"validation_loss_d": 1.5, "validation_loss_g": 1.25, "validation_accuracy": 0.75},
    }
    between = {"train_loss_d": 9.0}
    second = {"epoch": 2.0, "train_loss_d": float("nan"), "validation_accuracy": 1.0, "fd_classifier": 7.0}
    world.report(held, [(10, first), (15, between), (20, second)])
    answer = epochs(client, held.job.id)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text == f"{EPOCHS}\n1,0.5,0.25,0.125,1.5,1.25,0.75\n2,,,,,,1\n"
    assert epochs(client, held.job.id, from_step=11).text == f"{EPOCHS}\n2,,,,,,1\n"
    assert client.get(f"/jobs/{held.job.id}/metrics?form=long").json()["data"][0]["name"] == "epoch"


def test_metrics_by_epoch_are_refused_where_they_mean_nothing(client: TestClient, world: World) -> None:
    held = world.start()
    world.report(held, [(1, {"d_loss": 1.0})])
    for answer, pointer, said in (
        (epochs(client, held.job.id), "/form", "counts no epochs"),
        (epochs(client, held.job.id, accept="application/json"), "/form", "Accept: text/csv"),
        (epochs(client, held.job.id, name="d_loss"), "/name", "columns of its own"),
        (client.get(f"/jobs/{held.job.id}/metrics?form=wide"), "/form", "epochs"),
    ):
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == pointer
        assert said in fault["detail"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/csv", True),
        ("text/csv; charset=utf-8", True),
        ("application/json", False),
        ("*/*", False),
        ("text/csv;q=0.5, application/json", False),
        ("text/csv, application/json;q=0.9", True),
        ("text/csv;q=0", False),
        ("text/csv;q=often", False),
        ("", False),
        (";;,", False),
    ],
)
def test_csv_is_sent_where_it_ranks_first(accept: str, expected: bool) -> None:
    assert prefers(accept, "text/csv") is expected


def test_events_tell_a_job_s_life_in_order_and_in_pages(client: TestClient, world: World) -> None:
    job = world.trained(100)
    url = f"/jobs/{job.id}/events"
    events = client.get(url).json()["data"]
    assert [event["type"] for event in events] == ["queued", "starting", "running", "checkpoint", "succeeded", "done"]
    assert events[3]["data"]["step"] == 100
    assert items(client, url, limit=4) == events


def test_checkpoints_are_listed_newest_first_and_in_pages(client: TestClient, world: World) -> None:
    job = world.trained(100, 200, 300)
    page = client.get(f"/jobs/{job.id}/checkpoints?limit=2").json()
    assert [checkpoint["step"] for checkpoint in page["data"]] == [300, 200]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (True, 300, 200)
    rest = client.get(f"/jobs/{job.id}/checkpoints?limit=2&after=200").json()
    assert [checkpoint["step"] for checkpoint in rest["data"]] == [100]
    one = client.get(rest["data"][0]["url"]).json()
    assert one == rest["data"][0]
    assert one["card"]["serves"] == ["images", "labels"]


def test_a_checkpoint_s_file_is_downloaded_with_its_digest(client: TestClient, world: World) -> None:
    job = world.trained(100)
    file = client.get(f"/jobs/{job.id}/checkpoints/100").json()["files"]["generator.onnx"]
    answer = client.get(file["url"])
    digest = hashlib.sha256(answer.content)
    assert answer.content == tiny_generator(100)
    assert (file["sha256"], file["size"]) == (digest.hexdigest(), len(answer.content))
    assert answer.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert int(answer.headers["Content-Length"]) == file["size"]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{job.id}-100-generator.onnx"'
    assert client.get(file["url"], headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", ["weights.pt", "generator.onny", "..."])
def test_only_the_files_of_a_checkpoint_can_be_asked_for(client: TestClient, world: World, name: str) -> None:
    job = world.trained(100)
    answer = client.get(f"/jobs/{job.id}/checkpoints/100/files/{name}")
    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["%2e%2e%2fganymede.db", "..%2f..%2fganymede.db", "a%00b", "x" * 101])
def test_no_request_names_a_path(client: TestClient, world: World, name: str) -> None:
    job = world.trained(100)
    assert client.get(f"/jobs/{job.id}/checkpoints/100/files/{name}").status_code in (404, 422)


def test_a_missing_file_is_said_to_be_missing(client: TestClient, world: World) -> None:
    job = world.trained(100)
    (path,) = Path(world.settings.artifacts).glob(f"jobs/{job.id}/*/100/state.safetensors")
    path.unlink()
    answer = client.get(f"/jobs/{job.id}/checkpoints/100/files/state.safetensors")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":file-damaged")


@pytest.mark.parametrize("step", [-1, 2**53, 2**64, "latest", "1.0"])
def test_a_step_is_a_number_within_bounds(client: TestClient, world: World, step: object) -> None:
    job = world.trained(100)
    for url in (f"/jobs/{job.id}/checkpoints/{step}", f"/jobs/{job.id}/previews/{step}.png"):
        answer = client.get(url)
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/step"]


def test_previews_are_listed_and_looked_at(client: TestClient, world: World) -> None:
    held = world.start()
    for step in (100, 200):
        world.preview(held, step, picture(step))
    page = client.get(f"/jobs/{held.job.id}/previews").json()
    assert [preview["step"] for preview in page["data"]] == [200, 100]
    answer = client.get(page["data"][0]["url"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == picture(200)
    assert client.get(page["data"][0]["url"], headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert client.get(f"/jobs/{held.job.id}/previews/150.png").status_code == 404


def test_a_preview_tells_how_real_it_looked_where_that_is_known(client: TestClient, world: World) -> None:
    held = world.start()
    world.preview(held, 100, picture(100))
    world.preview(held, 200, picture(200), score=0.25)
    page = client.get(f"/jobs/{held.job.id}/previews").json()
    assert [preview["score"] for preview in page["data"]] == [0.25, None]


def test_a_damaged_preview_is_not_shown(client: TestClient, world: World) -> None:
    held = world.start()
    world.preview(held, 100, picture(100))
    (path,) = Path(world.settings.artifacts).glob(f"jobs/{held.job.id}/*/previews/100.png")
    path.write_bytes(picture(99))
    assert client.get(f"/jobs/{held.job.id}/previews/100.png").status_code == 503
