# SPDX-License-Identifier: MIT
"""A small API with rate limits: tiers by API key, an expensive endpoint, a limit for everybody,
tokens and generations of a language model, admin pages.

pip install tidegate fastapi uvicorn
uvicorn app:app                                    # limits in this process
TIDEGATE_URL=redis://localhost uvicorn app:app     # limits shared by all processes
"""

import asyncio
import os
import secrets

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request

import tidegate.aio
from tidegate.fastapi import RateLimit, RateLimitMiddleware

TIERS = {
    "basic": "100/minute burst 20",
    "pro": "500/minute burst 100",
    "enterprise": "1000/minute burst 200",
}
KEYS = {"basic-1": "basic", "basic-2": "basic", "pro-1": "pro", "enterprise-1": "enterprise"}
ADMIN_TOKEN = os.environ.get("ADMIN_TOKEN", "let-me-in")

gate = tidegate.aio.connect()  # $TIDEGATE_URL, or a store in this process
tiers = {name: gate.limiter(rate, name=f"tier-{name}") for name, rate in TIERS.items()}
everybody = gate.limiter("20000/minute", name="everybody")
tokens = gate.limiter("6000/minute overdraft 2000", name="tokens")
generations = gate.limiter("2 at once", lease="30s", name="generations")


def api_key(request: Request):
    """Who is calling. A key that nobody was given is nobody's: then the address counts."""
    key = request.headers.get("x-api-key")
    return key if key in KEYS else None


def tier_of(request: Request):
    return tiers[KEYS.get(api_key(request) or "", "basic")]


app = FastAPI(title="Rate limits, an example")
# The last one added is the outermost: first the limit for all callers together, then the caller's
# own. What that refuses is given back to the first: an abuser does not drain it.
app.add_middleware(
    RateLimitMiddleware,
    limit=tier_of,
    key=api_key,
    store=gate,
    exempt=lambda request: exempt(request.url.path),
)
app.add_middleware(
    RateLimitMiddleware,
    limit=everybody,
    key=lambda request: "all",
    store=gate,
    exempt=lambda request: exempt(request.url.path),
    headers=[],
)


def exempt(path: str) -> bool:
    return path == "/health" or path.startswith("/admin/")


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/items")
async def items():
    return [{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]


@app.post("/report", dependencies=[Depends(RateLimit("5/minute", name="report", key=api_key))])
def report():
    """Expensive: 5 a minute for each caller, whatever the tier."""
    return {"report": "done"}


def refused(decision):
    return HTTPException(decision.status, "rate limit", decision.headers())


async def language_model(prompt: str, most: int):
    """A stand-in: it "thinks", and says what it used."""
    await asyncio.sleep(0.3)
    answer = prompt.upper().split()[:most]
    return " ".join(answer), len(prompt.split()) + len(answer)


@app.post("/generate")
async def generate(
    request: Request, prompt: str = Body(embed=True), max_tokens: int = Body(500, ge=1, embed=True)
):
    """Two at once for each caller, and 6,000 tokens a minute: the most that it may use is reserved,
    and what it did use is settled."""
    address = request.client.host if request.client else ""
    caller = tidegate.caller_key(api_key(request), address)
    async with generations.slot(caller) as slot:
        if not slot:
            raise refused(slot.decision)
        async with tokens.reserve(caller, len(prompt.split()) + max_tokens) as reservation:
            if not reservation:
                raise refused(reservation.decision)
            answer, used = await language_model(prompt, max_tokens)
            await reservation.settle(used)
    return {"answer": answer, "used": used}


def admin(x_admin_token: str = Header("")):
    if not secrets.compare_digest(x_admin_token, ADMIN_TOKEN):
        raise HTTPException(403, "X-Admin-Token is missing or wrong")


def limiter_of(caller: str):
    return tiers[KEYS.get(caller, "basic")]


@app.get("/admin/callers/{caller}", dependencies=[Depends(admin)])
async def look_up(caller: str):
    """`caller` is an API key, or an address as @203.0.113.7."""
    decision = await limiter_of(caller).peek(caller)
    return {"caller": caller, **decision.as_dict(never="never")}


@app.delete("/admin/callers/{caller}", dependencies=[Depends(admin)], status_code=204)
async def forget(caller: str):
    """Gives a caller a fresh start."""
    await limiter_of(caller).reset(caller)


@app.get("/admin/everybody", dependencies=[Depends(admin)])
async def look_at_everybody():
    decision = await everybody.peek("all")
    return decision.as_dict(never="never")


@app.get("/admin/stats", dependencies=[Depends(admin)])
async def stats():
    return gate.stats()._asdict()
