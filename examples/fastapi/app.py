# SPDX-License-Identifier: MIT
"""A small API under examples/policy.yaml: tiers by API key, an expensive endpoint, a limit for
everybody, tokens and generations of a language model, and pages that change all that live.

pip install tidegate fastapi uvicorn
uvicorn app:app                                    # limits in this process
TIDEGATE_URL=redis://localhost uvicorn app:app     # limits shared by all processes
python serve.py --policy mine.yaml                 # the same, by a command line
"""

import asyncio
import os
import secrets
from pathlib import Path

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import PlainTextResponse

import tidegate.aio
from tidegate.fastapi import RateLimitMiddleware

POLICY = os.environ.get("POLICY") or Path(__file__).resolve().parent.parent / "policy.yaml"
ADMIN_TOKEN = os.environ.get("ADMIN_TOKEN", "let-me-in")

gate = tidegate.aio.connect(policy=POLICY)  # $TIDEGATE_URL, or a store in this process


def api_key(request: Request):
    """Who is calling; nobody: the address counts. A real service looks first whether it gave it."""
    return request.headers.get("x-api-key")


def max_tokens(request: Request):
    given = request.query_params.get("max_tokens", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 7 else 500


def asked_for(request: Request):
    return {"tokens": max_tokens(request)}


def used(request: Request):
    return {"tokens_used": getattr(request.state, "tokens_used", None)}


app = FastAPI(title="Rate limits, an example")
app.add_middleware(
    RateLimitMiddleware,
    limit=None,
    store=gate,
    identity=api_key,
    attributes=asked_for,
    settle=used,
)


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/items")
async def items():
    return [{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]


@app.post("/report")
def report():
    """Expensive: 5 a minute for each caller, whatever the tier."""
    return {"report": "done"}


async def language_model(prompt: str, most: int):
    """A stand-in: it "thinks", and says what it used."""
    await asyncio.sleep(0.3)
    answer = prompt.upper().split()[:most]
    return " ".join(answer), len(prompt.split()) + len(answer)


@app.post("/generate", response_class=PlainTextResponse)
async def generate(request: Request):
    """POST a prompt as text, ?max_tokens=500. Two at once for each caller, and 6,000 tokens a
    minute: the most that it may use is reserved, and what it did use is settled."""
    prompt = (await request.body()).decode(errors="replace")
    if not prompt.strip():
        raise HTTPException(400, "expected a prompt as the request's body")
    answer, tokens = await language_model(prompt, max_tokens(request))
    request.state.tokens_used = tokens
    return PlainTextResponse(answer + "\n", headers={"X-Tokens-Used": str(tokens)})


def admin(x_admin_token: str = Header("")):
    if not secrets.compare_digest(x_admin_token.encode(), ADMIN_TOKEN.encode()):
        raise HTTPException(403, "X-Admin-Token is missing or wrong")


async def changed(change):
    """The live document's version after a change, which every process on the store follows."""
    try:
        return {"version": await change}
    except (tidegate.ConfigError, TypeError) as error:
        raise HTTPException(400, str(error)) from None


@app.get("/admin/callers/{caller}", dependencies=[Depends(admin)])
async def look_up(caller: str):
    """`caller` is an API key: what is said of it, and what it has left for GET /items."""
    return await gate.policy.explain(method="GET", path="/items", identity=caller)


@app.put("/admin/callers/{caller}", dependencies=[Depends(admin)])
async def say_of_caller(
    caller: str,
    ban: bool | str | None = Body(None),
    tier: str | None = Body(None),
    reason: str | None = Body(None),
):
    """{"ban": "1h", "reason": "scraping"}, or {"tier": "pro"}. An address or network is a caller
    too."""
    return await changed(gate.policy.set_caller(caller, ban=ban, tier=tier, reason=reason))


@app.delete("/admin/callers/{caller}", dependencies=[Depends(admin)])
async def forget_caller(caller: str):
    """As the file says of the caller again."""
    return await changed(gate.policy.clear(caller))


@app.put("/admin/limits/{name}", dependencies=[Depends(admin)])
async def set_limit(name: str, rate: str = Body(embed=True)):
    """{"rate": "10/minute"}: other numbers of one of the policy's limiters."""
    return await changed(gate.policy.set_limit(name, rate))


@app.delete("/admin/limits/{name}", dependencies=[Depends(admin)])
async def forget_limit(name: str):
    """As the file says it again."""
    return await changed(gate.policy.set_limit(name, None))


@app.get("/admin/stats", dependencies=[Depends(admin)])
async def stats():
    return gate.stats()._asdict()
