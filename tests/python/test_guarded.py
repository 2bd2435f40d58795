# SPDX-License-Identifier: MIT
"""Policies behind the ASGI and FastAPI adapters: who is asked, errors, what responses settle."""

from __future__ import annotations

import asyncio
import logging

import pytest
from asgi_driver import ask, scope_of, send, statuses
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from web_server import serving

import tidegate
import tidegate.aio
from tidegate.asgi import RateLimitMiddleware
from tidegate.fastapi import RateLimit
from tidegate.fastapi import RateLimitMiddleware as FastApiMiddleware
from tidegate.testing import FakeClock

POLICY = """
version: 1
limiters:
  basic: 3/minute
  logins: 5/minute
  tokens: 1000/minute overdraft 1000
  jobs: {rate: 1 at once, lease: 10s}
  items: 2/minute
tiers: {basic: [basic], free: []}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /login}, limit: logins, count: failed}
  - {when: {path: /chat}, limit: tokens, cost: 100, settle: "{used}"}
  - {when: {path: /job}, limit: jobs}
  - {when: {route: "/items/{number}"}, limit: items}
  - {when: {path: [/, /v1/images]}, limit: tier}
callers:
  k_evil: {ban: true}
"""


@pytest.fixture
def gate():
    with tidegate.connect(policy=POLICY, clock=FakeClock()) as gate:
        yield gate


def by_key(request):
    return request.headers.get("x-api-key")


async def ok(scope, receive, send):
    await PlainTextResponse("ok")(scope, receive, send)


def guarded(gate, app=ok, **options):
    return RateLimitMiddleware(app, store=gate, identity=by_key, **options)


def answering(*given):
    left = iter(given)

    async def app(scope, receive, send):
        await PlainTextResponse("", next(left))(scope, receive, send)

    return app


def test_the_gates_policy_is_the_default(gate):
    app = guarded(gate)
    assert statuses(app, "/", "/", "/", "/") == [200, 200, 200, 429]
    banned = ask(app, headers={"x-api-key": "k_evil"})
    assert banned.status == 403 and banned["Content-Type"] == "application/problem+json"
    assert banned["RateLimit"] is None and banned["X-RateLimit-Limit"] is None
    assert ask(app, "/health")["RateLimit"] is None
    other = guarded(gate, policy="version: 1\nlimiters: {x: 9/minute}\nrules: [{limit: x}]\n")
    assert ask(other)["RateLimit-Policy"] == '"x";q=9;w=60'


def test_a_policy_that_is_loaded_is_the_middlewares_too(gate):
    app = guarded(gate)
    ask(app)
    gate.policy.load(POLICY.replace("basic: 3/minute", "basic: 30/minute"))
    assert ask(app)["X-RateLimit-Remaining"] == "28"


def test_changes_while_it_runs(gate):
    app = guarded(gate)
    gate.policy.set_caller("k", ban="1h")
    assert ask(app, headers={"x-api-key": "k"})["Retry-After"] == "3600"
    gate.policy.clear("k")
    assert ask(app, headers={"x-api-key": "k"}).status == 200


def test_no_spelling_escapes(gate):
    app = guarded(gate)
    spellings = ["/v1/images", "/v1%2Fimages", "/v1//images", "/v1/%69mages", "/v1/./images"]
    found = []
    for path in spellings:
        scope = scope_of()
        scope["path"] = path.replace("%2F", "/").replace("%69", "i")  # as servers hand it over
        messages = []

        async def receive():
            return {"type": "http.request"}

        async def keep(message, into=messages):
            into.append(message)

        asyncio.run(app(scope, receive, keep))
        found.append(messages[0]["status"])
    assert found == [200, 200, 200, 429, 429]


def test_a_policy_speaks_of_paths_below_the_root_path(gate):
    app = Starlette(routes=[Mount("/v1", app=guarded(gate))])
    for root in ("", "/api"):
        assert ask(guarded(gate), f"{root}/health", root_path=root)["RateLimit"] is None
        assert '"basic"' in ask(guarded(gate), f"{root}/", root_path=root)["RateLimit"]
        answer = ask(app, f"{root}/v1/images", root_path=root, client=f"127.0.0.{len(root) + 2}")
        assert answer["RateLimit"] == '"basic";r=2;t=20'


def test_a_list_of_keys_beside_a_list_of_limits(gate):
    limits = ["10/minute", "2/minute"]
    app = RateLimitMiddleware(ok, limits, key=[None, by_key], store=gate, policy="version: 1\n")
    keyed = [ask(app, headers={"x-api-key": "k"}).status for _ in range(3)]
    assert keyed == [200, 200, 429]
    answer = ask(app, headers={"x-api-key": "j"})
    assert answer["RateLimit"] == '"10-per-60s";r=7;t=6, "2-per-60s";r=1;t=30'  # one atomic check
    with pytest.raises(tidegate.ConfigError, match="key: 1 for 2 limits"):
        RateLimitMiddleware(ok, limits, key=[by_key], store=gate)
    with pytest.raises(TypeError, match="key 5"):
        RateLimitMiddleware(ok, limits, key=[by_key, 5], store=gate)


def test_identity_is_the_policys_and_key_is_codes(gate):
    app = guarded(gate, limit="5/minute", name="own", key=lambda request: "team")
    ask(app, headers={"x-api-key": "k"})
    assert gate.limiter("5/minute", "own").peek("team").remaining == 4
    assert gate.limiter("3/minute", "basic").peek("k").remaining == 2


# ---- errors ----


@pytest.mark.parametrize("asynchronous", [True, False])
def test_what_is_wrong_with_a_request(gate, asynchronous):
    seen = []

    def own(request, error):
        seen.append((request.url.path, getattr(error, "name", type(error).__name__)))
        return PlainTextResponse("sorry", 500) if request.url.path != "/none" else None

    async def later(request, error):
        return own(request, error)

    def tier(request):
        if request.url.path == "/fails":
            raise KeyError("tier")
        return "gold"

    app = guarded(gate, tier=tier, on_error=later if asynchronous else own)
    for path in ("/", "/fails"):
        answer = ask(app, path)
        assert (answer.status, answer.body) == (500, b"sorry")
    assert seen == [("/", "TG_EATTRIBUTE"), ("/fails", "KeyError")]
    with pytest.raises(tidegate.ConfigError, match="gold"):
        ask(guarded(gate, tier=tier), "/")
    assert ask(app, "/", kind="websocket").status == 500
    assert ask(app, "/", kind="websocket", denial=False).status == 1011
    assert gate.stats().allowed == 0


def test_what_the_application_raises_is_no_business_of_on_error(gate):
    async def fails(scope, receive, send):
        raise RuntimeError("the application's")

    for options in ({"exempt": ["/"]}, {}):
        app = guarded(gate, fails, on_error=lambda request, error: ok, **options)
        with pytest.raises(RuntimeError, match="the application's"):
            ask(app)


def test_preflights_and_exempt_paths_ask_no_callable(gate):
    def key(request):
        return request.headers["x-api-key"]

    app = RateLimitMiddleware(ok, "1/minute", key=key, exempt=["/health"], store=gate)
    preflight = {"origin": "https://a.example", "access-control-request-method": "GET"}
    assert ask(app, "/", "OPTIONS", preflight).status == 200
    assert ask(app, "/health").status == 200
    with pytest.raises(KeyError):
        ask(app, "/", "OPTIONS", {"origin": "https://a.example"})


def test_any_number_of_paths_is_exempt(gate):
    app = RateLimitMiddleware(ok, "1/minute", exempt=[f"/p{i}" for i in range(3_000)], store=gate)
    assert statuses(app, "/p0", "/p2999", "/p", "/p") == [200, 200, 200, 429]


def test_faulty_policies_fail_at_start(gate):
    for policy in ("version: 2\n", {"version": 1, "rules": [{"limit": "x"}]}):
        with pytest.raises(tidegate.ConfigError) as caught:
            guarded(gate, policy=policy)
        assert caught.value.name == "TG_EPOLICY"
    with pytest.raises(TypeError, match="identity 5"):
        RateLimitMiddleware(ok, identity=5)
    with pytest.raises(tidegate.ConfigError, match="policy"):
        RateLimit("1/minute", policy=POLICY)


# ---- what the response settles ----


def test_only_what_counts_is_charged(gate):
    app = guarded(gate, answering(200, 401, 200, 500))
    for path in ["/login"] * 4:
        ask(app, path)
    assert gate.limiter("5/minute", "logins").peek("@127.0.0.1").remaining == 3


def test_what_was_used_is_settled(gate, caplog):
    def used(request):
        return {"used": request.state.used}

    async def chat(request):
        request.state.used = 350
        return PlainTextResponse("ok")

    app = guarded(gate, Starlette(routes=[Route("/chat", chat)]), settle=used)
    ask(app, "/chat")
    tokens = gate.limiter("1000/minute overdraft 1000", "tokens")
    assert tokens.peek("@127.0.0.1").remaining == 650
    with caplog.at_level(logging.ERROR, "tidegate"):
        ask(guarded(gate, settle=used), "/chat")
    assert "settle failed" in caplog.text and tokens.peek("@127.0.0.1").remaining == 550


def test_an_application_that_fails_is_a_500(gate):
    async def fails(scope, receive, send):
        raise RuntimeError("no")

    app = guarded(gate, fails)
    with pytest.raises(RuntimeError):
        ask(app, "/login")
    assert gate.limiter("5/minute", "logins").peek("@127.0.0.1").remaining == 4


@pytest.mark.parametrize("where", ["embedded", "store"])
def test_slots_are_held_until_the_response_is_done(where, servers):
    from conftest import server_paths

    url = servers[server_paths()[0][0]].url(timeout_ms=5000) if where == "store" else "memory://"
    lease = POLICY.replace("lease: 10s", "lease: 200ms")

    async def main():
        inside, go = asyncio.Event(), asyncio.Event()

        async def job(scope, receive, send):
            inside.set()
            await go.wait()
            await PlainTextResponse("done")(scope, receive, send)

        async with tidegate.aio.connect(url, policy=lease) as gate:
            app = guarded(gate, job)
            held = asyncio.create_task(send(app, "/job"))
            await inside.wait()
            await asyncio.sleep(0.6)  # renewed meanwhile
            assert (await send(app, "/job")).status == 429
            go.set()
            assert (await held).status == 200
            await asyncio.sleep(0.05)
            assert (await send(app, "/job")).status == 200

    asyncio.run(main())


def test_what_an_inner_policy_refuses_is_given_back(gate):
    inner = RateLimitMiddleware(ok, "1/minute", name="inner", store=gate)
    app = guarded(gate, inner)
    assert statuses(app, "/", "/", "/") == [200, 429, 429]
    assert gate.limiter("3/minute", "basic").peek("@127.0.0.1").remaining == 2


@pytest.mark.parametrize("inside", ["limited", "exempt by a policy"])
def test_what_an_outer_check_holds_is_let_go_whatever_is_inside(gate, inside):
    free = "version: 1\nrules: [{exempt: true}]\n" if inside != "limited" else None
    inner = RateLimitMiddleware(ok, "9/minute", store=gate, policy=free)
    app = RateLimitMiddleware(inner, "1 at once", name="outer", store=gate, policy="version: 1\n")
    answers = [ask(app, "/") for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 200]
    assert '"outer";' in answers[0]["RateLimit-Policy"]


# ---- FastAPI ----


def fastapi_app(gate, **options):
    app = FastAPI()

    @app.get("/items/{number}", dependencies=[Depends(RateLimit("5/minute", **options))])
    def item(number: int):
        return number

    @app.get("/other/{number}")
    def other(number: int):
        return number

    app.add_middleware(FastApiMiddleware, store=gate, identity=by_key)
    return app


def test_a_policy_sees_the_route(gate):
    answers = [ask(fastapi_app(gate), f"/items/{i}") for i in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[0]["RateLimit-Policy"] == '"items";q=2;w=60, "GET.items-number";q=5;w=60'
    assert ask(fastapi_app(gate), "/other/1")["RateLimit"] is None
    assert gate.limiter("5/minute", "GET.items-number").peek("@127.0.0.1").remaining == 3


def test_a_banned_caller_gets_nowhere(gate):
    app = fastapi_app(gate)
    assert ask(app, "/items/1", headers={"x-api-key": "k_evil"}).status == 403
    assert gate.stats().allowed == 0


def test_each_rule_has_its_own_words(gate):
    app = fastapi_app(gate, message="the route's", key=lambda request: "one")
    for _ in range(5):
        gate.limiter("5/minute", "GET.items-number").consume("one")
    assert ask(app, "/items/1").body == b"the route's"
    gate.limiter("5/minute", "GET.items-number").reset("one")
    for _ in range(2):
        ask(app, "/items/1")
    assert ask(app, "/items/1")["Content-Type"] == "application/problem+json"  # the policy's


def test_errors_of_a_route(gate):
    def fails(request):
        raise ValueError("no key")

    for around in (True, False):
        app = FastAPI()
        route = {} if around else {"on_error": lambda request, error: PlainTextResponse("r", 418)}

        @app.get(
            "/x", dependencies=[Depends(RateLimit("5/minute", key=fails, store=gate, **route))]
        )
        def x():
            return 1

        if around:
            hook = lambda request, error: PlainTextResponse("m", 418)  # noqa: E731
            app.add_middleware(FastApiMiddleware, store=gate, on_error=hook)
        answer = ask(app, "/x")
        assert (answer.status, answer.body) == (418, b"m" if around else b"r")


def test_a_dependency_alone_holds_its_slot_through_the_stream(gate):
    app = FastAPI()
    seen = []

    @app.get("/", dependencies=[Depends(RateLimit("1 at once", store=gate, name="streams"))])
    def stream():
        def parts():
            seen.append(gate.limiter("1 at once", name="streams").peek("@127.0.0.1").remaining)
            yield "x"

        return StreamingResponse(parts())

    with serving(app) as web:
        assert [web.ask("/").status for _ in range(2)] == [200, 200]
    assert seen == [0, 0]


def test_a_mounted_middleware_is_named_by_its_mount(gate):
    inner = RateLimitMiddleware(ok, "7/minute", store=gate)
    app = Starlette(routes=[Mount("/v1", app=inner), Mount("/t/{tenant}", app=inner)])
    assert ask(app, "/v1/x")["RateLimit-Policy"] == '"v1";q=7;w=60'
    for tenant in ("a", "b"):  # what callers write is no name
        assert ask(app, f"/t/{tenant}/x")["RateLimit-Policy"] == '"unmatched";q=7;w=60'


def test_request_state_reaches_settle_through_fastapi(gate):
    app = FastAPI()

    @app.post("/chat")
    def chat(request: Request):
        request.state.used = 20
        return "ok"

    app.add_middleware(
        FastApiMiddleware, store=gate, settle=lambda request: {"used": request.state.used}
    )
    assert ask(app, "/chat", "POST").status == 200
    assert gate.limiter("1000/minute overdraft 1000", "tokens").peek("@127.0.0.1").remaining == 980
