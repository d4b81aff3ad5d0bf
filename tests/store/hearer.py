"""A consumer of the doorbell: `python -m tests.store.hearer REDIS_URL FILE` writes a line into FILE at every ring."""

import sys
from pathlib import Path

from store.doorbell import WAKE, celery_app
from store.settings import Settings


def main(redis_url: str, heard: Path) -> None:
    celery = celery_app(Settings(redis_url=redis_url))

    @celery.task(name=WAKE)
    def wake() -> None:
        with heard.open("a") as file:
            file.write("rung\n")

    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    celery.worker_main(["worker", "--pool", "threads", "--concurrency", "1", "--hostname", heard.stem, *quiet])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
