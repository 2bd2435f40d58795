# SPDX-License-Identifier: MIT
"""The synchronous gate and its limiters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

from . import _tidegate
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
from ._held import Reservation, Slot
from ._reports import read
from ._tidegate import Decision

if TYPE_CHECKING:
    from .testing import FakeClock

Part = Union[tuple["Limiter", Key], tuple["Limiter", Key, int], tuple["Limiter", Key, int, bytes]]


class Limiter(_tidegate.SyncLimiter):
    """A limit by name, made by Gate.limiter. Any thread may use it.

    consume, peek, debit, refund and reset take the caller's key; a Decision is true when the
    request may pass.
    """

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

    def wait(self, key: Key, cost: int = 1, timeout: float | None = None) -> Decision:
        """Consumes, and asks again after each retry_after until the cost fits.

        timeout: seconds, None: no end. The denied decision comes back at once when the wait would
        exceed the time left or is never. No order among waiters is promised. With a FakeClock both
        follow that clock.
        """
        check_timeout(timeout)
        clock = self._gate._clock
        now = clock.time if clock is not None else time.monotonic
        until = None if timeout is None else now() + timeout
        while True:
            decision = self.consume(key, cost)
            pause = next_pause(decision, None if until is None else until - now())
            if pause is None:
                return decision
            if clock is not None:
                clock._sleep(pause)
            else:
                time.sleep(pause)

    def reserve(self, key: Key, estimate: int) -> Reservation:
        """Takes `estimate` tokens, to be settled by what was really used:

            with api.reserve(key, 800) as reservation:
                if reservation:                         # else denied: see reservation.decision
                    reservation.settle(used)            # gives back or debits the difference

        Leaving the block without settle gives all of it back.
        """
        return Reservation(self._gate, [(self, key, estimate)])

    def slot(
        self,
        key: Key,
        cost: int = 1,
        timeout: float | None = None,
        *,
        on_lost: Callable[[], object] | None = None,
    ) -> Slot:
        """Holds `cost` slots of a limiter such as "5 at once", for a block or until release(); it
        is false when none was free.

        timeout: seconds to wait for a free one at most (math.inf: no end); None: one look. No order
        among those who wait is promised.
        on_lost: called once, on the thread that renews, when Slot.lost becomes true.
        """
        return Slot(self, key, cost, timeout, on_lost)

    def change(
        self,
        rates: str | None = None,
        *,
        algorithm: Algorithm | None = None,
        mode: Mode | None = None,
        on_failure: OnFailure | None = None,
        lease: str | None = None,
    ) -> None:
        """New numbers for the same limiter, at once and for the same states; what is not given
        stays.

        Another algorithm, window or lease starts anew. Raises ConfigError, and then nothing has
        changed.
        """
        self._change(rates, algorithm, mode, on_failure, lease)

    def __repr__(self) -> str:
        return f"<tidegate.Limiter {self.name!r} {rates_shown(self)}>"


class Gate(BaseGate):
    """A store, embedded or Valkey/Redis, and the limiters on it; made by tidegate.connect. Any
    thread may use it.

    A context manager: it closes at the end of the block. In a forked child it opens itself again.
    """

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
        """A limiter of this gate.

        rates: "100/minute", "10 per second", "100/minute burst 20", several as "10/second;
        1000/hour", with room for debts "100/minute overdraft 50", slots "5 at once".
        name: [A-Za-z0-9_.-]{1,64}; default: from the numbers, "100-per-60s-burst-20".
        algorithm: token_bucket (gcra, leaky_bucket; the default), fixed_window, sliding_window,
        sliding_log.
        mode: enforce, shadow (decides, but never blocks) or off.
        on_failure: local, open or closed; default: the gate's.
        lease: of slots, how long a holder that does not renew keeps them: "30s", the default.

        The same name and numbers again give the same limiter; the same name with other numbers, a
        rate that does not parse or cannot be enforced exactly is a ConfigError.
        """
        self._require_open()
        made = Limiter(self._client, rates, name, algorithm, mode, on_failure, lease)
        made._gate = self
        return made

    def consume(self, parts: Sequence[Part]) -> Decision:
        """One atomic request: takes all of [(limiter, key), (limiter, key, cost), ...], or nothing.

        Slots are taken under an id, bytes of 1 to 16: (limiter, key, cost, id).
        """
        return self._client.call(_tidegate.OP_CONSUME, parts)

    def peek(self, parts: Sequence[Part]) -> Decision:
        """What consume would answer now. Nothing is written."""
        return self._client.call(_tidegate.OP_PEEK, parts)

    def debit(self, parts: Sequence[Part], decision: Decision | None = None) -> Decision:
        """Charges what was used already, of [(limiter, key, cost), ...], as Limiter.debit."""
        return self._client.call(_tidegate.OP_DEBIT, parts, decision)

    def reserve(self, parts: Sequence[Part]) -> Reservation:
        """As Limiter.reserve, of several: takes all of the estimates, or nothing."""
        return Reservation(self, parts)

    def refund(self, parts: Sequence[Part], decision: Decision | None = None) -> None:
        """Gives the costs of [(limiter, key), (limiter, key, cost), ...] back in one request, as
        Limiter.refund."""
        return self._client.call(_tidegate.OP_REFUND, parts, decision)

    def reset(self, parts: Sequence[tuple[Limiter, Key]]) -> None:
        """Forgets what the keys of [(limiter, key), ...] have used, as Limiter.reset."""
        return self._client.call(_tidegate.OP_RESET, parts)

    def ping(self) -> float:
        """Asks the store for a sign of life: the seconds it took. Raises StoreError with what is
        wrong."""
        return self._client.call(_tidegate.OP_PING, ())

    def look_up(self, key: Key) -> dict[str, Any]:
        """A caller by his key: what each open limiter would say to him now, under "limiters".
        Nothing is charged. With a server it waits for the answers."""
        return read(self._client.look_up(key))

    def close(self) -> None:
        """Lets go of the store. Calls of other threads end first; later ones raise ClosedError.
        Idempotent."""
        self._close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(
    url: str | None = None, *, clock: FakeClock | str | None = None, **options: Option | None
) -> Gate:
    """A gate on a store. No I/O is done: an application starts while its store is down.

    url: memory:// (the embedded store), redis://, rediss://, valkey://, valkeys://, unix:///path;
    default: $TIDEGATE_URL, else memory://. Options are keyword arguments or the URL's query
    parameters (the argument wins); tidegate.options() lists them. clock: a
    tidegate.testing.FakeClock.

    Raises ConfigError for a URL or option that does not parse.
    """
    return Gate(url, clock=clock, **options)
