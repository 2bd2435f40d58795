# SPDX-License-Identifier: MIT
"""Numbers as keys, requests of several limiters, limiters that are closed, decisions as data."""

from __future__ import annotations

import asyncio
import enum
import json
import math

import pytest

import tidegate
import tidegate.aio
from tidegate.testing import FakeClock


@pytest.fixture
def gate(url):
    with tidegate.connect(url, clock=FakeClock()) as gate:
        yield gate


class Plan(enum.IntEnum):
    BASIC = 42


@pytest.mark.parametrize("key", [42, "42", b"42", Plan.BASIC])
def test_a_number_is_the_key_that_its_digits_are(gate, key):
    api = gate.limiter("3/minute", name="api")
    api.consume(42)
    assert api.consume(key).remaining == 1 and api.peek(key).remaining == 1
    assert gate.consume([(api, key), (api, -7)]) and api.peek("42").remaining == 0
    assert api.peek("-7").remaining == 2
    api.refund(key, 2)
    assert api.peek("42").remaining == 2
    api.reset(key)
    assert api.peek("42").remaining == 3
    assert api.consume(2**200).remaining == 2 and api.peek(str(2**200)).remaining == 2


@pytest.mark.parametrize("key", [True, False, 1.0, None, bytearray(b"secret"), ["secret"]])
def test_what_is_no_key_is_refused_and_not_shown_where_it_may_be_a_secret(gate, key):
    api = gate.limiter("3/minute", name="api")
    for call in (
        lambda: api.consume(key),
        lambda: api.peek(key),
        lambda: api.reset(key),
        lambda: api.refund(key),
        lambda: gate.consume([(api, key)]),
    ):
        with pytest.raises(TypeError, match=f"bytes or an int, not {type(key).__name__}") as caught:
            call()
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("part", [("secret", 1), ["secret", "secret"], ("secret",), ()])
def test_a_part_that_is_none_is_not_shown(gate, part):
    with pytest.raises(TypeError, match="part 0 is a (tuple|list)|part 0 is list") as caught:
        gate.consume([part])
    assert "secret" not in str(caught.value) and "(limiter, key" in str(caught.value)


def test_several_limiters_are_refunded_and_reset_in_one_request(gate):
    wide, narrow = gate.limiter("10/minute", name="wide"), gate.limiter("5/minute", name="narrow")
    decision = gate.consume([(wide, "a", 4), (narrow, 7, 2)])
    gate.refund([(wide, "a", 3), (narrow, 7, 1)], decision)
    assert (wide.peek("a").remaining, narrow.peek("7").remaining) == (9, 4)
    gate.refund([(wide, "a")])
    assert wide.peek("a").remaining == 10
    gate.consume([(wide, "a", 4), (narrow, 7, 2)])
    gate.reset([(wide, "a"), (narrow, 7)])
    assert (wide.peek("a").remaining, narrow.peek("7").remaining) == (10, 5)
    with pytest.raises(TypeError, match=r"part 0 is a tuple of 3: expected \(limiter, key\)"):
        gate.reset([(wide, "a", 4)])
    with pytest.raises(TypeError, match="Decision, not str"):
        gate.refund([(wide, "a")], "yes")


def test_several_limiters_are_refunded_asynchronously(url):
    async def main():
        async with tidegate.aio.connect(url, clock=FakeClock()) as gate:
            api = gate.limiter("10/minute", name="api")
            decision = await gate.consume([(api, "a", 4), (api, "b", 4)])
            assert await gate.refund([(api, "a", 4), (api, "b", 3)], decision) is None
            assert (await api.peek("a")).remaining == 10 and (await api.peek("b")).remaining == 9
            await gate.reset([(api, "b")])
            assert (await api.peek("b")).remaining == 10

    asyncio.run(main())


def test_tokens_go_back_to_the_engine_that_gave_them():
    with tidegate.connect("redis://127.0.0.1:1", connect_timeout_ms=200) as gate:
        one, two = gate.limiter("2/minute", name="one"), gate.limiter("2/minute", name="two")
        decision = gate.consume([(one, "a"), (two, "a")])
        assert decision.source == "fallback"
        gate.refund([(one, "a"), (two, "a")], decision)  # no StoreError: the store took nothing
        assert gate.consume([(one, "a")]).remaining == 1
        with pytest.raises(tidegate.StoreError):
            gate.refund([(one, "a")])


def test_a_limiter_that_is_closed_gives_its_name_free(gate):
    api, same = gate.limiter("3/minute", name="api"), gate.limiter("3/minute", name="api")
    api.consume("a")
    same.close()
    same.close()
    for one in (api, same):
        for call in (one.consume, one.peek, one.reset):
            with pytest.raises(tidegate.ClosedError, match="limiter 'api' is closed"):
                call("a")
        with pytest.raises(tidegate.ClosedError, match="'api'"):
            gate.consume([(one, "a")])
        with pytest.raises(tidegate.ClosedError, match="'api'"):
            one.change("4/minute")
        with pytest.raises(tidegate.ClosedError, match="'api'"):
            one.rates  # noqa: B018
        assert one.name == "api" and repr(one) == "<tidegate.Limiter 'api' closed>"
    other = gate.limiter("4/minute", name="api")
    assert other.consume("b").remaining == 3
    other.close()
    assert gate.limiter("3/minute", name="api").peek("a").remaining == 2  # its states stay


def test_limiters_come_and_go():
    with tidegate.connect() as gate:
        for number in range(70_000):  # a gate has 65,536 at most
            api = gate.limiter(f"{number % 1000 + 1}/minute", name=f"n{number}")
            api.close()
        assert gate.limiter("1/minute").consume("a")


def test_an_asynchronous_limiter_is_closed_at_once():
    async def main():
        async with tidegate.aio.connect() as gate:
            api = gate.limiter("1/minute", name="api")
            assert api.close() is None
            with pytest.raises(tidegate.ClosedError):
                await api.consume("a")
            assert repr(api) == "<tidegate.aio.Limiter 'api' closed>"

    asyncio.run(main())


def test_a_decision_as_a_dict_and_as_json(gate):
    decision = gate.limiter("2/second; 30/minute", name="api").consume("a")
    data = decision.as_dict()
    assert {name: data[name] for name in ("allowed", "would_deny", "name", "limit")} == {
        "allowed": True,
        "would_deny": False,
        "name": "api-1s",
        "limit": 2,
    }
    assert (data["remaining"], data["retry_after"], data["reset_after"]) == (1, 0.0, 0.5)
    assert data["source"] == decision.source and len(data["parts"]) == 2
    assert (
        data["parts"][1]
        == decision.parts[1].as_dict()
        == {
            "allowed": True,
            "would_deny": False,
            "shadow": False,
            "name": "api-60s",
            "limit": 30,
            "remaining": 29,
            "retry_after": 0.0,
            "next_after": 2.0,
            "reset_after": 2.0,
            "shortfall": 0,
        }
    )
    assert json.loads(decision.as_json()) == data


def test_never_and_unknown_are_told_apart(gate):
    never = gate.limiter("3/minute", name="api").consume("a", 4)
    assert never.as_dict()["retry_after"] == math.inf
    assert never.as_dict(never=None)["parts"][0]["retry_after"] is None
    told = json.loads(never.as_json())
    assert told["retry_after"] == told["parts"][0]["retry_after"] == "never"
    unknown = gate.limiter("3/minute", name="off", mode="off").consume("a")
    assert unknown.as_dict()["remaining"] is json.loads(unknown.as_json())["limit"] is None
    assert unknown.as_dict()["retry_after"] is json.loads(unknown.as_json())["retry_after"] is None
