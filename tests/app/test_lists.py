"""Images of lists over HTTP: labels, seeds and latent vectors, each the image that `GET /sample` draws."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from app.requests import MOST_BODY_BYTES, MOST_LIST_BYTES
from app.serving import latents
from tests.app.world import LATENT, SIZE, Head, World

Arrays = dict[str, NDArray[Any]]


def unpacked(content: bytes) -> Arrays:
    return dict(np.load(io.BytesIO(content), allow_pickle=False))


def posted(client: TestClient, **body: Any) -> Arrays:
    answer = client.post("/sample", json={"format": "npz", **body})
    assert answer.status_code == 200, answer.text
    return unpacked(answer.content)


def got(client: TestClient, **query: Any) -> Arrays:
    answer = client.get("/sample", params={"format": "npz", **query})
    assert answer.status_code == 200, answer.text
    return unpacked(answer.content)


def noise(seed: int, index: int = 0) -> list[float]:
    return [float(number) for number in latents.noise([(seed, index)], LATENT)[0]]


def test_seeds_draw_what_each_of_them_draws_alone(client: TestClient, world: World) -> None:
    world.trained(100)
    seeds = [5, 2**53 - 1, 0, 5]
    drawn = posted(client, seeds=seeds)
    assert list(drawn["seed"]) == seeds
    for place, seed in enumerate(seeds):
        alone = got(client, seed=seed)
        assert drawn["images"][place].tobytes() == alone["images"][0].tobytes()
        assert drawn["labels"][place] == alone["labels"][0]
    assert len({image.tobytes() for image in drawn["images"]}) == 3


def test_seeds_beside_labels_draw_what_each_pair_draws_alone(client: TestClient, world: World) -> None:
    world.trained(100)
    drawn = posted(client, seeds=[5, 5, 6], labels=[7, "3", 7])
    assert list(drawn["labels"]) == [7, 3, 7]
    for place, (seed, label) in enumerate([(5, 7), (5, 3), (6, 7)]):
        assert drawn["images"][place].tobytes() == got(client, seed=seed, label=label)["images"][0].tobytes()


def test_labels_alone_draw_a_row_of_one_seed(client: TestClient, world: World) -> None:
    world.trained(100)
    drawn = posted(client, labels=[7, 7, 1], seed=5)
    for place, label in enumerate([7, 7, 1]):
        assert drawn["images"][place].tobytes() == got(client, seed=5, label=label, index=place)["images"][0].tobytes()
    assert drawn["seed"] == 5
    assert not np.array_equal(drawn["images"][0], drawn["images"][1])


def test_latent_vectors_draw_what_the_noise_of_a_seed_draws(client: TestClient, world: World) -> None:
    world.trained(100)
    drawn = posted(client, latents=[noise(5), noise(6, 3)], labels=[7, 1])
    assert drawn["images"][0].tobytes() == got(client, seed=5, label=7)["images"][0].tobytes()
    assert drawn["images"][1].tobytes() == got(client, seed=6, label=1, index=3)["images"][0].tobytes()
    assert "seed" not in drawn


def test_truncation_of_a_list_is_that_of_one_image(client: TestClient, world: World) -> None:
    world.trained(100)
    drawn = posted(client, seeds=[5, 6], labels=[7, 7], truncation=0.5)
    for place, seed in enumerate((5, 6)):
        alone = got(client, seed=seed, label=7, truncation=0.5)
        assert drawn["images"][place].tobytes() == alone["images"][0].tobytes()
    assert not np.array_equal(drawn["images"], posted(client, seeds=[5, 6], labels=[7, 7])["images"])


@pytest.mark.parametrize("kind", ["png", "webp", "npz", "zip", "json"])
def test_a_list_of_one_is_the_image_itself(client: TestClient, world: World, kind: str) -> None:
    world.trained(100)
    single = client.get(f"/sample?seed=5&label=7&format={kind}")
    for body in ({"seeds": [5], "labels": [7]}, {"labels": [7], "seed": 5}):
        answer = client.post("/sample", json={**body, "format": kind})
        assert answer.content == single.content
        told = ("Content-Type", "X-Seed", "X-Label", "X-Checkpoint-Step", "X-Job-ID")
        assert [answer.headers[name] for name in told] == [single.headers[name] for name in told]
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_seed_is_drawn_for_labels_and_told(client: TestClient, world: World) -> None:
    world.trained(100)
    first, second = (client.post("/sample", json={"labels": [1, 2]}) for _ in range(2))
    assert first.content != second.content
    again = client.post("/sample", json={"labels": [1, 2], "seed": int(first.headers["X-Seed"])})
    assert again.content == first.content
    assert "X-Label" not in first.headers


def test_json_says_how_to_have_each_image_alone(client: TestClient, world: World) -> None:
    world.trained(100)
    for body in ({"seeds": [5, 6], "labels": [7, 7]}, {"labels": [7, 1], "seed": 3}):
        document = client.post("/sample", json={**body, "format": "json"}).json()
        for image in document["images"]:
            query = {name: image[name] for name in ("seed", "index", "label")}
            assert client.get("/sample", params={**query, "format": "json"}).json()["images"] == [image]
    sent = client.post("/sample", json={"latents": [noise(5)] * 2, "labels": [7, 7], "format": "json"}).json()
    assert [(image["seed"], image["index"]) for image in sent["images"]] == [(None, 0), (None, 1)]
    assert sent["seed"] is None


def test_a_zip_has_a_file_for_each_though_seeds_repeat(client: TestClient, world: World) -> None:
    world.trained(100)
    answer = client.post("/sample", json={"seeds": [5, 5, 6], "labels": [7, 7, 1], "format": "zip"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.namelist() == ["000000-label-7.png", "000001-label-7.png", "000002-label-1.png"]


def test_labels_may_be_named(client: TestClient, world: World) -> None:
    held = world.start()
    world.checkpoint(held, 100, names=["shirt", "Sneaker", "bag", *"3456789"])
    assert list(posted(client, labels=["sneaker", "1", 1, "Bag"], seed=1)["labels"]) == [1, 1, 1, 2]
    answer = client.post("/sample", json={"labels": ["bag", "sneakers"]})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/labels/1")
    assert "Did you mean 'Sneaker'?" in error["detail"]


def test_a_generator_without_labels_draws_seeds_and_latents(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, conditional=False)
    drawn = posted(client, seeds=[5, 6])
    assert drawn["images"].tobytes() == posted(client, latents=[noise(5), noise(6)])["images"].tobytes()
    assert list(drawn["labels"]) == [-1, -1]


def test_a_class_head_chooses_images_of_each_label(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=Head(classes=(0, 1, 2)))
    answer = client.post("/sample", json={"labels": [2, 0, 1], "seed": 5, "format": "json"})
    document = answer.json()
    for place, image in enumerate(document["images"]):
        alone = client.get(f"/sample?seed=5&index={place}&label={image['label']}&format=json").json()["images"]
        assert alone == [image]
    assert answer.headers["X-Label-Confidence"] == f"{min(image['confidence'] for image in document['images']):.6f}"


def test_points_are_drawn_of_lists(client: TestClient, world: World) -> None:
    held = world.start()
    world.points(held, 100)
    points = posted(client, seeds=[5, 6])["points"]
    assert points.tobytes() == b"".join(got(client, seed=seed)["points"].tobytes() for seed in (5, 6))


def test_a_model_or_a_job_and_a_step_answer(client: TestClient, world: World) -> None:
    job = world.trained(100, 200)
    world.trained(300)
    client.put("/models/digits", json={"job": job.id, "step": 100})
    for source, step in (({"model": "digits"}, 100), ({"job": job.id}, 200), ({"model": "digits", "step": 200}, 200)):
        answer = client.post("/sample", json={"seeds": [1], **source})
        assert (answer.headers["X-Job-ID"], answer.headers["X-Checkpoint-Step"]) == (job.id, str(step))


FLAT = [0.0] * LATENT["size"]


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({}, "", "`labels`"),
        ({"seed": 5}, "", "`labels`"),
        ({"seeds": []}, "/seeds", "at least 1 item"),
        ({"seeds": [1] * 1001}, "/seeds", "at most 1000 items"),
        ({"labels": [1] * 1001}, "/labels", "at most 1000 items"),
        ({"latents": [FLAT] * 1001}, "/latents", "at most 1000 items"),
        ({"seeds": [1, -1]}, "/seeds/1", "greater than or equal to 0"),
        ({"seeds": [2**53]}, "/seeds/0", "less than or equal"),
        ({"seeds": [10**4000]}, "/seeds/0", "less than or equal"),
        ({"seeds": ["1"]}, "/seeds/0", "integer"),
        ({"seeds": [True]}, "/seeds/0", "integer"),
        ({"seeds": [1.0]}, "/seeds/0", "integer"),
        ({"seeds": 1}, "/seeds", "list"),
        ({"seeds": None}, "", "`labels`"),
        ({"seeds": [1, 2], "labels": [1]}, "/labels", "1 labels for 2 images"),
        ({"seeds": [1], "seed": 2}, "/seed", "leave `seed` out"),
        ({"seeds": [1], "latents": [FLAT]}, "/seeds", "leave `seeds` out"),
        ({"latents": [FLAT], "labels": [1], "seed": 1}, "/seed", "leave `seed` out"),
        ({"latents": [FLAT], "labels": [1], "truncation": 0.5}, "/truncation", "leave `truncation` out"),
        ({"latents": [FLAT]}, "/labels", "a label for each"),
        ({"latents": [FLAT, FLAT[1:]], "labels": [1, 2]}, "/latents/1", "vectors of 8 numbers; found 7"),
        ({"latents": [[]], "labels": [1]}, "/latents/0", "at least 1 item"),
        ({"latents": [[*FLAT[1:], 10.5]], "labels": [1]}, "/latents/0/7", "less than or equal to 10"),
        ({"latents": [[*FLAT[1:], "0"]], "labels": [1]}, "/latents/0/7", "number"),
        ({"latents": [[*FLAT[1:], None]], "labels": [1]}, "/latents/0/7", "number"),
        ({"latents": [FLAT, 0.0], "labels": [1, 2]}, "/latents/1", "list"),
        ({"labels": [1, None]}, "/labels/1", "integer"),
        ({"labels": [1.5]}, "/labels/0", "integer"),
        ({"labels": [1, 11]}, "/labels/1", "Allowed: 0, 1,"),
        ({"labels": [-1]}, "/labels/0", "greater than or equal to 0"),
        ({"labels": [""]}, "/labels/0", "at least 1 character"),
        ({"labels": ["7\x00"]}, "/labels/0", "without NUL"),
        ({"labels": ["\ud800"]}, "/labels/0", "valid string"),
        ({"labels": ["x" * 101]}, "/labels/0", "at most 100"),
        ({"seeds": [1], "grid": "2"}, "/grid", "rows x columns"),
        ({"seeds": [1] * 5, "grid": "2x2"}, "/grid", "4 places for 5 images"),
        ({"seeds": [1], "grid": "1x1", "format": "npz"}, "/grid", "one by one"),
        ({"seeds": [1], "format": "gif"}, "/format", "png"),
        ({"seeds": [1], "scale": 33}, "/scale", "less than or equal to 32"),
        ({"seeds": [1], "scale": 2, "format": "npz"}, "/scale", "as it is"),
        ({"seeds": [1] * 1000, "scale": 32}, "/scale", "more than 16,777,216 pixels"),
        ({"seeds": [1], "truncation": 0}, "/truncation", "greater than or equal"),
        ({"seeds": [1], "truncation": "0.5"}, "/truncation", "number"),
        ({"seeds": [1], "job": "7"}, "/job", "lower-case UUID"),
        ({"seeds": [1], "model": "Digits"}, "/model", "lower-case letters"),
        (
            {"seeds": [1], "model": "digits", "job": "0" * 8 + "-0000-4000-8000-" + "0" * 12},
            "/model",
            "one or the other",
        ),
        ({"seeds": [1], "step": "newest"}, "/step", "Allowed: best, latest"),
        ({"seeds": [1], "n": 5}, "/n", "no such field"),
        ({"sedes": [1]}, "/sedes", "Did you mean 'seeds'?"),
        ({f"a{number}": 0 for number in range(100)}, "", "Found 100 fields. Allowed: format, grid"),
        ([], "", "JSON object"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(
    client: TestClient, world: World, body: Any, pointer: str, said: str
) -> None:
    world.trained(100)
    answer = client.post("/sample", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert list(errors) == [pointer]
    assert said in errors[pointer]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_latent_vector_of_what_is_no_number_is_refused(client: TestClient, world: World, number: str) -> None:
    world.trained(100)
    body = f'{{"labels": [1], "latents": [[{", ".join([number] * 8)}]]}}'
    answer = client.post("/sample", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/latents/0/0"


@pytest.mark.parametrize("body", ["{", "", "[" * 100_000, '{"seeds": [' + "9" * 5000 + "]}", b"\xff\xfe"])
def test_what_is_no_json_is_refused(client: TestClient, body: str | bytes) -> None:
    answer = client.post("/sample", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_many_faults_are_told_as_the_first(client: TestClient, world: World) -> None:
    world.trained(100)
    answer = client.post("/sample", json={"latents": [["x"] * 1000] * 900})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/latents/0/0"]


def test_a_thousand_latent_vectors_fit_and_a_body_has_its_limit(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, conditional=False)
    whole = json.dumps({"latents": [noise(seed) for seed in range(1000)], "format": "npz"})
    padded = whole + " " * MOST_BODY_BYTES
    answer = client.post("/sample", content=padded, headers={"Content-Type": "application/json"})
    assert unpacked(answer.content)["images"].shape == (1000, SIZE, SIZE, 1)
    too_much = client.post("/sample", content=" " * (MOST_LIST_BYTES + 1), headers={"Content-Type": "application/json"})
    assert too_much.status_code == 413
    assert f"{MOST_LIST_BYTES:,}" in too_much.json()["detail"]


def test_labels_of_a_job_that_has_none_are_refused(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, conditional=False)
    answer = client.post("/sample", json={"labels": [7, 8]})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/labels/0")
    assert "leave `labels` out" in error["detail"]


def test_a_label_that_a_job_will_never_draw_is_refused_before_it_has_a_checkpoint(
    client: TestClient, world: World
) -> None:
    job = world.submit(conditional=True)
    answer = client.post("/sample", json={"labels": [7, 11], "job": job.id})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/labels/1")
    assert client.post("/sample", json={"labels": [7, 8], "job": job.id}).status_code == 409


def test_latents_are_not_chosen_among(client: TestClient, world: World) -> None:
    world.trained(100, labels=0, head=Head(classes=(0, 1, 2)))
    answer = client.post("/sample", json={"latents": [noise(5)], "labels": [1]})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/labels"
    assert "send `seeds` instead" in error["detail"]
    assert client.post("/sample", json={"latents": [noise(5)]}).status_code == 200
