# SPDX-License-Identifier: MIT
"""FastAPI through uvicorn: the middleware, the dependency, and everything they must not disturb."""

from __future__ import annotations

import json
import sys

import fastapi_app
import pytest
from conftest import ROOT
from fastapi import Depends, FastAPI
from web_server import serving, serving_process

import tidegate
from tidegate.fastapi import RateLimit, RateLimited, RateLimitMiddleware, decision_of
from tidegate.testing import FakeClock


@pytest.fixture
def gate():
    with tidegate.connect(clock=FakeClock()) as gate:
        yield gate


@pytest.fixture
def web(gate):
    with serving(fastapi_app.make_app(gate)) as web:
        yield web


def remaining(gate, name, rates, key="@127.0.0.1"):
    return gate.limiter(rates, name).peek(key).remaining


def test_a_routes_limit_is_one_limit_per_template(gate, web):
    answers = [web.ask(f"/items/{i}") for i in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[0]["RateLimit-Policy"] == '"global";q=100;w=60, "GET.items-number";q=2;w=60'
    assert answers[0]["X-RateLimit-Limit"] == "2" and answers[0]["x-neighbour"] == "here"
    refused = json.loads(answers[2].body)
    assert refused["violated-policies"] == ["GET.items-number"]
    assert answers[2]["Retry-After"] == "30"
    assert answers[2]["Content-Type"] == "application/problem+json"


def test_middleware_and_route_are_one_atomic_check(gate, web):
    for _ in range(5):
        web.ask("/items/1")
    assert remaining(gate, "global", "100/minute") == 98  # the three refused ones cost nothing


def test_cost_two_limits_on_a_route_and_the_same_limit_thrice(gate, web):
    assert [web.ask("/expensive", "POST").status for _ in range(3)] == [200, 200, 429]
    assert [web.ask("/two").status for _ in range(3)] == [200, 200, 429]
    assert remaining(gate, "GET.two.3-per-3600s", "3/hour") == 1
    assert [web.ask("/twice").status for _ in range(2)] == [200, 200]
    assert remaining(gate, "shared", "3/minute") == 1
    assert [web.ask("/shared").status for _ in range(2)] == [200, 429]


def test_exempt_head_and_preflight(gate, web):
    for _ in range(3):
        assert web.ask("/health")["RateLimit"] is None
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert web.ask("/items/1", "OPTIONS", preflight).status == 200
    assert remaining(gate, "global", "100/minute") == 100
    assert web.ask("/nowhere").status == 404
    assert remaining(gate, "global", "100/minute") == 99


def test_identity_or_address(gate, web):
    web.ask("/sync", headers={"X-Api-Key": "k_1"})
    web.ask("/sync")
    assert remaining(gate, "global", "100/minute", "k_1") == 99
    assert remaining(gate, "global", "100/minute", tidegate.caller_key(None, "127.0.0.1")) == 99
    web.ask("/items/1", headers={"X-Api-Key": "k" * 10_000})
    assert remaining(gate, "GET.items-number", "2/minute", "k" * 10_000) == 1


def test_streams_sync_endpoints_and_background_tasks_are_left_alone(web):
    answers = [web.ask("/stream") for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[0].body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert answers[0]["RateLimit"] and answers[0]["Content-Type"].startswith("text/event-stream")
    assert web.ask("/sync").body == b'{"sync":true}'
    assert web.ask("/background").status == 200


def test_a_stream_arrives_piece_by_piece(gate):
    import http.client
    import time

    with serving(fastapi_app.make_app(gate)) as web:
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
        connection.request("GET", "/stream")
        response = connection.getresponse()
        times = []
        for _ in range(3):
            response.readline(), response.readline()
            times.append(time.monotonic())
        connection.close()
    assert times[2] - times[0] > 0.05


def test_background_tasks_run(gate):
    app = fastapi_app.make_app(gate)
    with serving(app) as web:
        web.ask("/background")
    assert app.state.ran == ["background"]


def test_included_routers_and_mounted_apps(web):
    assert [web.ask(f"/router/{i}").status for i in range(3)] == [200, 200, 429]
    answers = [web.ask(f"/sub/leaf/{i}") for i in range(2)]
    assert [one.status for one in answers] == [200, 429]
    assert '"sub.GET.leaf-name"' in answers[0]["RateLimit-Policy"]


def open_websocket(web, path):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(f"ws://127.0.0.1:{web.port}{path}") as socket:
            return 101, socket.recv(), socket.response.headers
    except InvalidStatus as refused:
        return refused.response.status_code, refused.response.body, refused.response.headers


def test_websockets_are_refused_before_they_are_accepted(gate):
    app = fastapi_app.make_app(gate, limit="2/minute")
    with serving(app) as web:
        assert open_websocket(web, "/ws")[:2] == (101, "hello")
        assert open_websocket(web, "/ws-limited")[:2] == (101, "hello")
        status, body, headers = open_websocket(web, "/ws")
        assert (
            status == 429 and json.loads(body)["status"] == 429 and headers["Retry-After"] == "30"
        )


@pytest.mark.parametrize("path,status", [("/items/1", 429), ("/ws-limited", 429)])
def test_the_dependency_works_alone(path, status, monkeypatch):
    with serving(fastapi_app.make_app(None)) as web:
        if path.startswith("/ws"):
            answers = [open_websocket(web, path) for _ in range(2)]
            assert [one[0] for one in answers] == [101, 429]
            assert json.loads(answers[1][1])["status"] == 429
            return
        caller = {"X-Forwarded-For": "198.51.100.77"}
        answers = [web.ask(path, headers=caller) for _ in range(3)]
        assert [one.status for one in answers] == [200, 200, 429]
        assert answers[0]["RateLimit"].startswith('"GET.items-number";r=1')
        assert answers[2]["Content-Type"] == "application/problem+json"
        assert json.loads(answers[2].body)["violated-policies"] == ["GET.items-number"]


def test_tiers_sync_and_async_callables_and_messages(gate):
    app = FastAPI()

    async def cost(request):
        return int(request.headers.get("x-cost", 1))

    app.add_middleware(
        RateLimitMiddleware,
        limit=fastapi_app.tier,
        store=gate,
        cost=cost,
        message={"error": "slow"},
        exempt=lambda request: request.url.path == "/free",
    )

    @app.get("/{name}")
    def any_path(name: str):
        return name

    with serving(app) as web:
        basic = [web.ask("/a", headers={"X-Tier": "basic", "X-Cost": "2"}) for _ in range(3)]
        assert [one.status for one in basic] == [200, 200, 429]
        assert basic[2].body == b'{"error":"slow"}' and basic[2]["Retry-After"] == "12"
        assert web.ask("/a", headers={"X-Tier": "pro"})["X-RateLimit-Limit"] == "500"
        assert web.ask("/a")["X-RateLimit-Limit"] == "50"
        assert web.ask("/free", headers={"X-Cost": "99"})["X-RateLimit-Limit"] is None
        assert web.ask("/a", headers={"X-Cost": "-1"}).status == 500
        assert web.ask("/a").status == 200


def test_shadow_and_no_limit(gate):
    app = FastAPI()
    seen = []
    app.add_middleware(RateLimitMiddleware, limit="1/minute", mode="shadow", store=gate)

    @app.get("/")
    def root(request: fastapi_app.Request):
        seen.append(decision_of(request.scope).would_deny)

    with serving(app) as web:
        assert [web.ask("/").status for _ in range(2)] == [200, 200]
    assert seen == [False, True]


def test_the_lifespan_opens_and_closes_the_shared_gate():
    from tidegate._web import shared

    def make():
        app = FastAPI()
        app.add_middleware(
            RateLimitMiddleware, limit="5/minute", name="life", store="memory://?max_keys=9"
        )

        @app.get("/")
        def root():
            return 1

        return app

    first, second = make(), make()
    with serving(first) as web:
        with serving(second) as other:
            assert web.ask("/")["X-RateLimit-Remaining"] == "4"
            assert other.ask("/")["X-RateLimit-Remaining"] == "3"
            gate = shared.get("memory://?max_keys=9")
        assert not gate.closed
    assert gate.closed
    with serving(first) as web:  # a test client enters the lifespan more than once
        assert web.ask("/").status == 200


def test_mistakes_fail_at_start_up():
    for options, text in (
        ({"limit": "5/fortnight"}, "expected a unit"),
        ({"limit": 5}, "limit 5"),
        ({"limit": "5/minute", "store": "ftp://x"}, "store URL"),
        ({"limit": "5/minute", "store": 5}, "store 5"),
        ({"limit": "5/minute", "key": 5}, "key 5"),
        ({"limit": "5/minute", "cost": -1}, "cost -1"),
        ({"limit": "5/minute", "cost": True}, "cost"),
        ({"limit": "5/minute", "headers": "modern"}, "modern"),
        ({"limit": "5/minute", "trusted_proxies": ["10.0.0.0/99"]}, "trusted_proxies"),
        ({"limit": "5/minute", "on_failure": "cry"}, "cry"),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            RateLimitMiddleware(FastAPI(), **options)
        assert text in str(caught.value), options
    with pytest.raises(tidegate.ConfigError, match="expected a unit"):
        RateLimit("5/fortnight")


def test_refusals_are_documented(gate):
    schema = fastapi_app.make_app(gate).openapi()
    paths = schema["paths"]
    for path, method in (
        ("/items/{number}", "get"),
        ("/expensive", "post"),
        ("/router/{name}", "get"),
    ):
        responses = paths[path][method]["responses"]
        assert "application/problem+json" in responses["429"]["content"], path
    assert "429" not in paths["/sync"]["get"]["responses"]


def test_own_handler_and_overrides(gate):
    app = FastAPI()
    limit = RateLimit("1/minute", store=gate)

    @app.get("/", dependencies=[Depends(limit)])
    def root():
        return 1

    @app.exception_handler(RateLimited)
    async def handler(request, error):
        return fastapi_app.StreamingResponse(iter([str(error.decision.limit)]), 420)

    app.add_middleware(RateLimitMiddleware, limit=None, store=gate)
    with serving(app) as web:
        assert [web.ask("/").status for _ in range(2)] == [200, 420]
        app.dependency_overrides[limit] = lambda: None
        assert web.ask("/").status == 200


def test_the_api_keeps_answering_when_the_store_is_gone(own_store):
    for policy, status in (("local", 200), ("open", 200), ("closed", 503)):
        app = FastAPI()
        app.add_middleware(
            RateLimitMiddleware,
            limit="1000/minute",
            exempt=["/health"],
            store=own_store.url(on_failure=policy, timeout_ms=150, breaker_failures=2),
        )

        @app.get("/{name}")
        def any_path(name: str):
            return name

        with serving(app) as web:  # started while the store is down
            assert (web.ask("/a").status, web.ask("/health").status) == (status, 200)
            own_store.start()
            for change in (lambda: None, own_store.pause, own_store.resume, own_store.kill):
                change()
                answers = [web.ask(path, timeout=5).status for path in ["/a", "/health"] * 3]
                assert set(answers) <= {200, status} and answers[1::2] == [200] * 3
            assert web.ask("/a").status == status
            own_store.start()
            from conftest import wait_for

            wait_for(
                lambda: b"a" in web.ask("/a").body and web.ask("/a").status == 200, "the store", 40
            )
            own_store.kill()


TWIN = """
import os
from fastapi import FastAPI
from tidegate.fastapi import RateLimitMiddleware

app = FastAPI()
app.add_middleware(RateLimitMiddleware, limit="40/hour", on_failure="closed")

@app.get("/")
def root():
    return os.getpid()
"""

PREFORK = """
import os
import tidegate
from fastapi import FastAPI
from tidegate.fastapi import RateLimitMiddleware

gate = tidegate.connect()
warm = gate.limiter("1000/hour", "warm").consume("before the fork")
app = FastAPI()
app.add_middleware(RateLimitMiddleware, limit="30/hour", store=gate, on_failure="closed")

@app.get("/")
def root():
    return os.getpid()
"""


def test_two_copies_share_every_limit(store, tmp_path):
    (tmp_path / "twin.py").write_text(TWIN)
    environment = {"TIDEGATE_URL": store.url(timeout_ms=5000)}
    with (
        serving_process(tmp_path, "twin:app", environment) as one,
        serving_process(tmp_path, "twin:app", environment) as two,
    ):
        answers = [web.ask("/") for _ in range(30) for web in (one, two)]
    assert [one.status for one in answers].count(200) == 40
    assert {one.status for one in answers} == {200, 429}
    assert len({one.body for one in answers if one.status == 200}) == 2


def test_gunicorn_workers_share_a_limit(store, tmp_path):
    import socket
    import subprocess
    import time

    from web_server import Web

    (tmp_path / "prefork.py").write_text(PREFORK)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "prefork:app",
            "--preload",
            "-w",
            "3",
            "-k",
            "uvicorn_worker.UvicornWorker",
            "-b",
            f"127.0.0.1:{port}",
            "--log-level",
            "error",
        ],
        cwd=tmp_path,
        env={**__import__("os").environ, "TIDEGATE_URL": store.url(timeout_ms=5000)},
    )
    try:
        web, end = Web(port), time.monotonic() + 30
        while True:
            try:
                first = web.ask("/")
                break
            except OSError:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.1)
        answers = [first] + [web.ask("/") for _ in range(59)]
    finally:
        process.terminate()
        process.wait(20)
    assert [one.status for one in answers].count(200) == 30
    assert {one.status for one in answers} == {200, 429}


def test_the_example(tmp_path):
    with serving_process(
        ROOT / "examples/fastapi", "app:app", {"TIDEGATE_URL": "memory://"}
    ) as web:
        basic = {"X-Api-Key": "basic-1"}
        answers = [web.ask("/items", headers=basic).status for _ in range(30)]
        assert answers.count(200) in (20, 21, 22) and answers[0] == 200 and answers[-1] == 429
        assert all(web.ask("/health").status == 200 for _ in range(30))
        costly = [
            web.ask("/report", "POST", {"X-Api-Key": "enterprise-1"}).status for _ in range(6)
        ]
        assert costly == [200] * 5 + [429]
        admin = {"X-Admin-Token": "let-me-in"}
        seen = json.loads(web.ask("/admin/callers/basic-1", headers=admin).body)
        assert seen["tier"] == "basic" and seen["caller"] == "basic-1"
        counts = json.loads(web.ask("/admin/stats", headers=admin).body)
        assert counts["denied"] >= 8
        rest = next(one for one in seen["states"] if one["limiter"] == "everybody")
        # None of those that were denied has drained everybody's budget.
        assert rest["remaining"] >= 20_000 - answers.count(200) - 6
        assert web.ask("/admin/callers/basic-1").status == 403
        said = {**admin, "Content-Type": "application/json"}
        path = "/admin/callers/basic-1"
        assert web.ask(path, "PUT", said, b'{"tier": "pro"}').status == 200
        assert web.ask("/items", headers=basic).status == 200
        assert web.ask(path, "PUT", said, b'{"ban": "1h"}').status == 200
        assert web.ask("/items", headers=basic).status == 403
        assert web.ask(path, "PUT", said, b'{"tier": "gold"}').status == 400
        assert web.ask(path, "DELETE", admin).status == 200
        assert web.ask("/items", headers=basic).status in (200, 429)
