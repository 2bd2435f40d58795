# SPDX-License-Identifier: MIT
"""What the synchronous and the asynchronous slots and reservations share: no I/O is done here."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from ._base import Key, check_timeout
from ._errors import ClosedError, ConfigError, Error
from ._tidegate import Decision

if TYPE_CHECKING:
    from . import aio
    from ._sync import Limiter

    AnyLimiter = Union[Limiter, aio.Limiter]

PAUSES = 0.02, 1.0  # the first pause between two looks for a free slot, and the longest
ENGINES = ("memory", "store", "fallback")  # sources that charge


class Settled(NamedTuple):
    """How a reservation was settled."""

    charged: bool
    """False: nobody had charged anything, because a policy answered in the store's place or the
    limiters are off; so nothing was given back or debited."""
    given_back: int
    """Tokens, of all parts."""
    debited: int
    """Tokens, of all parts."""
    debit: Decision | None
    """What the debit was answered, if there was one."""


class Term:
    """Slots that are held under a random id: where, and until when. Times are of `now`."""

    def __init__(
        self, limiter: AnyLimiter, key: Key, cost: int, on_lost: Callable[[], object] | None
    ):
        self.limiter, self.key, self.cost, self.on_lost = limiter, key, cost, on_lost
        self.id = os.urandom(15) + b"\1"  # never all zeros
        self.lost = self.released = self.held = False
        self.takers: dict[str, Decision] = {}  # whom to ask to give them back
        self.source = ""
        self.lease = self.due = self.until = 0.0
        self.lock = threading.Lock()  # between a renewal and the release
        self._pid = os.getpid()

    @property
    def ours(self) -> bool:
        """Not a forked child's copy: that holds nothing."""
        return self._pid == os.getpid()

    def begin(self, decision: Decision, asked: float) -> None:
        """After the answer to the first request."""
        part = decision.parts[0] if decision.parts else None
        self.held = (
            decision.allowed
            and decision.source in ENGINES
            and part is not None
            and part.allowed
            and part.limit is not None
        )
        if self.held:
            self._extend(decision, asked)

    def _extend(self, decision: Decision, asked: float) -> None:
        self.source = decision.source
        self.takers[decision.source] = decision
        self.lease = self.limiter.rates[0].window
        self.due, self.until = asked + self.lease / 3, asked + self.lease

    def judge(self, answer: Decision | Error, asked: float, now: float) -> bool:
        """After a renewal that was asked at `asked`: whether slots are held still."""
        if isinstance(answer, (ConfigError, ClosedError)):  # nobody renews any more
            return self._lose()
        if isinstance(answer, Decision) and answer.parts and answer.source in ENGINES:
            part, moves = answer.parts[0], (self.source, answer.source) == ("fallback", "store")
            if answer.source == self.source or moves:
                if part.allowed:
                    if not part.renewed and not moves:
                        self._lose()
                    self._extend(answer, asked)
                    return True
                if not moves:
                    return self._lose()
            elif part.allowed:  # the store is away, and this process took them as well
                self.takers.setdefault(answer.source, answer)
        # Whoever holds them could not be asked: on until the lease is over.
        self.due = now + min(max(self.lease / 12, 0.001), 1.0)
        return True if now < self.until else self._lose()

    def _lose(self) -> bool:
        self.lost = True
        return False

    def tell(self) -> None:
        """Calls on_lost, once."""
        if not self.lost or self.on_lost is None:
            return
        callback, self.on_lost = self.on_lost, None
        try:
            callback()
        except Exception:
            import logging

            logging.getLogger("tidegate").exception("an on_lost callback failed")


class Looks:
    """The pauses of one who waits for a free slot."""

    def __init__(self, timeout: float | None, now: float):
        check_timeout(timeout)
        self._until = None if timeout is None else now + timeout
        self._longest = PAUSES[0]

    def pause(self, decision: Decision, now: float) -> float | None:
        """How long to wait before the next look; None: this decision is the last."""
        wait = decision.retry_after
        if decision.allowed or self._until is None or now >= self._until:
            return None
        if wait is None or wait == math.inf:
            return None
        # Holders let go before their lease ends: that they do not is the longest it can take.
        pause = min(wait, self._longest) * (0.5 + os.urandom(1)[0] / 510)
        self._longest = min(2 * self._longest, PAUSES[1])
        return min(pause, self._until - now)


def check_slots(limiter: AnyLimiter, cost: int) -> None:
    for rate in limiter.rates:
        if rate.algorithm != "concurrency":
            raise ConfigError(
                f"a slot of limiter {limiter.name!r}, which has a rate of {rate.limit} per"
                f" {rate.window:g} s: expected slots only, such as '5 at once' (renewing them would"
                " be charged to the rate)"
            )
    if cost == 0:
        raise ConfigError(f"0 slots of limiter {limiter.name!r}: expected 1 or more")


class Plan(NamedTuple):
    """What settling asks for."""

    settled: Settled
    back: list[tuple[Any, ...]]
    more: list[tuple[Any, ...]]


class Taken:
    """What a reservation took, until it is settled."""

    def __init__(self, parts: Sequence[tuple[Any, ...]]):
        self._parts = [(*part, 1) if len(part) == 2 else tuple(part) for part in parts]
        self._rates = [len(part[0].rates) for part in self._parts]
        self._pid = os.getpid()
        self._state = "open"

    def begin(self, decision: Decision) -> None:
        self.decision = decision
        if not decision.allowed:
            self._state = "denied"

    @property
    def _charged(self) -> list[bool]:
        """A shadow's part that did not fit was not charged, and slots that were held already are
        another request's: neither is there to be given back."""
        rates = iter(self.decision.parts)
        return [
            all([rate.allowed and not rate.renewed for rate in islice(rates, count)])
            for count in self._rates
        ]

    def plan(self, used: int | Sequence[int]) -> Plan:
        """Settles it: once."""
        figures = [used] * len(self._parts) if isinstance(used, int) else list(used)
        if len(figures) != len(self._parts):
            raise ConfigError(f"settle of {len(figures)} figures: expected {len(self._parts)}")
        for figure in figures:
            if isinstance(figure, bool) or not isinstance(figure, int):
                raise TypeError(
                    f"used {figure!r}: expected an integer of 0 or more, not"
                    f" {type(figure).__name__}"
                )
            if not 0 <= figure < 1 << 52:
                raise ConfigError(f"used {figure}: expected an integer from 0 to {(1 << 52) - 1}")
        if self._state != "open":
            why = {
                "denied": "a reservation that was denied: expected one that is true",
                "settled": "a reservation that is settled already: expected one settle",
                "returned": "a reservation that was given back: expected settle before the end of"
                " its block",
            }[self._state]
            raise ConfigError(f"settle of {why}")
        self._state = "settled"
        back: list[tuple[Any, ...]] = []
        more: list[tuple[Any, ...]] = []
        given_back = debited = 0
        charged = self.decision.source in ENGINES
        for part, figure, is_charged in zip(self._parts, figures, self._charged) if charged else ():
            limiter, key, cost = part[:3]
            if len(part) == 4:  # slots
                if is_charged:
                    back.append(part)
            elif figure > cost:
                more.append((limiter, key, figure - cost))
                debited += figure - cost
            elif figure < cost and is_charged:
                back.append((limiter, key, cost - figure))
                given_back += cost - figure
        return Plan(Settled(charged, given_back, debited, None), back, more)

    def give_back(self) -> list[tuple[Any, ...]]:
        """What is to be refunded where nobody settled; empty otherwise, and from then on."""
        if self._state != "open" or self._pid != os.getpid():
            return []  # a forked child's copy is not its reservation
        self._state = "returned"
        if self.decision.source not in ENGINES:
            return []
        return [part for part, charged in zip(self._parts, self._charged) if charged]
