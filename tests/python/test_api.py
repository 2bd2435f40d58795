# SPDX-License-Identifier: MIT
"""The synchronous API, embedded and on every server."""

from __future__ import annotations

import logging
import math
import threading
import time

import pytest

import tidegate
from tidegate.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def gate(url, clock):
    with tidegate.connect(url, clock=clock) as gate:
        yield gate


def test_a_limit_is_kept_and_tells_when_to_come_again(gate, clock):
    api = gate.limiter("3/minute", name="api")
    assert [bool(api.consume("a")) for _ in range(4)] == [True, True, True, False]
    denied = api.consume("a")
    assert (denied.allowed, denied.name, denied.limit, denied.remaining) == (False, "api", 3, 0)
    assert (denied.retry_after, denied.reset_after) == (20.0, 60.0)
    clock.advance(denied.retry_after - 0.000001)
    assert not api.consume("a")
    clock.advance(0.000001)
    assert api.consume("a")
    assert api.consume("b").remaining == 2


def test_a_decision_prints_well_and_is_immutable(gate):
    decision = gate.limiter("3/minute", name="api").consume("a")
    source = "memory" if gate.url.startswith("memory") else "store"
    assert repr(decision) == (
        "Decision(allowed=True, name='api', limit=3, remaining=2, retry_after=0.0, "
        f"reset_after=20.0, source='{source}')"
    )
    with pytest.raises(AttributeError):
        decision.allowed = False
    with pytest.raises(TypeError):
        type(decision)()


def test_several_rates_are_one_limiter(gate):
    api = gate.limiter("2/second; 3/minute", name="api")
    decision = [api.consume("a") for _ in range(3)][-1]
    assert [(part.name, part.allowed, part.remaining) for part in decision.parts] == [
        ("api-1s", False, 0),
        ("api-60s", True, 1),
    ]
    assert decision.name == "api-1s"
    assert [(rate.limit, rate.window, rate.burst) for rate in api.rates] == [
        (2, 1.0, None),
        (3, 60.0, None),
    ]


def test_one_request_of_several_limiters_is_all_or_nothing(gate):
    wide, narrow = gate.limiter("10/minute", name="wide"), gate.limiter("1/minute", name="narrow")
    assert gate.consume([(wide, "a", 2), (narrow, "a")])
    denied = gate.consume([(wide, "a"), (narrow, "a")])
    assert not denied and denied.name == "narrow"
    assert wide.peek("a").remaining == 8
    assert [part.allowed for part in gate.peek([(wide, "a"), (narrow, "a")]).parts] == [True, False]


def test_a_cost_above_the_capacity_is_never(gate):
    denied = gate.limiter("3/minute").consume("a", 4)
    assert denied.retry_after == math.inf and "Retry-After" not in denied.headers()
    assert gate.limiter("3/minute").consume("a", 0)


def test_peek_writes_nothing_reset_forgets_refund_gives_back(gate):
    api = gate.limiter("3/minute", name="api")
    first = api.consume("a", 3)
    assert api.peek("a").remaining == 0 and not api.peek("a")
    api.refund("a", 1, first)
    assert api.peek("a").remaining == 1
    api.refund("a", cost=100)
    assert api.peek("a").remaining == 3
    api.consume("a", 3)
    api.reset("a")
    assert api.peek("a").remaining == 3


def test_new_numbers_for_the_same_limiter(gate):
    api = gate.limiter("3/minute", name="api")
    api.consume("a", 3)
    api.change("5/minute")
    assert api.consume("a").limit == 5
    api.change(mode="shadow")
    passed = api.consume("a", 5)
    assert passed and passed.would_deny and passed.parts[0].would_deny
    with pytest.raises(tidegate.ConfigError, match="fortnight"):
        api.change("5/fortnight")
    assert api.rates[0].limit == 5 and api.rates[0].mode == "shadow"


def test_the_same_name_is_the_same_limiter_or_an_error(gate):
    assert gate.limiter("3/minute", "api").consume("a").remaining == 2
    assert gate.limiter("3/minute", "api").consume("a").remaining == 1
    with pytest.raises(tidegate.ConfigError, match="already open"):
        gate.limiter("4/minute", "api")
    assert gate.limiter("3/minute").name == "3-per-60s"


def test_off_asks_nobody(gate):
    decision = gate.limiter("1/minute", mode="off").consume("a")
    assert decision and decision.remaining is None and decision.headers() == {}


def test_headers_and_problem(gate):
    api = gate.limiter("1/minute", name="api")
    assert api.consume("a").headers("standard") == {
        "RateLimit-Policy": '"api";q=1;w=60',
        "RateLimit": '"api";r=0;t=60',
    }
    denied = api.consume("a")
    assert denied.headers(["legacy-delta"]) == {
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "60",
        "Retry-After": "60",
    }
    assert denied.status == 429 and b'"violated-policies":["api"]' in denied.problem()
    with pytest.raises(tidegate.ConfigError, match="standard"):
        denied.headers("modern")


def test_waiting_follows_the_fake_clock(gate, clock):
    api = gate.limiter("1/minute", name="api")
    api.consume("a")
    assert not api.wait("a", timeout=59.0)  # would exceed the time left: at once
    assert not api.wait("a", cost=2)  # never: at once
    got = []
    waiter = threading.Thread(target=lambda: got.append(api.wait("a", timeout=61)))
    waiter.start()
    time.sleep(0.05)
    assert not got
    clock.advance(60)
    waiter.join(10)
    assert got and got[0].allowed


def test_waiting_without_a_clock_sleeps():
    with tidegate.connect() as gate:
        api = gate.limiter("1/100ms")
        api.consume("a")
        began = time.monotonic()
        assert api.wait("a", timeout=5)
        assert 0.05 < time.monotonic() - began < 4


def test_ping_stats_and_url(gate):
    assert 0 <= gate.ping() < 5
    gate.limiter("1/minute").consume("a")
    gate.limiter("1/minute").consume("a")
    stats = gate.stats()
    assert (stats.allowed, stats.denied) == (1, 1)
    assert isinstance(gate.url, str) and repr(gate).startswith("<tidegate.Gate ")


def test_after_close(gate):
    api = gate.limiter("1/minute")
    decision = api.consume("a")
    gate.close()
    gate.close()
    for call in (
        lambda: api.consume("a"),
        lambda: gate.limiter("2/minute"),
        gate.ping,
        lambda: gate.consume([(api, "a")]),
        lambda: api.change("3/minute"),
    ):
        with pytest.raises(tidegate.ClosedError):
            call()
    assert decision.name == "1-per-60s" and decision.headers()
    assert gate.closed and gate.stats().allowed == 1


BAD = [
    (lambda g: g.limiter("5/fortnight"), tidegate.ConfigError, "at 2: expected a unit"),
    (lambda g: g.limiter(""), tidegate.ConfigError, "rate"),
    (lambda g: g.limiter(5), TypeError, "100/minute"),
    (lambda g: g.limiter(None), TypeError, "rate None: expected a str, such as '100/minute'"),
    (lambda g: g.limiter("5/minute", "a b"), tidegate.ConfigError, "a b"),
    (lambda g: g.limiter("5/minute", algorithm="magic"), tidegate.ConfigError, "magic"),
    (lambda g: g.limiter("5/minute", mode="loud"), tidegate.ConfigError, "loud"),
    (lambda g: g.limiter("5/minute", on_failure="cry"), tidegate.ConfigError, "cry"),
    (lambda g: g.limiter("5/minute").consume(""), tidegate.ConfigError, "at least one byte"),
    (lambda g: g.limiter("5/minute").consume(7.5), TypeError, "key 7.5"),
    (lambda g: g.limiter("5/minute").consume("\ud800"), tidegate.ConfigError, "surrogate"),
    (lambda g: g.limiter("5/minute").consume("a", -1), tidegate.ConfigError, "cost -1"),
    (lambda g: g.limiter("5/minute").consume("a", 2**52), tidegate.ConfigError, "cost"),
    (lambda g: g.limiter("5/minute").consume("a", 2**200), tidegate.ConfigError, "cost"),
    (lambda g: g.limiter("5/minute").consume("a", True), TypeError, "cost True"),
    (lambda g: g.limiter("5/minute").consume("a", 1.5), TypeError, "cost 1.5"),
    (lambda g: g.limiter("5/minute").consume("a", "1"), TypeError, "cost '1'"),
    (lambda g: g.limiter("5/minute").consume("a", None), TypeError, "cost None"),
    (lambda g: g.limiter("5/minute").consume(), TypeError, "key"),
    (lambda g: g.limiter("5/minute").consume("a", cots=1), TypeError, "cots"),
    (lambda g: g.limiter("5/minute").consume("a", key="a"), TypeError, "twice"),
    (lambda g: g.limiter("5/minute").refund("a", 1, "yes"), TypeError, "Decision"),
    (lambda g: g.limiter("5/minute").wait("a", timeout=-1), tidegate.ConfigError, "timeout"),
    (lambda g: g.consume([]), tidegate.ConfigError, "0 parts"),
    (lambda g: g.consume([(g.limiter("5/minute"), "a")] * 17), tidegate.ConfigError, "17 parts"),
    (lambda g: g.consume([("api", "a")]), TypeError, "part 0"),
    (lambda g: g.consume(5), TypeError, "list"),
    (
        lambda g: g.consume([(tidegate.connect().limiter("5/minute"), "a")]),
        tidegate.ConfigError,
        "another",
    ),
    (lambda g: g.on_event(5), TypeError, "callable"),
    (lambda g: FakeClock("now"), TypeError, "now_us"),
    (lambda g: FakeClock(-1), tidegate.ConfigError, "now_us"),
    (
        lambda g: tidegate.connect("ftp://host"),
        tidegate.ConfigError,
        "store URL at 0: expected memory",
    ),
    (lambda g: tidegate.connect("redis://h:99999"), tidegate.ConfigError, "port"),
    (lambda g: tidegate.connect(5), TypeError, "url 5"),
    (lambda g: tidegate.connect(timout_ms=5), tidegate.ConfigError, "did you mean timeout_ms"),
    (lambda g: tidegate.connect(timeout_ms="soon"), tidegate.ConfigError, "timeout_ms"),
    (lambda g: tidegate.connect(timeout_ms=1.5), tidegate.ConfigError, "timeout_ms=1.5"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
@pytest.mark.filterwarnings("ignore:unclosed")
def test_bad_input_names_the_value_and_what_was_expected(number):
    call, error, text = BAD[number]
    with tidegate.connect() as gate, pytest.raises(error) as caught:
        call(gate)
    assert text in str(caught.value)
    if isinstance(caught.value, tidegate.Error):
        assert caught.value.code < 0 or caught.value.code == 0


def test_errors_say_where():
    with tidegate.connect() as gate, pytest.raises(ValueError) as caught:
        gate.limiter("5/fortnight")
    assert caught.value.position == 2 and caught.value.code == -3


@pytest.mark.parametrize("key", ["k" * 10_000, "a\0b\nc", b"\xff\x00", "é", "@", "%{}#", "#x"])
def test_any_text_or_bytes_is_a_key(gate, key):
    api = gate.limiter("2/minute", name="api")
    assert [bool(api.consume(key)) for _ in range(3)] == [True, True, False]
    assert api.consume("other")


def test_a_password_is_never_shown():
    with tidegate.connect("redis://user:s3cret@127.0.0.1:1/0") as gate:
        assert "s3cret" not in repr(gate) + gate.url and "***" in gate.url
        with pytest.raises(tidegate.StoreError) as caught:
            gate.ping()
        assert "s3cret" not in str(caught.value)


def test_the_environment_names_the_default_store(monkeypatch):
    monkeypatch.setenv("TIDEGATE_URL", "redis://127.0.0.1:1")
    with tidegate.connect() as gate:
        assert gate.url.startswith("redis://127.0.0.1:1")


def test_events_reach_logging_and_callbacks(caplog):
    heard = []
    with tidegate.connect("redis://127.0.0.1:1", connect_timeout_ms=200) as gate:
        gate.on_event(heard.append)
        gate.on_event(lambda event: 1 / 0)
        with caplog.at_level(logging.INFO, logger="tidegate"):
            decision = gate.limiter("1/minute").consume("a")
    assert decision and decision.source == "fallback"
    assert (
        heard
        and heard[0].level in (logging.WARNING, logging.ERROR)
        and "127.0.0.1:1" in heard[0].text
    )
    texts = [record.getMessage() for record in caplog.records if record.name == "tidegate"]
    assert heard[0].text in texts and any("callback failed" in text for text in texts)


@pytest.mark.parametrize(
    "policy,allowed,source,status",
    [
        ("local", True, "fallback", 200),
        ("open", True, "fail_open", 200),
        ("closed", False, "fail_closed", 503),
    ],
)
def test_without_a_store_the_policy_answers(policy, allowed, source, status):
    with tidegate.connect("redis://127.0.0.1:1", connect_timeout_ms=200) as gate:
        decision = gate.limiter("1/minute", on_failure=policy).consume("a")
        assert (decision.allowed, decision.source, decision.status) == (allowed, source, status)
        if policy != "local":
            assert decision.remaining is None and "RateLimit" not in decision.headers()
        for call in (gate.ping, lambda: gate.limiter("1/minute", on_failure=policy).reset("a")):
            with pytest.raises(tidegate.StoreError):
                call()


def test_the_callers_key():
    assert tidegate.caller_key("k_1", "203.0.113.7") == "k_1"
    assert tidegate.caller_key(None, "203.0.113.7") == "@203.0.113.7"
    assert tidegate.caller_key("", "2001:db8:1:2:3::4") == "@2001:db8:1:2::/64"
    assert tidegate.caller_key("@203.0.113.7", "1.2.3.4") == "@@203.0.113.7"


def test_threads_share_a_limit_exactly(url):
    with tidegate.connect(url) as gate:
        api = gate.limiter("500/hour", name="api")
        allowed = []

        def work():
            allowed.append(sum(api.consume("a").allowed for _ in range(100)))

        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert sum(allowed) == 500


def test_options_are_listed():
    names = [option.name for option in tidegate.options()]
    assert {"timeout_ms", "namespace", "on_failure", "clock"} <= set(names)


def test_help_reads_well():
    import pydoc

    text = pydoc.plain(pydoc.render_doc(tidegate))
    for word in (
        "connect(",
        "class Gate",
        "class Decision",
        "retry_after",
        "seconds",
        "ConfigError",
    ):
        assert word in text, word
    for owner in (tidegate.Gate, tidegate.Limiter, tidegate.aio.Gate, tidegate.aio.Limiter):
        for name in dir(owner):
            if not name.startswith("_"):
                assert getattr(owner, name).__doc__, f"{owner.__name__}.{name} has no docstring"
