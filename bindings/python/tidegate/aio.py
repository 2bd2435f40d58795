# SPDX-License-Identifier: MIT
"""tidegate for event loops: the same names, awaitable.

    gate = tidegate.aio.connect("redis://localhost")
    api = gate.limiter("100/minute burst 20", name="api")
    decision = await api.consume("user:42")

The embedded store answers at once: nothing is scheduled, on any loop. Valkey/Redis never blocks
the loop: its descriptor is watched by the running loop (asyncio, uvloop, trio), and what is asked
in one tick of the loop leaves together. The only threads ever started look up a host's name, for as
long as that takes (an address or a socket needs none), or a caller for Gate.look_up. One gate
serves any number of loops in any number of threads.

A request is on its way when the method returns; a cancelled one may have been charged, and so has
one that was never awaited: that is a RuntimeWarning, and its truth value a TypeError. 65,536
requests of a loop may be out and as many wait for room, at most as long again as their deadline;
one more is an Error (code -14).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

from . import _aheld, _loops, _tidegate
from ._aheld import Asking, Reservation, Slot
from ._base import (
    Algorithm,
    BaseGate,
    Key,
    Mode,
    OnFailure,
    Option,
    Rate,
    check_timeout,
    next_pause,
    rates_of,
    rates_shown,
)
from ._reports import read
from ._tidegate import Decision

if TYPE_CHECKING:
    from .testing import FakeClock

__all__ = ["Gate", "Limiter", "Reservation", "Slot", "connect"]

Part = Union[tuple["Limiter", Key], tuple["Limiter", Key, int], tuple["Limiter", Key, int, bytes]]


class Limiter(_tidegate.AsyncLimiter):
    """A limit by name, made by Gate.limiter; consume, peek, debit, refund and reset are
    awaited."""

    __slots__ = ("_gate", "__weakref__")
    _gate: Gate

    @property
    def gate(self) -> Gate:
        """The gate that made it."""
        return self._gate

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The numbers it has now."""
        return rates_of(self)

    async def wait(self, key: Key, cost: int = 1, timeout: float | None = None) -> Decision:
        """Consumes, and asks again after each retry_after until the cost fits. As
        tidegate.Limiter.wait."""
        check_timeout(timeout)
        clock = self._gate._clock
        now = clock.time if clock is not None else _loops.now
        until = None if timeout is None else now() + timeout
        while True:
            decision = await self.consume(key, cost)
            pause = next_pause(decision, None if until is None else until - now())
            if pause is None:
                return decision
            if clock is not None:
                await clock._sleep_async(pause)
            else:
                await _loops.sleep(pause)

    def reserve(self, key: Key, estimate: int) -> Asking[Reservation]:
        """As tidegate.Limiter.reserve: `async with api.reserve(key, 800) as reservation`, or
        awaited."""
        return _aheld.reserve(self._gate, [(self, key, estimate)])

    def slot(
        self,
        key: Key,
        cost: int = 1,
        timeout: float | None = None,
        *,
        on_lost: Callable[[], object] | None = None,
    ) -> Asking[Slot]:
        """As tidegate.Limiter.slot: `async with limiter.slot(key) as slot`, or awaited. A task of
        the running loop (asyncio, uvloop, trio) renews it."""
        return _aheld.slot(self, key, cost, timeout, on_lost)

    def change(
        self,
        rates: str | None = None,
        *,
        algorithm: Algorithm | None = None,
        mode: Mode | None = None,
        on_failure: OnFailure | None = None,
        lease: str | None = None,
    ) -> None:
        """New numbers for the same limiter, at once. As tidegate.Limiter.change; not awaited: no
        I/O is done."""
        self._change(rates, algorithm, mode, on_failure, lease)

    def __repr__(self) -> str:
        return f"<tidegate.aio.Limiter {self.name!r} {rates_shown(self)}>"


class Gate(BaseGate):
    """As tidegate.Gate, for event loops; made by tidegate.aio.connect. An asynchronous context
    manager."""

    def limiter(
        self,
        rates: str,
        name: str | None = None,
        *,
        algorithm: Algorithm | None = None,
        mode: Mode = "enforce",
        on_failure: OnFailure | None = None,
        lease: str | None = None,
    ) -> Limiter:
        """A limiter of this gate. As tidegate.Gate.limiter; not awaited: no I/O is done."""
        self._require_open()
        made = Limiter(self._client, rates, name, algorithm, mode, on_failure, lease)
        made._gate = self
        return made

    def consume(self, parts: Sequence[Part]) -> Coroutine[Any, Any, Decision]:
        """One atomic request: takes all of [(limiter, key), (limiter, key, cost), ...], or nothing.

        Slots are taken under an id, bytes of 1 to 16: (limiter, key, cost, id).
        """
        return self._client.call_async(_tidegate.OP_CONSUME, parts)

    def peek(self, parts: Sequence[Part]) -> Coroutine[Any, Any, Decision]:
        """What consume would answer now. Nothing is written."""
        return self._client.call_async(_tidegate.OP_PEEK, parts)

    def debit(
        self, parts: Sequence[Part], decision: Decision | None = None
    ) -> Coroutine[Any, Any, Decision]:
        """Charges what was used already, of [(limiter, key, cost), ...], as Limiter.debit."""
        return self._client.call_async(_tidegate.OP_DEBIT, parts, decision)

    def reserve(self, parts: Sequence[Part]) -> Asking[Reservation]:
        """As Limiter.reserve, of several: takes all of the estimates, or nothing."""
        return _aheld.reserve(self, parts)

    def refund(
        self, parts: Sequence[Part], decision: Decision | None = None
    ) -> Coroutine[Any, Any, None]:
        """Gives the costs of [(limiter, key), (limiter, key, cost), ...] back in one request, as
        Limiter.refund."""
        return self._client.call_async(_tidegate.OP_REFUND, parts, decision)

    def reset(self, parts: Sequence[tuple[Limiter, Key]]) -> Coroutine[Any, Any, None]:
        """Forgets what the keys of [(limiter, key), ...] have used, as Limiter.reset."""
        return self._client.call_async(_tidegate.OP_RESET, parts)

    def ping(self) -> Coroutine[Any, Any, float]:
        """Asks the store for a sign of life: the seconds it took. Raises StoreError with what is
        wrong."""
        return self._client.call_async(_tidegate.OP_PING, ())

    async def look_up(self, key: Key) -> dict[str, Any]:
        """As tidegate.Gate.look_up. With a server a thread waits for the answers."""
        if self._client.embedded:
            return read(self._client.look_up(key))
        return read(await _loops.in_thread(lambda: self._client.look_up(key)))

    async def close(self) -> None:
        """Lets go of the store; what is in flight ends with ClosedError. Idempotent."""
        self._close()

    async def __aenter__(self) -> Gate:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def connect(
    url: str | None = None, *, clock: FakeClock | str | None = None, **options: Option | None
) -> Gate:
    """A gate for event loops; the arguments of tidegate.connect. Needs no running loop, does no
    I/O."""
    return Gate(url, clock=clock, **options)
