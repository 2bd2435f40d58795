# SPDX-License-Identifier: MIT
"""An application with everything that a limiter can disturb."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware

from tidegate.fastapi import RateLimit, RateLimitMiddleware


class Neighbour(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-neighbour"] = "here"
        return response


def by_key(request: Request) -> str | None:
    return request.headers.get("x-api-key")


async def tier(request: Request) -> str:
    await asyncio.sleep(0)
    return {"pro": "500/minute", "basic": "5/minute"}.get(
        request.headers.get("x-tier", ""), "50/minute"
    )


def make_app(gate, **middleware) -> FastAPI:
    app = FastAPI()
    app.state.ran, app.state.cancelled = [], []
    shared = RateLimit("3/minute", name="shared")

    @app.get("/health")
    @app.get("/sync")
    def sync_endpoint():
        return {"sync": True}

    @app.get("/items/{number}", dependencies=[Depends(RateLimit("2/minute"))])
    def item(number: int):
        return number

    @app.post("/expensive", dependencies=[Depends(RateLimit("5/minute", cost=2))])
    async def expensive():
        return "done"

    @app.get("/two", dependencies=[Depends(RateLimit("2/minute")), Depends(RateLimit("3/hour"))])
    async def two():
        return "two"

    @app.get("/twice", dependencies=[Depends(shared), Depends(shared)])
    async def twice(again: None = Depends(shared)):
        return "twice"

    @app.get("/shared", dependencies=[Depends(shared)])
    async def shared_too():
        return "shared"

    @app.get("/stream", dependencies=[Depends(RateLimit("2/minute"))])
    async def stream():
        async def parts():
            for i in range(3):
                yield f"data: {i}\n\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(parts(), media_type="text/event-stream")

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(app.state.ran.append, "background")
        return "soon"

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    @app.websocket("/ws-limited", dependencies=[Depends(RateLimit("1/minute"))])
    async def ws_limited(socket: WebSocket):
        await ws(socket)

    add_routers(app)
    app.add_middleware(Neighbour)
    if gate is not None:
        options = {
            "limit": "100/minute",
            "name": "global",
            "key": by_key,
            "exempt": ["/health"],
            "store": gate,
            **middleware,
        }
        app.add_middleware(RateLimitMiddleware, **options)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])
    return app


def add_routers(app: FastAPI) -> None:
    router = APIRouter(prefix="/router", dependencies=[Depends(RateLimit("2/minute"))])

    @router.get("/{name}")
    def routed(name: str):
        return name

    app.include_router(router)
    sub = FastAPI()

    @sub.get("/leaf/{name}", dependencies=[Depends(RateLimit("1/minute"))])
    def leaf(name: str):
        return name

    app.mount("/sub", sub)
