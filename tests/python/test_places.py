# SPDX-License-Identifier: MIT
"""Limits of FastAPI routes: named by where they stand; own answers to refusals."""

from __future__ import annotations

import itertools

import pytest
from asgi_driver import ask, statuses
from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Host, Mount, Route

import tidegate
from tidegate import _routes
from tidegate.fastapi import RateLimit, RateLimited, RateLimitMiddleware, decision_of
from tidegate.testing import FakeClock


@pytest.fixture
def gate():
    with tidegate.connect(clock=FakeClock()) as gate:
        yield gate


def items(gate, kind=APIRouter, rate="2/minute", **options):
    """An application, or router, with one limited route."""
    app = kind()

    @app.get("/items/{id}", dependencies=[Depends(RateLimit(rate, store=gate, **options))])
    def item(id: str):
        return id

    return app


def cors(app):
    return CORSMiddleware(app, allow_origins=["*"])


def wrapped(outside, gate):
    outside.add_middleware(RateLimitMiddleware, limit="100/minute", name="all", store=gate)
    return outside


def including(router, **options):
    app = FastAPI()
    app.include_router(router, **options)
    return app


MOUNTED = {
    "an application": lambda gate: Mount("/m", app=items(gate, FastAPI)),
    "a router": lambda gate: Mount("/m", app=items(gate)),
    "an application in other middleware": lambda gate: Mount("/m", app=cors(items(gate, FastAPI))),
    "middleware of the mount": lambda gate: Mount(
        "/m", app=items(gate, FastAPI), middleware=[Middleware(CORSMiddleware)]
    ),
    "an application below a mount": lambda gate: Mount(
        "", routes=[Mount("/m", app=items(gate, FastAPI))]
    ),
    "a router that is included": lambda gate: Mount("/m", app=including(items(gate))),
}


@pytest.mark.parametrize("outside", [FastAPI, Starlette])
@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("root_path", ["", "/api"])
@pytest.mark.parametrize("what", MOUNTED)
def test_a_mounted_route_is_one_limit_named_by_mount_and_template(
    gate, outside, around, what, root_path
):
    if outside is Starlette and what == "a router":
        outside = FastAPI  # routes of FastAPI's need an application of FastAPI's around
    app = outside(routes=[MOUNTED[what](gate)])
    if around:
        wrapped(app, gate)
    paths = [f"{root_path}/m/items/{i}" for i in range(4)]
    answers = [ask(app, path, root_path=root_path) for path in paths]
    assert [one.status for one in answers] == [200, 200, 429, 429]
    assert '"m.GET.items-id";q=2;w=60' in answers[0]["RateLimit-Policy"]


@pytest.mark.parametrize("around", [True, False])
def test_what_callers_write_into_a_mount_is_no_name(gate, around):
    app = FastAPI()
    app.mount("/{id}/api", items(gate, FastAPI))
    if around:
        wrapped(app, gate)
    answers = [ask(app, f"/t{i}/api/items/{i}") for i in range(4)]
    assert [one.status for one in answers] == [200, 200, 429, 429]
    assert '"-id.api.GET.items-id"' in answers[0]["RateLimit-Policy"]


@pytest.mark.parametrize("kind", [APIRouter, FastAPI])
@pytest.mark.parametrize("around", [True, False])
def test_routes_of_a_host(gate, kind, around):
    app = FastAPI(routes=[Host("{tenant}.example", app=items(gate, kind))])
    if around:
        wrapped(app, gate)
    answers = [ask(app, f"/items/{i}", host=f"t{i}.example:80") for i in range(4)]
    assert [one.status for one in answers] == [200, 200, 429, 429]
    assert '"GET.items-id";q=2;w=60' in answers[0]["RateLimit-Policy"]
    assert ask(app, "/items/1", host="elsewhere").status == 404


@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("rates", [("1/minute", "1/minute"), ("1/minute", "5/minute")])
def test_sub_applications_do_not_share_a_budget_nor_a_name(gate, around, rates):
    app = FastAPI()
    for version, rate in zip(("/v1", "/v2"), rates, strict=True):
        app.mount(version, items(gate, FastAPI, rate))
    if around:
        wrapped(app, gate)
    assert statuses(app, "/v1/items/1", "/v2/items/1", "/v1/items/2") == [200, 200, 429]
    assert gate.limiter(rates[1], "v2.GET.items-id").peek("@127.0.0.1").remaining == (
        int(rates[1][0]) - 1
    )


def test_two_applications_with_other_numbers_at_one_place(gate):
    one, two = items(gate, FastAPI, "1/minute"), items(gate, FastAPI, "5/minute")
    three = items(gate, FastAPI, "5/minute", mode="shadow")
    answers = [ask(app, "/items/1") for app in (one, two, three)]
    assert [one.status for one in answers] == [200] * 3
    assert ['"GET.items-id"', '"GET.items-id.5-per-60s"'] == [
        one["RateLimit-Policy"].split(";")[0] for one in answers[:2]
    ]


class Elsewhere(Route):
    """A route of somebody's own, that keeps its routes to itself."""

    def __init__(self, app):
        super().__init__("/{path:path}", app)
        self._app = app

    async def handle(self, scope, receive, send):
        await self._app(scope, receive, send)


@pytest.mark.parametrize("around", [True, False])
def test_a_template_that_is_not_told_is_one_fixed_name(gate, around):
    app = FastAPI(routes=[Elsewhere(items(gate))])
    other = FastAPI(routes=[Elsewhere(items(gate, rate="5/minute"))])
    if around:
        wrapped(app, gate)
    answers = [ask(app, f"/items/{i}") for i in range(4)]
    assert [one.status for one in answers] == [200, 200, 429, 429]
    assert '"unmatched";q=2;w=60' in answers[0]["RateLimit-Policy"]
    assert '"unmatched.5-per-60s"' in ask(other, "/items/1")["RateLimit-Policy"]


@pytest.mark.heavy
def test_strangers_do_not_fill_the_gate(gate):
    import asyncio

    from asgi_driver import send

    app = FastAPI(routes=[Elsewhere(items(gate))])

    async def strangers():
        return [(await send(app, f"/items/{i}")).status for i in range(200)]

    assert asyncio.run(strangers()).count(200) == 2
    names = itertools.count()
    for _ in range(65_530):  # as many limiters as a gate has room for, but a few
        gate.limiter("1/minute", f"n{next(names)}")


def test_a_limit_that_is_called_by_hand_is_named_by_its_route_too(gate):
    app, limit = FastAPI(), RateLimit("2/minute", store=gate)

    @app.get("/by-hand/{id}")
    async def by_hand(id: str, request: Request, response: Response):
        await limit(request, response)
        return id

    answers = [ask(app, f"/by-hand/{i}") for i in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert '"GET.by--hand-id"' in answers[0]["RateLimit-Policy"]


def test_a_table_is_made_once_where_nothing_changes(gate, monkeypatch):
    made = []
    make = _routes.make_table
    monkeypatch.setattr(_routes, "make_table", lambda *all: made.append(1) or make(*all))
    app = FastAPI()
    sub = items(gate, FastAPI, "9/minute")
    app.mount("/m", sub)
    assert statuses(app, *["/m/items/1"] * 3) == [200] * 3 and len(made) == 1

    @sub.get("/late/{id}", dependencies=[Depends(RateLimit("1/minute", store=gate))])
    def late(id: str):
        return id

    answers = [ask(app, f"/m/late/{i}") for i in range(3)]
    assert [one.status for one in answers] == [200, 429, 429] and len(made) == 2
    assert '"m.GET.late-id"' in answers[0]["RateLimit-Policy"]


def test_static_files_before_a_limited_route_are_not_limited(gate):
    async def file(scope, receive, send):
        await PlainTextResponse("file")(scope, receive, send)

    app = FastAPI()
    app.mount("/static", file)

    @app.get("/{path:path}", dependencies=[Depends(RateLimit("1/minute", store=gate))])
    def rest(path: str):
        return path

    wrapped(app, gate)
    assert statuses(app, *["/static/x"] * 3, "/x", "/x") == [200, 200, 200, 200, 429]


# ---- exempt, callers ----


@pytest.mark.parametrize("around", [True, False])
def test_requests_that_a_route_exempts(gate, around):
    app = FastAPI()
    limits = [
        RateLimit("1/minute", store=gate, exempt=lambda request: "x-free" in request.headers),
        RateLimit("5/minute", name="paths", store=gate, exempt=["/a/1", "/b/2"]),
    ]

    @app.get("/{letter}/{id}", dependencies=[Depends(limit) for limit in limits])
    def get(letter: str, id: str):
        return id

    if around:
        wrapped(app, gate)
    free = {"x-free": "1"}
    assert [ask(app, "/a/1", headers=free).status for _ in range(3)] == [200] * 3
    assert statuses(app, "/a/1", "/a/1") == [200, 429]
    assert gate.limiter("5/minute", "paths").peek("@127.0.0.1").remaining == 5
    assert ask(app, "/a/3", headers=free).status == 200
    assert gate.limiter("5/minute", "paths").peek("@127.0.0.1").remaining == 4


def test_a_route_with_a_key_of_its_own_takes_the_address_from_around(gate):
    app = FastAPI()
    limit = RateLimit("1/minute", name="route", key=lambda request: None)

    @app.get("/", dependencies=[Depends(limit)])
    def get():
        return 1

    app.add_middleware(RateLimitMiddleware, limit=None, trusted_proxies=1, store=gate)
    callers = [{"x-forwarded-for": f"203.0.113.{i}"} for i in (1, 2, 1)]
    assert [ask(app, headers=one).status for one in callers] == [200, 200, 429]


def test_the_test_client_is_a_caller_behind_a_proxy(gate):
    app = wrapped(FastAPI(), gate)
    app.user_middleware[0].kwargs.update(trusted_proxies=1, limit="1/minute")
    callers = [{"x-forwarded-for": f"203.0.113.{i}"} for i in (1, 2, 1)]
    assert [ask(app, client="testclient", headers=one).status for one in callers] == [
        404,
        404,
        429,
    ]


# ---- own answers ----


@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_handler_for_refusals(gate, around, asynchronous):
    app = items(gate, FastAPI)
    seen = []

    def handle(request, error):
        seen.append((request.url.path, error.decision.limit, decision_of(request.scope).limit))
        return JSONResponse({"slow": True}, 420, headers=error.headers)

    async def later(request, error):
        return handle(request, error)

    app.add_exception_handler(RateLimited, later if asynchronous else handle)
    if around:
        wrapped(app, gate)
    answers = [ask(app, f"/items/{i}") for i in range(3)]
    assert [one.status for one in answers] == [200, 200, 420] and seen == [("/items/2", 2, 2)]
    assert answers[2].body == b'{"slow":true}' and answers[2]["Retry-After"] == "30"
    assert answers[2]["RateLimit"].endswith('"GET.items-id";r=0;t=30')


def test_the_handler_of_the_application_that_has_the_route(gate):
    app, sub = FastAPI(), items(gate, FastAPI, "1/minute")
    app.mount("/sub", sub)
    app.add_exception_handler(RateLimited, lambda request, error: PlainTextResponse("outer", 420))
    wrapped(app, gate)
    assert [ask(app, "/sub/items/1").body for _ in range(2)] == [b'"1"', b"outer"]
    sub.add_exception_handler(RateLimited, lambda request, error: PlainTextResponse("sub", 420))
    assert ask(app, "/sub/items/1").body == b"sub"


@pytest.mark.parametrize("around", ["none", "silent", "speaks"])
@pytest.mark.parametrize("own", [True, False])
def test_an_own_answer_of_a_route_or_of_the_middleware_around(gate, around, own):
    def answer(text):
        return lambda request, decision: PlainTextResponse(f"{text} {decision.limit}", 420)

    app = items(gate, FastAPI, "1/minute", **({"on_denied": answer("route")} if own else {}))
    app.add_exception_handler(RateLimited, lambda request, error: PlainTextResponse("handler", 421))
    if around != "none":
        hook = {"on_denied": answer("around")} if around == "speaks" else {}
        app.add_middleware(RateLimitMiddleware, limit="9/minute", store=gate, **hook)
    assert ask(app, "/items/1").status == 200
    refused = ask(app, "/items/1")
    expected = b"route 1" if own else b"around 1" if around == "speaks" else b"handler"
    assert refused.body == expected
    assert refused["Retry-After"] == "60" or (around == "none" and not own)


@pytest.mark.parametrize("around", [True, False])
def test_a_handler_speaks_to_a_websocket_itself(gate, around):
    app = FastAPI()

    @app.websocket("/ws", dependencies=[Depends(RateLimit("1/minute", store=gate))])
    async def ws(socket: WebSocket):
        await socket.accept()

    @app.exception_handler(RateLimited)
    async def handle(socket, error):
        await socket.close(4029, f"come back in {error.decision.retry_after:.0f} s")

    if around:
        wrapped(app, gate)
    assert ask(app, "/ws", kind="websocket").status == 101
    refused = ask(app, "/ws", kind="websocket")
    assert refused.messages == [
        {"type": "websocket.close", "code": 4029, "reason": "come back in 60 s"}
    ]


def test_what_a_route_refuses_alone_costs_nothing_around(gate):
    """The middleware does not know the route: two checks, and the first is given back."""
    app = wrapped(FastAPI(routes=[Elsewhere(items(gate))]), gate)
    assert statuses(app, *["/items/1"] * 20) == [200, 200] + [429] * 18
    assert gate.limiter("100/minute", "all").peek("@127.0.0.1").remaining == 98
