# SPDX-License-Identifier: MIT
"""The decorator for functions."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import tidegate
import tidegate.aio
from tidegate.testing import FakeClock


@pytest.fixture
def gate():
    with tidegate.connect(clock=FakeClock()) as gate:
        yield gate


def test_a_function_has_a_budget_for_everybody(gate):
    @tidegate.limited("2/minute", store=gate)
    def send(to):
        """Sends it."""
        return f"sent to {to}"

    assert [send("a"), send("b")] == ["sent to a", "sent to b"]
    with pytest.raises(tidegate.RateLimitExceeded, match="send is over its limit.*30 s") as caught:
        send("c")
    assert caught.value.retry_after == 30.0 and not caught.value.decision
    assert isinstance(caught.value, tidegate.Error)
    assert send.__name__ == "send" and send.__doc__ == "Sends it."


def test_a_key_a_cost_and_a_limit_of_the_arguments(gate):
    @tidegate.limited(
        lambda user, size=1: "10/minute" if user == "pro" else "3/minute",
        key=lambda user, size=1: user,
        cost=lambda user, size=1: size,
        store=gate,
        name="uploads",
    )
    def upload(user, size=1):
        return size

    assert upload("a", size=3) == 3 and upload("b") == 1 and upload("pro", 7) == 7
    with pytest.raises(tidegate.RateLimitExceeded):
        upload("a")
    assert gate.limiter("10/minute", "uploads.10-per-60s").peek("pro").remaining == 3


def test_two_functions_do_not_share_a_budget(gate):
    def make(name):
        def function():
            return name

        function.__qualname__ = name
        return tidegate.limited("1/minute", store=gate)(function)

    assert [make("one")(), make("two")()] == ["one", "two"]
    with pytest.raises(tidegate.RateLimitExceeded):
        make("one")()


def test_what_is_called_instead(gate):
    later = []

    @tidegate.limited(
        "1/minute",
        store=gate,
        on_denied=lambda decision, n: later.append((n, decision.retry_after)),
    )
    def job(n):
        return n

    assert job(1) == 1 and job(2) is None and later == [(2, 60.0)]


@pytest.mark.parametrize("fails", [False, True])
def test_slots_are_held_until_the_function_returns(gate, fails):
    inside, go = threading.Event(), threading.Event()

    @tidegate.limited("1 at once", store=gate)
    def build():
        inside.set()
        go.wait(10)
        if fails:
            raise ValueError("no")

    thread = threading.Thread(target=lambda: pytest.raises(ValueError, build) if fails else build())
    thread.start()
    assert inside.wait(10)
    with pytest.raises(tidegate.RateLimitExceeded):
        build()
    go.set()
    thread.join()
    if not fails:
        build()


def test_it_waits_for_room():
    with tidegate.connect() as gate:

        @tidegate.limited("1/50ms", store=gate, timeout=2)
        def call():
            return time.monotonic()

        began = time.monotonic()
        assert [call() for _ in range(3)][-1] - began >= 0.09

        @tidegate.limited("1/minute", store=gate, timeout=0.05)
        def impatient():
            return 1

        impatient()
        with pytest.raises(tidegate.RateLimitExceeded):
            impatient()


def test_async_functions(url):
    async def main():
        async with tidegate.aio.connect(url) as gate:

            async def key(user):
                return user

            @tidegate.limited("2/minute", key=key, store=gate)
            async def fetch(user):
                await asyncio.sleep(0)
                return user

            assert [await fetch("a"), await fetch("a"), await fetch("b")] == ["a", "a", "b"]
            with pytest.raises(tidegate.RateLimitExceeded):
                await fetch("a")

            @tidegate.limited("1 at once", store=gate, timeout=2)
            async def alone():
                await asyncio.sleep(0.01)

            @tidegate.limited("1/50ms", store=gate, timeout=2)
            async def paced():
                return 1

            await alone()
            assert await asyncio.gather(paced(), paced()) == [1, 1]

    asyncio.run(main())


def test_mistakes_fail_where_it_is_decorated():
    with pytest.raises(tidegate.ConfigError, match="unit"):
        tidegate.limited("1/fortnight")
    with pytest.raises(TypeError, match="key 5"):
        tidegate.limited("1/minute", key=5)
    with pytest.raises(TypeError, match="timeout"):
        tidegate.limited("1/minute", timeout="1s")
