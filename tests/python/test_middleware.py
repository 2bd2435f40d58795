# SPDX-License-Identifier: MIT
"""The ASGI middleware: who is charged, what nested limits cost and say, own answers to refusals."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
from asgi_driver import ask, statuses
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

import tidegate
import tidegate.aio
from tidegate import _passage
from tidegate.asgi import RateLimitMiddleware, decision_of
from tidegate.testing import FakeClock


@pytest.fixture
def gate():
    with tidegate.connect(clock=FakeClock()) as gate:
        yield gate


async def ok(scope, receive, send):
    await PlainTextResponse("ok")(scope, receive, send)


def limited(gate, limit="3/minute", app=ok, **options):
    return RateLimitMiddleware(app, limit, store=gate, **options)


def remaining(gate, rates, name, key="@127.0.0.1"):
    return gate.limiter(rates, name).peek(key).remaining


# ---- several limits, names ----


def test_several_limits_may_have_a_name(gate):
    app = limited(gate, ["2/second", "100/minute"], name="api")
    assert statuses(app, "/", "/", "/") == [200, 200, 429]
    policy = ask(app).__getitem__("RateLimit-Policy")
    assert policy == '"api.2-per-1s";q=2;w=1, "api.100-per-60s";q=100;w=60'
    with pytest.raises(tidegate.ConfigError, match="limiter name"):
        limited(gate, ["2/second", "100/minute"], name="a b")
    with pytest.raises(tidegate.ConfigError, match="fortnight"):
        limited(gate, ["2/second", "100/fortnight"], name="api")


def test_tiers_of_two_modes_do_not_disturb_each_other(gate):
    watched = limited(gate, lambda request: "5/minute", name="a", mode="shadow")
    enforced = limited(gate, lambda request: "5/minute", name="b")
    unnamed = [
        limited(gate, "5/minute", mode="shadow"),
        limited(gate, "5/minute"),
        limited(gate, "5/minute", on_failure="closed"),
    ]
    assert [ask(app).status for app in (watched, enforced, *unnamed)] == [200] * 5


@pytest.mark.heavy
def test_rates_made_for_each_caller_do_not_fill_the_gate(gate):
    numbers = iter(range(1, 70_000))
    app = limited(gate, lambda request: f"{next(numbers)}/minute")

    async def everybody():
        from asgi_driver import send

        return {(await send(app)).status for _ in range(66_000)}

    import asyncio

    assert asyncio.run(everybody()) == {200}


def test_a_limiter_that_others_have_is_not_closed(gate):
    mine = gate.limiter("1/minute")
    numbers = iter(range(1, 2_000))
    app = limited(gate, lambda request: f"{next(numbers)}/minute")
    assert statuses(app, *["/"] * 1_100) == [200] * 1_100  # more than are kept open
    assert not mine.consume("@127.0.0.1")  # open, and it is the one that the middleware charged


# ---- identities ----


@pytest.mark.parametrize("nobody", [None, False, "", b"", 0])
def test_nothing_is_no_identity(gate, nobody):
    app = limited(gate, name="api", key=lambda request: nobody)
    assert ask(app).status == 200 and ask(app, client="127.0.0.2").status == 200
    assert remaining(gate, "3/minute", "api") == 2
    assert remaining(gate, "3/minute", "api", "@127.0.0.2") == 2


@pytest.mark.parametrize("somebody", [42, "42", b"42"])
def test_a_text_bytes_or_a_number_is_an_identity(gate, somebody):
    app = limited(gate, name="api", key=lambda request: somebody)
    ask(app)
    assert remaining(gate, "3/minute", "api", "42") == 2
    assert tidegate.caller_key(somebody, "127.0.0.1") == "42"


@pytest.mark.parametrize("identity", [True, 1.5, uuid.UUID(int=5), object(), ["secret"]])
def test_anything_else_is_a_clear_error(gate, identity):
    app = limited(gate, name="api", key=lambda request: identity)
    with pytest.raises(TypeError, match="identity.*expected a str, bytes or an int") as caught:
        ask(app)
    assert type(identity).__name__ in str(caught.value) and "secret" not in str(caught.value)
    with pytest.raises(TypeError, match="identity"):
        tidegate.caller_key(identity, "127.0.0.1")


def test_bytes_that_are_no_text_are_different_callers(gate):
    numbers = iter([128, 129, 130, 200, 255, 128])
    app = limited(
        gate, "1/minute", name="api", key=lambda request: next(numbers).to_bytes(4, "big")
    )
    assert statuses(app, *["/"] * 6) == [200] * 5 + [429]
    assert tidegate.caller_key(b"\0\xff", "127.0.0.1") == b"\0\xff"
    assert gate.limiter("1/minute", "api").peek(b"\0\0\0\x80").remaining == 0


def test_lone_surrogates_are_a_caller_like_any_other(gate):
    texts = iter(["\ud800", "\ud801", "\ud800", "a\udcff"])
    app = limited(gate, "1/minute", name="api", key=lambda request: next(texts))
    assert statuses(app, *["/"] * 4) == [200, 200, 429, 200]
    key = tidegate.caller_key("\ud800", "127.0.0.1")
    assert gate.limiter("1/minute", "api").peek(key).remaining == 0


def test_text_and_bytes_of_a_caller_are_charged_once(gate):
    api = gate.limiter("3/minute", "api")
    inner = limited(gate, api, key=lambda request: b"k_1")
    ask(limited(gate, api, inner, key=lambda request: "k_1"))
    assert api.peek("k_1").remaining == 2


def test_whom_to_trust_is_asked_for_once(gate, caplog, monkeypatch):
    behind = {"x-forwarded-for": "203.0.113.7"}
    for options in ({"trusted_proxies": 0}, {"key": lambda request: "k"}):
        monkeypatch.setattr(_passage, "_warned", False)
        ask(limited(gate, **options), headers=behind)
        assert not caplog.records
    app = limited(gate)
    with caplog.at_level(logging.WARNING, "tidegate"):
        ask(app)
        assert not caplog.records
        ask(app, headers=behind), ask(app, headers=behind)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "a request carries X-Forwarded-For, and nobody said whom to trust"
    ]


# ---- exempt paths ----


def test_exempt_paths_below_a_root_path_and_a_mount(gate):
    app = limited(gate, "1/minute", exempt=["/health", "/v1/open"])
    for path, root in (
        ("/health", ""),
        ("/api/health", "/api"),  # a server that leaves the prefix in the path
        ("/health", "/api"),  # a proxy that took it away
        ("/api/v1/open", "/api"),
    ):
        assert statuses(app, path, path, root_path=root) == [200, 200], (path, root)
    assert statuses(app, "/apihealth", "/apihealth", root_path="/api") == [200, 429]
    assert ask(app, "/other/health").status == 429


def test_exempt_paths_of_a_mounted_application(gate):
    app = Starlette(
        routes=[Mount("/sub", app=limited(gate, "1/minute", exempt=["/health", "/sub/x"]))]
    )
    assert statuses(app, *["/sub/health", "/sub/x"] * 2) == [200] * 4
    assert statuses(app, *["/api/sub/health", "/api/sub/x"] * 2, root_path="/api") == [200] * 4
    assert statuses(app, "/sub/y", "/sub/y") == [200, 429]
    for wrong in (5, [5], None):
        with pytest.raises(TypeError, match="exempt"):
            limited(gate, exempt=wrong)


# ---- nested ----


def nested(gate, **options):
    inner = limited(gate, "2/minute", name="inner", **options)
    return limited(gate, "100/minute", inner, name="outer")


def test_what_an_inner_middleware_refuses_costs_nothing_outside(gate):
    app = nested(gate)
    assert statuses(app, *["/"] * 20) == [200, 200] + [429] * 18
    assert remaining(gate, "100/minute", "outer") == 98


@pytest.mark.parametrize("key", [1, 0])
def test_on_a_store_too(store, key):
    with tidegate.connect(store.url(timeout_ms=5000), clock=FakeClock()) as gate:
        inner = limited(gate, "1/minute", name="inner", key=lambda request: key)
        app = limited(gate, ["100/minute", "200/hour"], inner, name="outer")
        import asyncio

        from asgi_driver import send

        async def main():
            return [(await send(app)).status for _ in range(5)]

        assert asyncio.run(main()) == [200, 429, 429, 429, 429]
        assert remaining(gate, "100/minute", "outer.100-per-60s") == 99
        assert remaining(gate, "200/hour", "outer.200-per-3600s") == 199


def test_a_shadow_limit_that_did_not_fit_gets_nothing_back(gate):
    inner = limited(gate, "1/minute", name="inner")
    wide = gate.limiter("2/minute", "wide", mode="shadow")
    app = limited(gate, [wide, gate.limiter("9/minute", "whole")], inner, cost=2)
    assert statuses(app, *["/"] * 3) == [200, 429, 429]
    assert wide.peek("@127.0.0.1").remaining == 0
    assert remaining(gate, "9/minute", "whole") == 7


def test_limits_of_two_stores_are_given_back_too(gate):
    with tidegate.connect(clock=FakeClock()) as other:
        there = other.limiter("100/minute", "there")
        app = limited(gate, [there, gate.limiter("1/minute", "here")])
        assert statuses(app, *["/"] * 3) == [200, 429, 429]
        assert there.peek("@127.0.0.1").remaining == 99


def test_a_store_that_is_away_is_no_trouble_when_something_is_given_back():
    with tidegate.connect("redis://127.0.0.1:1", connect_timeout_ms=200) as gate:
        app = nested(gate)
        assert statuses(app, *["/"] * 4) == [200, 200, 429, 429]
        assert remaining(gate, "100/minute", "outer") == 98


def test_a_refusal_lists_the_limits_around_it(gate):
    app = nested(gate)
    for _ in range(2):
        passed = ask(app)
    assert passed["RateLimit-Policy"] == '"outer";q=100;w=60, "inner";q=2;w=60'
    assert passed["RateLimit"].startswith('"outer";r=98') and '"inner";r=0' in passed["RateLimit"]
    assert passed["X-RateLimit-Limit"] == "2"
    refused = ask(app)
    assert refused["RateLimit-Policy"] == '"outer";q=100;w=60, "inner";q=2;w=60'
    assert refused["X-RateLimit-Limit"] == "2" and refused["X-RateLimit-Remaining"] == "0"
    assert refused["Retry-After"] == "30"


def test_a_refusal_that_says_little_is_not_contradicted(gate):
    inner = limited(gate, "2/minute", name="inner", headers=["legacy"], cost=5)  # never fits
    refused = ask(limited(gate, "100/minute", inner, name="outer"))
    assert refused.status == 429 and refused["Retry-After"] is None
    assert refused["X-RateLimit-Limit"] == "2"
    silent = limited(gate, "1/minute", name="silent", headers=[])
    app = limited(gate, "100/minute", silent, name="around")
    assert ask(app)["X-RateLimit-Limit"] == "100"
    refused = ask(app)
    assert refused["X-RateLimit-Limit"] is None and refused["Retry-After"] == "60"


@pytest.mark.parametrize("status", [200, 429])
def test_what_the_application_says_itself_stands(gate, status):
    def gateway(request):
        fields = {"X-RateLimit-Limit": "7", "X-RateLimit-Remaining": "5", "Retry-After": "9"}
        return PlainTextResponse("from elsewhere", status, fields)

    app = limited(gate, "100/minute", Starlette(routes=[Route("/", gateway)]), name="outer")
    answer = ask(app)
    assert (answer.status, answer["X-RateLimit-Limit"], answer["Retry-After"]) == (status, "7", "9")
    assert answer["X-RateLimit-Reset"] is None
    assert answer["RateLimit-Policy"] == '"outer";q=100;w=60'


# ---- own answers ----


@pytest.mark.parametrize("kind", ["sync", "async", "none"])
def test_an_own_answer_to_a_refusal(gate, kind):
    seen = []

    def own(request, decision):
        seen.append((request.url.path, decision.allowed, decision.limit))
        return None if kind == "none" else JSONResponse({"slow": decision.retry_after}, 420)

    async def later(request, decision):
        return own(request, decision)

    app = limited(gate, "1/minute", on_denied=later if kind == "async" else own)
    passed, refused = ask(app, "/a"), ask(app, "/a")
    assert passed.status == 200 and seen == [("/a", False, 1)]
    if kind == "none":
        assert refused.status == 429 and json.loads(refused.body)["status"] == 429
        return
    assert refused.status == 420 and refused.body == b'{"slow":60.0}'
    assert refused["Retry-After"] == "60" and refused["RateLimit"].startswith('"1-per-60s";r=0')
    assert refused["Content-Type"] == "application/json"


def test_the_inner_rule_answers_for_itself_or_else_the_one_around(gate):
    def answer(text):
        return lambda request, decision: PlainTextResponse(text, 420)

    inner = limited(gate, "1/minute", name="inner", on_denied=answer("inner"))
    outer = limited(gate, "2/minute", inner, name="outer", on_denied=answer("outer"), cost=2)
    assert ask(outer).body == b"ok"
    assert ask(outer).body == b"outer"
    assert ask(inner).body == b"inner"


def test_mistakes_in_own_answers(gate):
    with pytest.raises(TypeError, match="on_denied 5"):
        limited(gate, on_denied=5)
    app = limited(gate, "1/minute", on_denied=lambda request, decision: {"error": "slow"})
    ask(app)
    with pytest.raises(TypeError, match="on_denied returned dict"):
        ask(app)


@pytest.mark.parametrize("denial", [True, False])
def test_an_own_answer_to_a_handshake(gate, denial):
    async def accept(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})

    app = limited(
        gate, "1/minute", accept, on_denied=lambda request, decision: PlainTextResponse("no", 420)
    )
    assert ask(app, kind="websocket", denial=denial)["X-RateLimit-Limit"] == "1"
    refused = ask(app, kind="websocket", denial=denial)
    if denial:
        assert (refused.status, refused.body, refused["Retry-After"]) == (420, b"no", "60")
    else:
        assert refused.status == 1008 and len(refused.messages) == 1


def test_the_decision_of_a_refusal(gate):
    seen = []

    def own(request, decision):
        seen.append(decision_of(request.scope) is decision)

    app = limited(gate, "1/minute", on_denied=own)
    statuses(app, "/", "/")
    assert seen == [True]
