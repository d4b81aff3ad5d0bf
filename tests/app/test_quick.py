"""A query that is read in one pass means what it means to the framework, to the last word of a refusal."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.access import check_scope
from app.main import create_app
from app.parameters import refuse_unknown_parameters
from app.quick import QuickRoute
from store.keys import Scope
from tests.app.world import LOOPBACK, World, bearer

WHOLE = st.sampled_from(["0", "1", "7", "-1", "07", " 1", "1_0", "1.0", "٧", "", "9" * 30, "nan", "1000", "50001"])
VALUES: dict[str, st.SearchStrategy[str]] = {
    "label": st.sampled_from(["3", "7", "ten", "", "x" * 101, "٧"]),
    "n": WHOLE,
    "seed": WHOLE,
    "index": WHOLE,
    "format": st.sampled_from(["png", "webp", "npz", "zip", "json", "PNG", ""]),
    "grid": st.sampled_from(["1x1", "2x3", "0x1", "x", ""]),
    "scale": WHOLE,
    "truncation": st.sampled_from(["0.5", "1", "-1", "nan", "1e1", "0.01", ""]),
    "job": st.sampled_from(["00000000-0000-0000-0000-000000000000", "x", ""]),
    "model": st.sampled_from(["default", "No", ""]),
    "step": st.sampled_from(["latest", "best", "100", "1", "-1", "newest", ""]),
    "colour": st.just("red"),
}
QUERIES = st.lists(
    st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.tuples(st.just(name), VALUES[name])), max_size=4
)

DONE_BY_ITSELF = [check_scope, refuse_unknown_parameters]


@pytest.fixture
def careful(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The same service, where FastAPI reads every query."""
    with TestClient(create_app(world.settings), base_url=LOOPBACK) as client:
        with monkeypatch.context() as patched:
            patched.setattr(QuickRoute, "get_route_handler", APIRoute.get_route_handler)
            client.get("/sample")  # what answers is made now
        yield client


def told(client: TestClient, query: list[tuple[str, str]]) -> Any:
    answer = client.get("/sample", params=query)
    kept = {name: answer.headers.get(name) for name in ("Content-Type", "ETag", "Cache-Control", "X-Label")}
    if answer.is_success and "seed" not in dict(query):  # drawn anew each time
        return answer.status_code
    body = answer.json() | {"request_id": ""} if answer.status_code >= 400 else answer.content
    return answer.status_code, kept, body


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES)
def test_quick_and_careful_answer_alike(
    client: TestClient, careful: TestClient, world: World, query: list[tuple[str, str]]
) -> None:
    if client.get("/jobs").json()["data"] == []:
        world.trained(100)
    assert told(client, query) == told(careful, query)


def test_most_queries_are_quick(client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.trained(100)

    async def never(*_: object) -> None:
        raise AssertionError("read by the framework")

    monkeypatch.setattr("fastapi.routing.solve_dependencies", never)
    answer = client.get("/sample?seed=1&label=7&n=2&format=npz&truncation=0.5&step=latest")
    assert answer.status_code == 200


def test_the_quick_way_does_by_itself_what_the_application_depends_on(world: World) -> None:
    """A dependency added to the application or to a router is not called on it: teach it `QuickRoute`, then list it."""
    contexts = list(iter_route_contexts(create_app(world.settings).routes))
    found = {
        context.path: [each.dependency for each in context.dependencies]
        for context in contexts
        if isinstance(context.original_route, QuickRoute)
    }
    assert set(found) == {"/sample"}
    assert all(dependencies == DONE_BY_ITSELF for dependencies in found.values()), found


def test_the_quick_way_refuses_a_key_that_lacks_the_scope(guarded: TestClient, world: World) -> None:
    world.trained(100)
    (_, read), (_, sample) = world.key(Scope.READ), world.key(Scope.SAMPLE)
    assert guarded.get("/sample?seed=1", headers=bearer(read)).status_code == 403
    assert guarded.get("/sample?seed=1", headers=bearer(sample)).status_code == 200
