"""Networks that are swapped while a crowd asks for images: no error, no torn image, no step back."""

import asyncio
import io
from collections import Counter

import httpx
from PIL import Image

from tests.e2e.conftest import Running
from tests.faults.conftest import FINISHED, Told

REQUESTS, CLIENTS = 10_000, 16
CHECKPOINTS = 50


def test_10000_images_while_50_checkpoints_are_published(running: Running, record_property: Told) -> None:
    record_property("rounds", REQUESTS)
    job = running.submit(total_steps=CHECKPOINTS * 80, checkpoint_every=80, keep_checkpoints=3)
    running.await_checkpoint(job)
    seen = asyncio.run(crowd(running, job))
    assert seen.total() == REQUESTS
    assert len(seen) > CHECKPOINTS // 2, f"saw {len(seen)} checkpoints: the job was over too soon, or too late"
    assert running.await_state(job, *FINISHED)["state"] == "succeeded"


async def crowd(running: Running, job: str) -> Counter[int]:
    """Ask from many clients at once; return how many images each checkpoint drew."""
    seen: Counter[int] = Counter()
    newest = 0

    async def client(http: httpx.AsyncClient, first: int) -> None:
        nonlocal newest
        for seed in range(first, REQUESTS, CLIENTS):
            least = newest
            answer = await http.get("/sample", params={"job": job, "label": seed % 10, "seed": seed})
            assert answer.status_code == 200, answer.text
            step = int(answer.headers["X-Checkpoint-Step"])
            assert step >= least, "an older checkpoint answered than one that had answered before it was asked"
            newest = max(newest, step)
            seen[step] += 1
            with Image.open(io.BytesIO(answer.content)) as image:
                image.load()
                assert image.size == (8, 8)

    async with httpx.AsyncClient(base_url=running.stack.url, timeout=60, trust_env=False) as http:
        await asyncio.gather(*(client(http, first) for first in range(CLIENTS)))
    return seen
