"""Every family: killed in the midst of its run, it ends with the very bits of a run that nobody disturbed."""

import random
import time

import pytest

from ganmodels.specs import FAMILIES
from tests.e2e.conftest import Running
from tests.e2e.test_families import asked
from tests.faults.conftest import FINISHED, final_digest

LONG_ENOUGH = {"total_steps": 400, "checkpoint_every": 50, "preview_every": 400, "log_every": 50}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_killed_run_ends_with_the_same_bits(running: Running, chance: random.Random, family: str) -> None:
    calm = post(running, family)
    assert running.await_state(calm, *FINISHED)["state"] == "succeeded", running.job(calm)["error"]
    job = post(running, family)
    running.await_checkpoint(job)
    time.sleep(chance.uniform(0, 0.2))
    for child in running.processes("worker.child"):
        child.kill()
    assert running.await_state(job, *FINISHED)["state"] == "succeeded", running.job(job)["error"]
    assert len(running.items(f"/jobs/{job}/logs")) == 2, "the job was over before it was struck"
    assert final_digest(running, job) == final_digest(running, calm)


def post(running: Running, family: str) -> str:
    answer = running.http.post("/jobs", json=asked(family) | LONG_ENOUGH)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
