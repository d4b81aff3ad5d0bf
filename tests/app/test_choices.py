"""Who answers when images are asked for: which job and checkpoint, and what is said where none can."""

import pytest
from starlette.testclient import TestClient

from tests.app.test_samples import arrays, fault
from tests.app.world import World


def test_the_newest_checkpoint_serves_while_training_runs_and_older_ones_stay(client: TestClient, world: World) -> None:
    held = world.start()
    drawn = {}
    for step in (100, 200, 300):
        world.checkpoint(held, step)
        answer = client.get("/sample?seed=1&label=7")
        assert answer.headers["X-Checkpoint-Step"] == str(step)
        drawn[step] = answer.content
    assert len(set(drawn.values())) == 3
    for step, content in drawn.items():
        assert client.get(f"/sample?seed=1&label=7&step={step}").content == content


def test_the_best_checkpoint_is_the_one_that_the_classifier_found_nearest(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100)
    assert client.get("/sample?step=best").status_code == 404
    for step, distance in ((200, 5.0), (300, 2.0), (400, 3.0)):
        world.checkpoint(held, step, metrics={"fd_classifier": distance})
    assert client.get("/sample?step=best").headers["X-Checkpoint-Step"] == "300"
    job = client.get(f"/jobs/{held.job.id}").json()
    assert (job["best_checkpoint"]["step"], job["latest_checkpoint"]["step"]) == (300, 400)


def test_without_a_job_the_newest_that_can_answer_does(client: TestClient, world: World) -> None:
    labeled = world.trained(100)
    unlabeled = world.trained(100, labels=0, conditional=False)
    world.start()
    assert client.get("/sample").headers["X-Job-ID"] == unlabeled.id
    assert client.get("/sample?label=1").headers["X-Job-ID"] == labeled.id
    assert client.get("/sample", params={"job": labeled.id}).headers["X-Job-ID"] == labeled.id


def test_a_generator_without_labels_draws_and_says_no_label(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, conditional=False)
    answer = client.get("/sample?seed=1")
    assert answer.status_code == 200
    assert "X-Label" not in answer.headers
    assert list(arrays(client, n=2)["labels"]) == [-1, -1]
    assert client.get("/sample?format=json").json()["images"][0]["label"] is None


def test_a_label_may_be_named(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100, names=["shirt", "Sneaker", "bag", *"3456789"])
    by_index = client.get("/sample?seed=1&label=1")
    assert client.get("/sample?seed=1&label=Sneaker").content == by_index.content
    assert client.get("/sample?seed=1&label=sneaker").content == by_index.content
    assert client.get("/sample?seed=1&label=sneaker").headers["X-Label"] == "1"
    status, pointer, detail = fault(client, label="sneakers")
    assert (status, pointer) == (422, "/label")
    assert "Did you mean 'Sneaker'?" in detail
    assert "0 (shirt), 1 (Sneaker)" in detail


def test_a_label_that_is_none_is_refused_with_those_that_are(client: TestClient, world: World) -> None:
    job = world.trained(100)
    for label in ("11", "-1", "seven", "07", "7.0", "٧"):
        status, pointer, detail = fault(client, label=label, job=job.id)
        assert (status, pointer) == (422, "/label")
        assert "Allowed: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in detail


@pytest.mark.parametrize("named", [True, False])
def test_a_label_asked_of_a_job_that_has_none_is_refused(client: TestClient, world: World, named: bool) -> None:
    job = world.trained(100, labels=0, conditional=False)
    query = {"label": 7, "job": job.id} if named else {"label": 7}
    status, pointer, detail = fault(client, **query)
    assert (status, pointer) == (422, "/label")
    assert "leave `label` out" in detail


def test_a_label_that_a_job_will_never_draw_is_refused_before_it_has_a_checkpoint(
    client: TestClient, world: World
) -> None:
    unlabeled = world.submit(conditional=False)
    assert fault(client, job=unlabeled.id, label=7)[:2] == (422, "/label")
    labeled = world.submit(conditional=True)
    assert fault(client, job=labeled.id, label=11)[:2] == (422, "/label")
    assert fault(client, label=11)[:2] == (422, "/label")
    assert client.get("/sample", params={"job": labeled.id, "label": 7}).status_code == 409


def test_a_job_without_a_checkpoint_says_when_to_ask_again(client: TestClient, world: World) -> None:
    held = world.start()
    for query in ({}, {"job": held.job.id}):
        answer = client.get("/sample", params=query)
        assert answer.status_code == 409
        assert int(answer.headers["Retry-After"]) > 0
        assert held.job.id in answer.json()["detail"]
    world.succeed(held)
    answer = client.get("/sample", params={"job": held.job.id})
    assert answer.status_code == 409
    assert "Retry-After" not in answer.headers


def test_without_any_job_the_answer_says_how_to_post_one(client: TestClient) -> None:
    answer = client.get("/sample")
    assert answer.status_code == 404
    assert "POST /jobs" in answer.json()["detail"]


def test_a_step_without_a_checkpoint_is_not_found(client: TestClient, world: World) -> None:
    world.trained(100)
    assert client.get("/sample?step=100").status_code == 200
    assert client.get("/sample?step=101").status_code == 404


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(client: TestClient, world: World) -> None:
    job = world.trained(100, 200)
    whole = client.get("/sample?seed=1&step=100").content
    world.damage(job, 200)
    answer = client.get("/sample?seed=1")
    assert (answer.status_code, answer.headers["X-Checkpoint-Step"]) == (200, "100")
    assert answer.content == whole


def test_a_damaged_checkpoint_says_so_where_nothing_else_may_answer(client: TestClient, world: World) -> None:
    job = world.trained(100, 200)
    world.damage(job, 100)
    pinned = client.get("/sample?seed=1&step=100")
    assert pinned.status_code == 503
    assert "generator.onnx of step 100 is damaged" in pinned.json()["detail"]
    world.damage(job, 200)
    assert client.get("/sample?seed=1").status_code == 503
