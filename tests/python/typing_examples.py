# SPDX-License-Identifier: MIT
"""The README's examples, for mypy --strict and pyright; it is checked, not run."""

from __future__ import annotations

import asyncio

from fastapi import Depends, FastAPI, Request

import tidegate
import tidegate.aio
from tidegate.fastapi import RateLimit, RateLimitMiddleware
from tidegate.testing import FakeClock


def synchronous() -> float | None:
    with tidegate.connect("redis://localhost", timeout_ms=100) as gate:
        api = gate.limiter("100/minute burst 20", name="api")
        decision: tidegate.Decision = api.consume("user:42", cost=1)
        if not decision:
            return decision.retry_after
        per_ip, per_key = gate.limiter("10/second"), gate.limiter("1000/hour")
        both = gate.consume([(per_ip, "203.0.113.7"), (per_key, "k_1", 3)])
        names: list[str | None] = [part.name for part in both.parts]
        api.refund("user:42", 1, decision)
        api.reset(b"bytes are keys too")
        fields: dict[str, str] = api.peek("user:42").headers(["standard"])
        gate.on_event(lambda event: print(event.text, names, fields))
        return api.wait("user:42", timeout=2.0).reset_after


async def asynchronous() -> int:
    clock = FakeClock()
    async with tidegate.aio.connect(clock=clock) as gate:
        api = gate.limiter("100/minute")
        one, two = await asyncio.gather(api.consume("a"), api.consume("b"))
        decision = await api.wait("a", timeout=1)
        await gate.ping()
        return (one.remaining or 0) + (two.remaining or 0) + gate.stats().allowed + bool(decision)


def identity(request: Request) -> str | None:
    return request.headers.get("x-api-key")


app = FastAPI()
app.add_middleware(
    RateLimitMiddleware, limit="100/minute", key=identity, exempt=["/health"], trusted_proxies=1
)


@app.post("/expensive", dependencies=[Depends(RateLimit("5/minute", cost=2))])
async def expensive() -> str:
    return "done"
