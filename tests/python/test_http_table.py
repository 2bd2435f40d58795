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
from web_server import serving

import tidegate
from tidegate.asgi import RateLimitMiddleware
from tidegate.testing import FakeClock

CASES = json.loads((ROOT / "tests/http/cases.json").read_text())
CHECKED = [
    "RateLimit-Policy",
    "RateLimit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Retry-After",
]
METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


def middleware_options(config, gate):
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
        "store": gate,
    }
    if config["key_header"]:
        options["key"] = lambda request: request.headers.get(config["key_header"])
    if config["cost_header"]:

        async def cost(request):
            return int(request.headers.get(config["cost_header"], config["cost"]))

        options["cost"] = cost
    return options


def ceil_seconds(us):
    return -(-us // 1_000_000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_case(case):
    clock = FakeClock()

    async def endpoint(request):
        return PlainTextResponse("ok")

    with tidegate.connect("memory://", clock=clock) as gate:
        app = Starlette(routes=[Route("/{path:path}", endpoint, methods=METHODS)])
        app.add_middleware(RateLimitMiddleware, **middleware_options(case["middleware"], gate))
        with serving(app) as web:
            for step in case["requests"]:
                clock.now_us = step["at_us"]
                before = time.time_ns() // 1000
                answer = web.ask(step["path"], step["method"], step["headers"])
                after = time.time_ns() // 1000
                expected = step["expect"]
                assert answer.status == expected["status"], step
                assert answer.body.decode() == expected["body"], step
                listed = dict(expected["headers"])
                for name in CHECKED:
                    value = listed.get(name)
                    if isinstance(value, dict):
                        least, most = (
                            ceil_seconds(t + value["epoch_after_us"]) for t in (before, after)
                        )
                        assert least <= int(answer[name]) <= most, (name, step)
                    else:
                        assert answer[name] == value, (name, step)
                if "Content-Type" in listed:
                    assert answer["Content-Type"] == listed["Content-Type"]
