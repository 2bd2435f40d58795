# SPDX-License-Identifier: MIT
"""tests/http/cases.json over real HTTP: what every language's middleware answers."""

from __future__ import annotations

import json
import time

import pytest
from conftest import ROOT
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from web_server import serving, serving_wsgi

import tidegate
from tidegate.asgi import RateLimitMiddleware
from tidegate.testing import FakeClock
from tidegate.wsgi import RateLimitMiddleware as WsgiMiddleware

CASES = json.loads((ROOT / "tests/http/cases.json").read_text())
CHECKED = [
    "RateLimit-Policy",
    "RateLimit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Retry-After",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]


def header(name, otherwise=None):
    return lambda request: request.headers.get(name, otherwise)


def middleware_options(config, gate):
    """The arguments of a middleware, of whatever framework."""
    limits = [
        gate.limiter(one["rates"], one["name"], algorithm=one["algorithm"], mode=one["mode"])
        for one in config["limits"]
    ]
    options = {
        "limit": limits,
        "headers": config["headers"],
        "exempt": config["exempt"],
        "trusted_proxies": config["trusted_proxies"],
        "message": config["message"],
        "cost": config["cost"],
        "policy": config.get("policy"),
        "store": gate,
    }
    if config["key_header"]:
        options["key"] = header(config["key_header"])
    if config.get("key_headers"):
        options["key"] = [name and header(name) for name in config["key_headers"]]
    if config["cost_header"]:

        async def cost(request):
            return int(request.headers.get(config["cost_header"], config["cost"]))

        options["cost"] = cost
    for option in ("identity", "tier"):
        if config.get(f"{option}_header"):
            options[option] = header(config[f"{option}_header"])
    if config.get("attribute_headers"):
        options["attributes"] = lambda request: {
            name: request.headers.get(field) for name, field in config["attribute_headers"].items()
        }
    return options


def asgi_app(config, gate):
    """The handler of every path, with another middleware around that of /inner."""

    async def handler(scope, receive, send):
        fields = [("content-type", "text/plain"), *config.get("app_fields", ())]
        headers = [(name.encode(), value.encode()) for name, value in fields]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else b"ok"
        await send({"type": "http.response.body", "body": body})

    inner = handler
    if config.get("inner"):
        inner = RateLimitMiddleware(handler, **middleware_options(config["inner"], gate))

    async def router(scope, receive, send):
        await (inner if scope["path"] == "/inner" else handler)(scope, receive, send)

    return RateLimitMiddleware(router, **middleware_options(config, gate))


def wsgi_app(config, gate):
    def handler(environ, start):
        start("200 OK", [("Content-Type", "text/plain"), *map(tuple, config.get("app_fields", ()))])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else b"ok"]

    inner = handler
    if config.get("inner"):
        inner = WsgiMiddleware(handler, **middleware_options(config["inner"], gate))

    def router(environ, start):
        return (inner if environ["PATH_INFO"] == "/inner" else handler)(environ, start)

    return WsgiMiddleware(router, **middleware_options(config, gate))


def starlette_app(config, gate):
    """As an application does it: added to a Starlette."""

    async def endpoint(request):
        response = PlainTextResponse("ok")
        for name, value in config.get("app_fields", ()):
            response.headers[name] = value
        return response

    inner = []
    if config.get("inner"):
        around = RateLimitMiddleware(
            PlainTextResponse("ok"), **middleware_options(config["inner"], gate)
        )
        inner = [Route("/inner", around)]
    app = Starlette(routes=[*inner, Route("/{path:path}", endpoint, methods=METHODS)])
    app.add_middleware(RateLimitMiddleware, **middleware_options(config, gate))
    return app


def ceil_seconds(us):
    return -(-us // 1_000_000)


SERVERS = {
    "asgi": lambda config, gate: serving(asgi_app(config, gate)),
    "starlette": lambda config, gate: serving(starlette_app(config, gate)),
    "wsgi": lambda config, gate: serving_wsgi(wsgi_app(config, gate)),
}


@pytest.mark.parametrize("adapter", SERVERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_case(case, adapter):
    clock = FakeClock()
    with tidegate.connect("memory://", clock=clock) as gate:
        with SERVERS[adapter](case["middleware"], gate) as web:
            for step in case["requests"]:
                clock.now_us = step["at_us"]
                before = time.time_ns() // 1000
                answer = web.ask(step["path"], step["method"], step["headers"])
                check_answer(step, answer, before, time.time_ns() // 1000)


def check_answer(step, answer, before, after):
    expected = step["expect"]
    assert answer.status == expected["status"], step
    assert answer.body.decode() == expected["body"], step
    listed = dict(expected["headers"])
    for name in CHECKED:
        value = listed.get(name)
        if isinstance(value, dict):
            least, most = (ceil_seconds(t + value["epoch_after_us"]) for t in (before, after))
            assert least <= int(answer[name]) <= most, (name, step)
        else:
            assert answer[name] == value, (name, step)
    if "Content-Type" in listed:
        assert answer["Content-Type"] == listed["Content-Type"]
