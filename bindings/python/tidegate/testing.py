# SPDX-License-Identifier: MIT
"""A clock that tests own.

clock = tidegate.testing.FakeClock()
gate = tidegate.connect(clock=clock)
api = gate.limiter("1/minute")
assert api.consume("a") and not api.consume("a")
clock.advance(60)
assert api.consume("a")
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable

from . import _loops, _tidegate
from ._errors import ClosedError, ConfigError

__all__ = ["FakeClock"]


class FakeClock:
    """Time that stands still until it is advanced; passed as `clock=` to connect. Any thread may
    use it.

    On a Valkey/Redis store it is for tests only, in a namespace of its own (`namespace=`): the
    time is passed along.
    """

    def __init__(self, now_us: int = 1_763_683_200_000_000):
        self._now_us = self._check(now_us)
        self._clients: weakref.WeakSet[_tidegate.Client] = weakref.WeakSet()
        self._changed = threading.Condition()
        self._wakers: list[Callable[[], object]] = []

    @staticmethod
    def _check(now_us: int) -> int:
        if isinstance(now_us, bool) or not isinstance(now_us, int):
            raise TypeError(f"now_us {now_us!r}: expected an integer of microseconds")
        if not 0 <= now_us < 1 << 52:
            raise ConfigError(f"now_us {now_us}: expected 0 to 2^52 - 1 microseconds")
        return now_us

    @property
    def now_us(self) -> int:
        """Microseconds; settable, also backwards."""
        return self._now_us

    @now_us.setter
    def now_us(self, value: int) -> None:
        with self._changed:
            self._now_us = self._check(value)
            for client in list(self._clients):
                if not client.closed:
                    client.set_time(self._now_us)
            wakers, self._wakers = self._wakers, []
            self._changed.notify_all()
        for wake in wakers:
            wake()

    def advance(self, seconds: float) -> None:
        """Moves the clock by `seconds` (rounded to microseconds); negative: back."""
        self.now_us = self._now_us + round(seconds * 1_000_000)

    def time(self) -> float:
        """Seconds, like time.monotonic()."""
        return self._now_us / 1e6

    def _attach(self, client: _tidegate.Client) -> None:
        self._clients.add(client)
        try:
            client.set_time(self._now_us)
        except ClosedError:
            pass

    def _sleep(self, seconds: float) -> None:
        until = self._now_us + round(seconds * 1e6)
        with self._changed:
            while self._now_us < until:
                self._changed.wait()

    async def _sleep_async(self, seconds: float) -> None:
        until = self._now_us + round(seconds * 1e6)
        while True:
            wake, woken = trio_alarm() if _loops.in_trio() else asyncio_alarm()
            with self._changed:  # no change between the look and the alarm
                if self._now_us >= until:
                    return
                self._wakers.append(wake)
            await woken()


Alarm = tuple[Callable[[], object], Callable[[], Awaitable[object]]]


def trio_alarm() -> Alarm:
    """What any thread calls, and what a task of trio awaits until then."""
    import trio

    event = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def wake() -> None:
        try:
            token.run_sync_soon(event.set)
        except trio.RunFinishedError:
            pass

    return wake, event.wait


def asyncio_alarm() -> Alarm:
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def done() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(done)
        except RuntimeError:  # the loop is closed: nobody waits
            pass

    async def woken() -> None:
        await future

    return wake, woken
