# SPDX-License-Identifier: MIT
"""The README's examples, for mypy --strict and pyright; it is checked, not run."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

import tidegate
import tidegate.aio
import tidegate.policy
from tidegate.fastapi import RateLimit, RateLimitMiddleware
from tidegate.testing import FakeClock
from tidegate.wsgi import RateLimitMiddleware as WsgiMiddleware


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
        gate.refund([(per_ip, "203.0.113.7"), (per_key, 42, 3)], both)
        gate.reset([(per_ip, "203.0.113.7"), (per_key, b"k_1")])
        gate.limiter("1/s", algorithm="sliding_window", mode="shadow", on_failure="open").close()
        gate.limiter("1/s", mode="shdow")  # type: ignore[arg-type]
        gate.limiter("1/s", algorithm="magic")  # type: ignore[arg-type]
        gate.limiter("1/s", on_failure="cry")  # type: ignore[arg-type]
        api.change(mode="of")  # type: ignore[arg-type]
        gate.limiter("1/s", mode=api.rates[0].mode, algorithm=api.rates[0].algorithm)
        print(decision.as_dict()["limit"], decision.as_json(), tidegate.caller_key(42, "::1"))
        api.reset(b"bytes are keys too")
        fields: dict[str, str] = api.peek("user:42").headers(["standard"])
        gate.on_event(lambda event: print(event.text, names, fields))
        owed: int | None = api.debit("user:42", 3, decision).parts[0].shortfall
        gate.debit([(api, "a", 3), (api, b"b")])
        with api.reserve("user:42", 800) as reservation, gate.reserve([(api, "a", 3)]):
            settled: tidegate.Settled = reservation.settle(300)
            print(settled.given_back, owed)
        slots = gate.limiter("5 at once", lease="30s")
        with slots.slot("user:42", timeout=2.0, on_lost=lambda: print("lost")) as slot:
            print(slot.lost, bool(slot), slot.id)
        gate.consume([(api, "a", 3), (slots, "a", 1, b"id")])
        renewed: bool = slots.acquire("a", id=b"id").parts[0].renewed
        slots.release("a", b"id")
        slots.acquire("a", id="id")  # type: ignore[arg-type]
        print(renewed)
        return api.wait("user:42", timeout=2.0).reset_after


async def asynchronous() -> int:
    clock = FakeClock()
    async with tidegate.aio.connect(clock=clock) as gate:
        api = gate.limiter("100/minute")
        one, two = await asyncio.gather(api.consume("a"), api.consume("b"))
        decision = await api.wait("a", timeout=1)
        await gate.ping()
        await gate.refund([(api, 7)], one)
        async with api.reserve("user:42", 800) as reservation:
            settled: tidegate.Settled = await reservation.settle(300)
            print(settled.debited)
        async with gate.limiter("5 at once").slot("user:42") as slot:
            print(slot.lost)
        held: tidegate.aio.Slot = await gate.limiter("5 at once").slot("user:42")
        await held.release()
        await api.debit("user:42", 3)
        return (one.remaining or 0) + (two.remaining or 0) + gate.stats().allowed + bool(decision)


def policies() -> list[str]:
    with tidegate.connect(policy={"version": 1}) as gate:
        decision = gate.check(method="POST", path="/", identity="k_1", images=4)
        status: int = decision.status
        if decision.verdict == "banned":
            print(status, decision.reason, decision.problem())
        gate.finish(decision, 200, used=3)
        version: int = gate.policy.set_caller("k_evil", ban="1h", reason="scraping")
        gate.policy.set_limit("basic", "5/minute", until=timedelta(minutes=5), mode="shadow")
        gate.policy.set_limit("basic", 5)  # type: ignore[arg-type]
        gate.policy.set_tier("pro", ["basic"])
        print(version, gate.policy.explain(method="GET")["parts"], gate.policy.live())
        faults = tidegate.policy.validate("version: 2\n")
        return [fault["message"] for fault in faults]


async def policies_on_a_loop() -> int:
    async with tidegate.aio.connect(policy="limits.yaml") as gate:
        decision = await gate.check({"x-any": True}, method="GET")
        await gate.policy.explain(method="GET")
        await gate.policy.set_limit("basic", 5)  # type: ignore[arg-type]
        return await gate.policy.set_caller("k", ban=not decision)


@tidegate.limited("10/minute", key=lambda user: user, timeout=2)
def send_mail(user: str) -> int:
    return len(user)


@tidegate.limited("2 at once")
async def fetch(user: str) -> str:
    return user


total: int = send_mail("ann") + len(asyncio.run(fetch("bob")))


def identity(request: Request) -> str | None:
    return request.headers.get("x-api-key")


app = FastAPI()


async def refuse(request: Request, decision: tidegate.Decision) -> JSONResponse | None:
    return JSONResponse({"retry_after": decision.retry_after}) if decision.retry_after else None


app.add_middleware(
    RateLimitMiddleware,
    limit="100/minute",
    key=identity,
    exempt=["/health"],
    trusted_proxies=1,
    mode="shadow",
    on_denied=refuse,
)
RateLimit("1/s", mode="shdow")  # type: ignore[arg-type]
RateLimit(["1/s", "9/minute"], key=[None, identity], on_error=lambda request, error: None)
WsgiMiddleware(lambda environ, start: [b""], "1/s", policy="limits.yaml", identity=lambda r: "k")
RateLimit("1/s", exempt=["/a"], on_denied=refuse, on_failure="closed")


@app.post("/expensive", dependencies=[Depends(RateLimit("5/minute", cost=2))])
async def expensive() -> str:
    return "done"
