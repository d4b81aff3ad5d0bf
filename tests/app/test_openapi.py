"""The OpenAPI document: what it promises holds for whatever is sent, and it changes on purpose only."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from starlette.testclient import TestClient

from app.main import create_app
from app.messenger import Messenger
from app.routes.keys import MOST_ALLOWED
from store import aliases, jobs, workers
from store.keys import Scope
from store.settings import Settings
from tests.app.world import Head, World, bearer, picture

SNAPSHOT = Path(__file__).parent / "openapi.json"
ACCEPT = "python -m tests.app.test_openapi"
OF_SOME_STATES = ("/resume", "/retry", "/extend")  # chance seldom meets a job that stands so; test_steering.py does
DOOMED_NAMES = ["old", "older"]  # models that may be deleted, which the others would miss
EXAMPLES = 25  # drawn for each operation, besides those that walk along its limits


@pytest.fixture
def schema(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Serve jobs of every kind, finished, running and paused, and a worker; read the service's document."""
    monkeypatch.setattr(Messenger, "_run", lambda _: None)  # whatever address is drawn, nobody is called
    looking = world.start(name="looking")
    world.checkpoint(looking, 100, labels=0, head=Head(classes=tuple(range(10)), scores=True, needs_label=True))
    world.succeed(looking)
    held = world.start(name="finished", tags={"course": "week 3"})
    world.report(held, [(1, {"d_loss": 1.0}), (2, {"d_loss": float("nan")})])
    for step in (100, 200):
        world.checkpoint(held, step, metrics={"fd_classifier": 1.0})
        world.preview(held, step, picture(step))
    world.succeed(held)
    doomed = [world.trained(100).id for _ in range(2)]
    running = world.start(name="running")
    cancelled = [world.submit(name="cancelled") for _ in range(2)]
    paused = [world.submit(name="paused") for _ in range(4)]  # several: a request before may cancel one
    _, secret = world.key(
        Scope.ADMIN, requests_per_minute=MOST_ALLOWED, images_per_day=MOST_ALLOWED, unfinished_jobs=MOST_ALLOWED
    )
    doomed_keys = [world.key(Scope.READ)[0].id for _ in range(4)]
    with world.database.write() as connection:
        for job in paused:
            jobs.pause(connection, job.id)
        for job in cancelled:
            jobs.cancel(connection, job.id)
        workers.announce(connection, "worker-1", "host", 7, "cpu")
        for name in ("digits", *DOOMED_NAMES):
            aliases.put(connection, name, held.job.id, "latest")
    config = configuration(
        [*2 * [held.job.id, running.job.id, looking.job.id], *(job.id for job in [*paused, *cancelled])],
        {"doomed": doomed, "doomed_names": DOOMED_NAMES, "doomed_keys": doomed_keys},
        bearer(secret),
    )
    guarded = create_app(world.settings.model_copy(update={"auth": True}))
    return schemathesis.openapi.from_asgi("/openapi.json", guarded, config=config)


def configuration(job_ids: list[str], doomed: dict[str, list[str]], headers: dict[str, str]) -> SchemathesisConfig:
    """Let most requests name what exists: ids drawn at random would only ever meet 404. Every check is on.

    `doomed` are those that may be deleted, which the others would miss.
    """
    known = {"job_id": job_ids, "step": [100, 200], "name": ["generator.onnx", "dcgan", "digits"]}
    # What is valid by itself may not go together, or not with what is stored: a grid too small for n, a label of
    # another job, a page after a job that is not there.
    valid = {"expected-statuses": ["2xx", "304", "404", "409", "422"]}
    return SchemathesisConfig.from_dict(
        {
            "dictionaries": {name: {"values": values} for name, values in {**known, **doomed}.items()},
            "headers": headers,
            "operations": [
                {
                    "include-name": "DELETE /jobs/{job_id}",
                    "parameters": {"path.job_id": {"dictionary": "doomed", "probability": 0.7}},
                },
                {
                    "include-name": "DELETE /models/{name}",
                    "parameters": {"path.name": {"dictionary": "doomed_names", "probability": 0.7}},
                },
                {
                    "include-name": "DELETE /keys/{key_id}",
                    "parameters": {"path.key_id": {"dictionary": "doomed_keys", "probability": 0.7}},
                },
                {
                    "include-name": "PUT /models/{name}",
                    "parameters": {"body.job": {"dictionary": "job_id", "probability": 0.7}},
                },
            ],
            "parameters": {f"path.{name}": {"dictionary": name, "probability": 0.7} for name in known},
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "phases": {"stateful": {"enabled": False}},  # the document declares no links to follow
            "checks": {"positive_data_acceptance": valid},
        }
    )


@pytest.mark.timeout(400)  # a minute's work, on a machine that has nothing else to do
def test_every_answer_is_one_that_the_document_describes(schema: Any) -> None:
    statuses: dict[str, set[int]] = defaultdict(set)
    failures: list[str] = []
    for event in engine.from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            answers = [interaction.response for interaction in recorder.interactions.values()]
            statuses[recorder.label] |= {answer.status_code for answer in answers if answer is not None}
            failures += found_in(recorder)
    assert not failures, "\n".join(failures)
    assert len(statuses) == len(list(schema.get_all_operations()))
    for operation, seen in statuses.items():
        assert max(seen) < 500, operation
        if not operation.endswith(OF_SOME_STATES):
            assert min(seen) < 300, f"{operation} was never asked something it could answer"


def found_in(recorder: Any) -> Iterator[str]:
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                what = f"{recorder.label}: {check.name}: {failure.title}: {failure.message}"
                yield f"{what}\n{check.failure_info.code_sample}"


def test_the_document_changes_on_purpose_only(world: World) -> None:
    found = described(world.settings)
    assert found == SNAPSHOT.read_text(), f"the API has changed; if that is meant: {ACCEPT}"


def described(settings: Settings | None = None) -> str:
    return json.dumps(create_app(settings).openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_every_operation_is_explained(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert len(operation["description"]) > 20, (method, path)
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (method, path, parameter["name"])


def test_every_example_works_when_it_is_pasted(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/jobs"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) >= 3
    for name, example in examples.items():
        assert client.post("/jobs", json=example["value"]).status_code == 202, name


def test_every_example_of_a_list_works_when_it_is_pasted(client: TestClient, world: World) -> None:
    world.trained(100)
    operation = client.get("/openapi.json").json()["paths"]["/sample"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) >= 3
    for name, example in examples.items():
        assert client.post("/sample", json=example["value"]).status_code == 200, name


if __name__ == "__main__":
    SNAPSHOT.write_text(described())
    sys.stdout.write(f"wrote {SNAPSHOT}\n")
