"""Models over HTTP: names that serve, what they stand for, and what they keep from being removed."""

import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from store.jobs import Job
from tests.app.world import SIZE, Head, World, picture

LAST = 14  # checkpoints that arrive while images are asked for
NO_ONE = "00000000-0000-4000-8000-000000000000"


def name(client: TestClient, name: str, job: Job, **body: Any) -> dict[str, Any]:
    answer = client.put(f"/models/{name}", json={"job": job.id, **body})
    assert answer.status_code in (200, 201), answer.text
    document: dict[str, Any] = answer.json()
    return document


def drawn(client: TestClient, query: str) -> tuple[str, int]:
    """Return the job and the step that drew."""
    answer = client.get(f"/sample?{query}")
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Job-ID"], int(answer.headers["X-Checkpoint-Step"])


def test_a_name_is_given_moved_read_and_let_go(client: TestClient, world: World) -> None:
    first, second = world.trained(100), world.trained(100, 200)
    made = client.put("/models/digits", json={"job": first.id})
    assert (made.status_code, made.headers["Location"]) == (201, "/models/digits")
    moved = client.put("/models/digits", json={"job": second.id, "step": 100})
    assert (moved.status_code, "Location" in moved.headers) == (200, False)
    read = client.get("/models/digits").json()
    assert read == moved.json()
    told = {field: read[field] for field in ("object", "name", "job", "step", "url")}
    assert told == {"object": "model", "name": "digits", "job": second.id, "step": 100, "url": "/models/digits"}
    assert client.delete("/models/digits").status_code == 204
    for answer in (client.get("/models/digits"), client.delete("/models/digits"), client.get("/sample?model=digits")):
        assert answer.status_code == 404
        assert "digits" in answer.json()["detail"]


@pytest.mark.parametrize(("step", "meant"), [("latest", 300), ("best", 200), (100, 100)])
def test_a_model_says_which_checkpoint_it_is_now(client: TestClient, world: World, step: str | int, meant: int) -> None:
    held = world.start()
    assert name(client, "digits", held.job)["checkpoint"] is None
    for at, distance in ((100, 5.0), (200, 2.0), (300, 3.0)):
        world.checkpoint(held, at, metrics={"fd_classifier": distance})
    found = name(client, "digits", held.job, step=step)["checkpoint"]
    assert (found["step"], found["url"]) == (meant, f"/jobs/{held.job.id}/checkpoints/{meant}")
    assert drawn(client, "model=digits") == (held.job.id, meant)


def test_models_are_listed_by_name_page_by_page(client: TestClient, world: World) -> None:
    job = world.trained(100)
    for each in ("c", "a", "b"):
        name(client, each, job)
    page = client.get("/models?limit=2").json()
    assert ([model["name"] for model in page["data"]], page["has_more"], page["last_id"]) == (["a", "b"], True, "b")
    rest = client.get("/models?limit=2&after=b").json()
    assert ([model["name"] for model in rest["data"]], rest["has_more"]) == (["c"], False)


def test_a_model_draws_what_its_checkpoint_draws(client: TestClient, world: World) -> None:
    job = world.trained(100, 200)
    name(client, "digits", job, step=100)
    by_name, by_job = client.get("/sample?seed=1&model=digits"), client.get(f"/sample?seed=1&job={job.id}&step=100")
    assert by_name.content == by_job.content
    assert by_name.headers["ETag"] == by_job.headers["ETag"]
    assert (
        client.get("/sample?seed=1&model=digits", headers={"If-None-Match": by_job.headers["ETag"]}).status_code == 304
    )


def test_a_step_that_is_asked_for_goes_before_the_model_s_own(client: TestClient, world: World) -> None:
    job = world.trained(0, 100, 200)
    name(client, "digits", job, step=100)
    assert drawn(client, "model=digits&step=latest") == (job.id, 200)
    assert drawn(client, "model=digits&step=0") == (job.id, 0)
    assert drawn(client, "model=digits") == (job.id, 100)


def test_what_a_name_answers_is_never_kept_for_good(client: TestClient, world: World) -> None:
    job = world.trained(100)
    name(client, "digits", job, step=100)
    for query in ("model=digits", "model=digits&step=100"):
        assert client.get(f"/sample?seed=1&{query}").headers["Cache-Control"] == "no-cache"


def test_the_default_answers_where_nobody_is_named(client: TestClient, world: World) -> None:
    old, newest = world.trained(100, 200), world.trained(300)
    assert drawn(client, "seed=1") == (newest.id, 300)
    name(client, "default", old, step=100)
    assert drawn(client, "seed=1") == (old.id, 100)
    assert drawn(client, "seed=1&label=3&step=latest") == (old.id, 200)
    assert drawn(client, f"job={newest.id}") == (newest.id, 300)
    client.delete("/models/default")
    assert drawn(client, "seed=1") == (newest.id, 300)


@pytest.mark.parametrize("path", ["/classify", "/score"])
def test_a_model_looks_at_images(client: TestClient, world: World, path: str) -> None:
    head = Head(classes=tuple(range(10)), scores=True)
    looking = world.trained(100, 200, head=head)
    world.trained(300, head=head)
    name(client, "eyes", looking, step=100)
    image = client.get(f"/sample?job={looking.id}").content
    answer = client.post(f"{path}?model=eyes", content=image, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    assert (answer.headers["X-Job-ID"], answer.headers["X-Checkpoint-Step"]) == (looking.id, "100")


def test_a_job_and_a_model_at_once_cannot_be_meant(client: TestClient, world: World) -> None:
    job = world.trained(100)
    name(client, "digits", job)
    answers = [
        client.get(f"/sample?model=digits&job={job.id}"),
        client.post(
            f"/classify?model=digits&job={job.id}", content=picture(SIZE), headers={"Content-Type": "image/png"}
        ),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/model"


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({"job": NO_ONE}, "/job", f"no job {NO_ONE}"),
        ({"step": 300}, "/step", "no whole checkpoint at step 300"),
        ({"step": 100}, "/step", "step 100 was removed by retention"),
        ({"step": "newest"}, "/step", "Allowed: best, latest"),
        ({"step": -1}, "/step", "greater than or equal to 0"),
        ({"step": 2**53}, "/step", "less than or equal"),
        ({"step": 1.0}, "/step", "integer"),
        ({"step": True}, "/step", "integer"),
        ({"step": None}, "/step", "integer"),
        ({"job": 7}, "/job", "string"),
        ({"job": "7"}, "/job", "lower-case UUID"),
        ({"jop": NO_ONE}, "/jop", "Did you mean 'job'? Allowed: job, step."),
    ],
)
def test_a_name_for_what_cannot_be_had_is_refused(
    client: TestClient, world: World, body: dict[str, Any], pointer: str, said: str
) -> None:
    job = world.trained(100, 200, keep_checkpoints=1)
    answer = client.put("/models/digits", json={"job": job.id, **body})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert said in error["detail"]
    assert client.get("/models/digits").status_code == 404


@pytest.mark.parametrize("body", [[], "digits", None, 7])
def test_a_name_for_what_is_no_object_is_refused(client: TestClient, body: Any) -> None:
    answer = client.put("/models/digits", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == ""
    assert "JSON object" in error["detail"] or "JSON body" in error["detail"]


@pytest.mark.parametrize("wrong", ["Digits", "-digits", "digits%00", "x" * 65, "di gits", "%2e%2e", "zahlen\u00fc"])
def test_a_name_is_a_slug(client: TestClient, world: World, wrong: str) -> None:
    answer = client.put(f"/models/{wrong}", json={"job": world.trained(100).id})
    assert answer.status_code in (404, 422)
    assert client.get("/models").json()["data"] == []


def test_a_checkpoint_with_a_name_is_never_removed(client: TestClient, world: World) -> None:
    held = world.start(keep_checkpoints=1)
    world.checkpoint(held, 100)
    name(client, "digits", held.job, step=100)
    first = client.get("/sample?seed=1&model=digits").content
    for step in (200, 300):
        world.checkpoint(held, step)
    assert client.get(f"/sample?seed=1&job={held.job.id}&step=200").status_code == 410
    assert client.get("/sample?seed=1&model=digits").content == first


def test_a_job_with_a_name_is_not_deleted(client: TestClient, world: World) -> None:
    job = world.trained(100)
    name(client, "digits", job)
    refused = client.delete(f"/jobs/{job.id}")
    assert refused.status_code == 409
    assert "model digits" in refused.json()["detail"]
    assert drawn(client, "model=digits") == (job.id, 100)
    client.delete("/models/digits")
    assert client.delete(f"/jobs/{job.id}").status_code == 204


def test_a_model_without_a_checkpoint_says_when_to_ask_again(client: TestClient, world: World) -> None:
    held = world.start()
    name(client, "digits", held.job)
    answer = client.get("/sample?model=digits")
    assert answer.status_code == 409
    assert int(answer.headers["Retry-After"]) > 0


def test_no_request_steps_back_while_checkpoints_arrive_and_names_move_on(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 0)
    name(client, "digits", held.job, step=0)
    done = threading.Event()
    seen: list[list[int]] = [[], []]

    def ask(query: str, steps: list[int]) -> None:
        while not done.is_set():
            steps.append(drawn(client, query)[1])

    asking = [threading.Thread(target=ask, args=each) for each in zip(("model=digits", "seed=1"), seen, strict=True)]
    for thread in asking:
        thread.start()
    for step in range(1, LAST + 1):
        world.checkpoint(held, step)
        name(client, "digits", held.job, step=step)
    while not all(steps and steps[-1] == LAST for steps in seen):  # the test's own time limit ends a wait in vain
        time.sleep(0.01)
    done.set()
    for thread in asking:
        thread.join()
    assert seen == [sorted(steps) for steps in seen]
