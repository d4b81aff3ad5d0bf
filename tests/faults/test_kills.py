"""`kill -9` at random moments: of the child, of the supervisor, of everything at once."""

import random
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.e2e.conftest import Running
from tests.faults.conftest import FINISHED, Told, a_server, a_stack, assert_whole

ROUNDS = {"sqlite": 20, "postgresql": 10}
LONGEST = 4.0  # seconds into the run


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    if request.param == "sqlite":
        with a_stack(home) as made:
            yield made
        return
    with a_server() as server, a_stack(home, GANYMEDE_DATABASE_URL=server.url.format("postgres")) as made:
        yield made


def child(running: Running) -> None:
    kill(running.processes("worker.child"))


def supervisor(running: Running) -> None:
    kill(running.processes("celery"))


def everything(running: Running) -> None:
    """End the whole stack at once, as a power cut does, and start it again."""
    kill([*running.processes(""), psutil.Process(running.up())])
    running.restart()


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)


@pytest.mark.parametrize("strike", [child, supervisor, everything], ids=lambda strike: strike.__name__)
def test_a_job_survives_kill_9_of(
    request: pytest.FixtureRequest,
    strike: Callable[[Running], None],
    running: Running,
    undisturbed: str,
    chance: random.Random,
    record_property: Told,
) -> None:
    rounds = ROUNDS["postgresql" if "postgresql" in request.node.name else "sqlite"]
    record_property("rounds", rounds)
    struck = 0
    for _ in range(rounds):
        job = running.submit()
        running.await_state(job, "starting", "running", *FINISHED)
        time.sleep(chance.uniform(0, LONGEST))
        struck += running.job(job)["state"] not in FINISHED
        strike(running)
        assert_whole(running, job, undisturbed)
    assert struck > rounds // 2, "most jobs were over before they were struck"
