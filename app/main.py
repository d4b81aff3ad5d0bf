"""The API process: `uvicorn --factory app.main:create_app`."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from app import access, errors
from app.allocator import keep_freed_memory
from app.documents import responses
from app.doorkeeper import Doorkeeper
from app.parameters import refuse_unknown_parameters
from app.requests import RequestMiddleware, configure_logging
from app.resources import open_resources
from app.routes import (
    audit,
    checkpoints,
    docs,
    events,
    families,
    health,
    interpolations,
    jobs,
    keys,
    logs,
    metrics,
    models,
    previews,
    readings,
    samples,
    telemetry,
    workers,
)
from app.telemetry import RequestFigures, Telemetry
from store.settings import Settings

DESCRIPTION = """
Trains generative adversarial networks as jobs and serves what they generate.

Post a job to `POST /jobs`, watch it at `GET /jobs/{id}`, and ask for images at `GET /sample`, which answers from the
newest checkpoint while training still runs; `PUT /models/{name}` gives what serves a name. `POST /classify` and
`POST /score` tell what a model makes of your own images. Every answer carries an `X-Request-ID`; every answer that is
not a success is a problem document (RFC 9457) that says what was found and what is allowed.

Where the service listens to other machines, every request needs an API key: `Authorization: Bearer <key>`. A key has
scopes: `read`, `sample`, `train` (which includes `read`) and `admin` (which includes all).
"""
TAGS = [
    {"name": "jobs", "description": "Training runs, and what is known of each."},
    {"name": "sample", "description": "Images from what was trained, and what it makes of yours."},
    {"name": "models", "description": "Names that serve, each for a job and one of its checkpoints."},
    {"name": "keys", "description": "Who may do what, and who did."},
    {"name": "families", "description": "What can be trained."},
    {"name": "workers", "description": "Who trains."},
    {"name": "health", "description": "Whether the service works."},
]


class Ganymede(FastAPI):
    """The application, whose OpenAPI document also describes problems."""

    def openapi(self) -> dict[str, Any]:  # Any: an OpenAPI document
        """Return the OpenAPI document."""
        described = super().openapi()
        described["components"]["schemas"].update(responses.schemas())
        access.describe(described)
        return described


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; it opens the database and the files when it starts."""
    configure_logging()
    settings = settings or Settings()
    requests = RequestFigures()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.resources = await run_in_threadpool(open_resources, settings)
        app.state.telemetry = Telemetry(requests, app.state.resources)
        yield
        await run_in_threadpool(app.state.resources.close)

    app = Ganymede(
        title="Ganymede",
        version=version("ganymede"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        docs_url=None,  # ours needs nothing from elsewhere
        redoc_url=None,
        dependencies=[Depends(access.check_scope), Depends(refuse_unknown_parameters)],
        redirect_slashes=False,  # a redirect would be an answer that is neither a success nor a problem
    )
    app.add_middleware(Doorkeeper, settings=settings)
    app.add_middleware(RequestMiddleware, requests=requests)  # around the doorkeeper
    errors.install(app)
    for part in (
        samples,  # asked most often: routes are looked through in this order
        jobs,
        metrics,
        events,
        logs,
        checkpoints,
        previews,
        interpolations,
        readings,
        models,
        keys,
        audit,
        families,
        workers,
        health,
        telemetry,
        docs,
    ):
        app.include_router(part.router)
    return app


keep_freed_memory()
gc.freeze()  # what is loaded stays: else every full collection looks through all of it, and each request waits
gc.set_threshold(10_000, 10, 10)  # a request makes thousands of objects and keeps none: look for cycles more rarely
