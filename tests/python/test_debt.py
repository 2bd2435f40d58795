# SPDX-License-Identifier: MIT
"""Debits, and reservations that are settled."""

from __future__ import annotations

import asyncio
import gc
import os

import pytest
import trio
from conftest import wait_for

import tidegate
import tidegate.aio
from tidegate.testing import FakeClock


@pytest.fixture
def gate(url):
    with tidegate.connect(url) as gate:
        yield gate


def left(limiter, key):
    return limiter.peek(key, 0).remaining


def test_a_debit_goes_into_debt_and_consumes_wait_for_it():
    clock = FakeClock()
    with tidegate.connect(clock=clock) as gate:
        api = gate.limiter("10/minute overdraft 20", name="api")
        assert api.rates[0].overdraft == 20 and "overdraft 20" in repr(api)
        decision = api.debit("a", 31)
        assert decision.allowed and decision.remaining == 0 and decision.retry_after == 126.0
        assert decision.parts[0].shortfall == 1
        assert decision.as_dict()["parts"][0]["shortfall"] == 1
        assert not api.consume("a")
        clock.advance(126)
        assert api.consume("a").parts[0].shortfall == 0
        with pytest.raises(TypeError, match="misses its argument 'cost'"):
            api.debit("a")


def test_debits_refunds_and_resets_of_several_parts(gate):
    a, b = gate.limiter("10/hour", "a"), gate.limiter("10/hour", "b")
    decision = gate.debit([(a, "k", 3), (b, "k", 12)])
    assert [part.shortfall for part in decision.parts] == [0, 2]
    gate.refund([(a, "k", 2), (b, "k", 1)], decision)
    assert (left(a, "k"), left(b, "k")) == (9, 1)
    gate.reset([(a, "k"), (b, "k")])
    assert (left(a, "k"), left(b, "k")) == (10, 10)


def test_settling_gives_back_or_debits_the_difference(gate):
    api = gate.limiter("100/hour", "api")
    with api.reserve("k", 80) as reservation:
        assert reservation and left(api, "k") == 20
        assert reservation.settle(30) == (True, 50, 0, None)
    assert left(api, "k") == 70
    with api.reserve("k", 10) as reservation:
        settled = reservation.settle(25)
        assert settled[:3] == (True, 0, 15) and settled.debit.allowed
    assert left(api, "k") == 45


def test_leaving_without_settle_gives_all_back(gate):
    api = gate.limiter("100/hour", "api")
    with api.reserve("k", 80):
        pass
    assert left(api, "k") == 100
    with pytest.raises(KeyError), api.reserve("k", 80):
        raise KeyError
    assert left(api, "k") == 100
    reservation = api.reserve("k", 80)
    assert left(api, "k") == 20
    del reservation
    gc.collect()
    wait_for(lambda: left(api, "k") == 100, "what was dropped")


def test_mistakes_of_settling_say_what_was_expected(gate):
    api = gate.limiter("100/hour", "api")
    with api.reserve("k", 80) as reservation:
        for wrong in (1.5, True, "3", None):
            with pytest.raises(TypeError):
                reservation.settle(wrong)
        with pytest.raises(tidegate.ConfigError, match="-1: expected an integer from 0"):
            reservation.settle(-1)
        with pytest.raises(tidegate.ConfigError, match="2 figures: expected 1"):
            reservation.settle([1, 2])
        reservation.settle(80)
        with pytest.raises(tidegate.ConfigError, match="settled already"):
            reservation.settle(80)
    assert left(api, "k") == 20
    with api.reserve("k", 21) as denied:
        assert not denied and denied.decision.retry_after > 0
        with pytest.raises(tidegate.ConfigError, match="was denied"):
            denied.settle(1)
    with api.reserve("k", 1) as late:
        pass
    with pytest.raises(tidegate.ConfigError, match="given back"):
        late.settle(1)
    assert left(api, "k") == 20


def test_several_parts_and_a_shadow_that_was_not_charged(gate):
    tokens, watch = gate.limiter("100/hour", "t"), gate.limiter("5/hour", "w", mode="shadow")
    slots = gate.limiter("2 at once", "s")
    with gate.reserve([(tokens, "k", 50), (watch, "k", 50), (slots, "k", 1, b"me")]) as held:
        assert held and slots.peek("k").remaining == 1
        assert held.settle(10).given_back == 40
    assert (left(tokens, "k"), left(watch, "k")) == (90, 5) and slots.peek("k").remaining == 2
    # Slots that the id held before are another's: they stay.
    slots.acquire("k", b"me")
    with gate.reserve([(tokens, "k", 50), (slots, "k", 1, b"me")]):
        pass
    assert left(tokens, "k") == 90 and slots.peek("k").remaining == 1
    with gate.reserve([(tokens, "k", 50), (watch, "k", 2)]) as held:
        assert held.settle([60, 1]).debited == 10
    assert (left(tokens, "k"), left(watch, "k")) == (30, 4)


def test_a_reservation_settles_where_it_was_made(own_store):
    url = own_store.url(timeout_ms=200, breaker_failures=1)
    with tidegate.connect(url) as gate:
        local = gate.limiter("100/hour", "api")
        is_open = gate.limiter("100/hour", "open", on_failure="open")
        with local.reserve("k", 80) as here, is_open.reserve("k", 80) as free:
            assert here.decision.source == "fallback" and free.decision.source == "fail_open"
            own_store.start()
            wait_for(lambda: local.peek("k").source == "store", "the store", 40)
            assert here.settle(90).debit.source == "fallback"
            assert free.settle(90) == (False, 0, 0, None)
        assert left(local, "k") == 100 and left(is_open, "k") == 100
        with local.reserve("k", 80) as there:
            own_store.kill()
            with pytest.raises(tidegate.StoreError):
                there.settle(10)
        assert left(local, "k") == 10  # the fallback's own


def test_a_forked_childs_copy_gives_nothing_back(store):
    with tidegate.connect(store.url(timeout_ms=5000)) as gate:
        api = gate.limiter("100/hour", "api")
        with api.reserve("k", 80):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    raise KeyError
                except KeyError:
                    code = 0
                finally:
                    gc.collect()
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
            assert left(api, "k") == 20
        assert left(api, "k") == 100


def both_loops(test):
    return pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])(test)


@both_loops
def test_reservations_of_an_event_loop(url, run):
    async def main():
        async with tidegate.aio.connect(url) as gate:
            api = gate.limiter("100/hour", "api")

            async def left():
                return (await api.peek("k", 0)).remaining

            async with api.reserve("k", 80) as reservation:
                assert reservation and await left() == 20
                assert (await reservation.settle(30)).given_back == 50
                with pytest.raises(tidegate.ConfigError, match="settled already"):
                    await reservation.settle(30)
            assert await left() == 70
            with pytest.raises(KeyError):
                async with api.reserve("k", 10):
                    raise KeyError
            assert await left() == 70
            reservation = await api.reserve("k", 10)
            assert (await reservation.settle(25)).debited == 15
            assert await left() == 45
            reservation = await api.reserve("k", 10)
            del reservation
            gc.collect()
            for _ in range(200):
                if await left() == 45:
                    break
                await tidegate.aio._loops.sleep(0.01)
            assert await left() == 45
            with pytest.raises(TypeError, match="was not awaited"):
                bool(api.reserve("k", 10))
            assert (await api.debit("k", 46)).parts[0].shortfall == 1

    run(main) if run is trio.run else run(main())


def test_a_reservation_that_is_cancelled_is_given_back(store):
    async def main():
        async with tidegate.aio.connect(store.url(timeout_ms=5000)) as gate:
            api = gate.limiter("100/hour", "api")
            for pauses in range(5):
                task = asyncio.ensure_future(holder(api))
                for _ in range(pauses):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            for _ in range(200):
                if (await api.peek("k", 0)).remaining == 100:
                    break
                await asyncio.sleep(0.01)
            assert (await api.peek("k", 0)).remaining == 100

    async def holder(api):
        async with api.reserve("k", 10):
            await asyncio.sleep(60)

    asyncio.run(main())
