"""Our API as it is, which also tells how late its event loop runs and how many images a pass drew: `GET /watch`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.main import create_app as create

EVERY_SECONDS = 0.005


def create_app() -> FastAPI:
    """Build the application; each look at `/watch` tells of the time since the one before."""
    app, late = create(), deque[float]()
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def watched(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            probe = asyncio.create_task(_probe(late))
            yield
            probe.cancel()

    async def watch(request: Request) -> JSONResponse:
        studio = request.app.state.resources.studio
        told = {"images": studio.images, "executions": studio.executions}
        half, most = np.quantile(late or [0.0], [0.5, 0.99]) * 1000
        late.clear()
        return JSONResponse({**told, "late_milliseconds": {"50 %": float(half), "99 %": float(most)}})

    app.router.lifespan_context = watched
    app.router.routes.append(Route("/watch", watch))
    return app


async def _probe(late: deque[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY_SECONDS
        await asyncio.sleep(EVERY_SECONDS)
        late.append(loop.time() - due)
