# SPDX-License-Identifier: MIT
"""Reservations and slots of the synchronous gate."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _keeper
from ._base import Key
from ._errors import ClosedError, StoreError
from ._terms import Looks, Settled, Taken, Term, check_slots
from ._tidegate import Decision

if TYPE_CHECKING:
    from ._sync import Gate, Limiter

__all__ = ["Reservation", "Slot"]

# When the interpreter ends, the keeper's thread has stopped, maybe with its lock: the lease ends
# what is held.
_is_finalizing = sys.is_finalizing


class Reservation:
    """What was taken by an estimate, to be settled by what was used; true when it was made.

    A context manager: leaving the block without settle gives all of it back.
    """

    def __init__(self, gate: Gate, parts: Sequence[tuple[Any, ...]]):
        self._gate = gate
        self._taken: Taken | None = None
        taken = Taken(parts)
        taken.begin(gate.consume(parts))
        self._taken = taken
        self.decision: Decision = taken.decision
        """What the limits said."""

    def settle(self, used: int | Sequence[int]) -> Settled:
        """Once: what was really used, of each part, or a list of figures, one a part.

        Less than the estimate gives the rest back, more debits the difference, both where the
        reservation was made; slots are given back. If it fails (StoreError), what was reserved
        stays charged. ConfigError where it was denied, or is settled or given back already.
        """
        assert self._taken is not None
        plan = self._taken.plan(used)
        if plan.back:
            self._gate.refund(plan.back, self.decision)
        if plan.more:
            return plan.settled._replace(debit=self._gate.debit(plan.more, self.decision))
        return plan.settled

    def _give_back(self) -> None:
        parts = self._taken.give_back() if self._taken is not None else []
        if parts:
            give_back(self._gate, parts, self.decision)

    def __bool__(self) -> bool:
        return self.decision.allowed

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._give_back()

    def __del__(self) -> None:
        taken = getattr(self, "_taken", None)
        if taken is None or _is_finalizing():
            return
        parts = taken.give_back()
        if parts and not self._gate.closed:
            gate, decision = self._gate, self.decision
            _keeper.keeper.later(lambda: give_back(gate, parts, decision))

    def __repr__(self) -> str:
        return f"<tidegate.Reservation {self.decision!r}>"


def give_back(gate: Gate, parts: Sequence[Any], decision: Decision) -> None:
    try:
        gate.refund(parts, decision)
    except (StoreError, ClosedError):
        pass  # it stays charged; the gate's events tell of the store


class Slot:
    """Slots that are held, and renewed every third of their lease; true when they were free.

    A context manager: they are released at the end of the block, with release(), or when nobody has
    it any more. A process that dies keeps them until the lease is over.
    """

    def __init__(
        self,
        limiter: Limiter,
        key: Key,
        cost: int,
        timeout: float | None,
        on_lost: Callable[[], object] | None,
    ):
        check_slots(limiter, cost)
        self._term = term = Term(limiter, key, cost, on_lost)
        clock = limiter.gate._clock
        looks = Looks(timeout, _keeper.now_of(term))
        while True:
            asked = _keeper.now_of(term)
            try:
                self.decision: Decision = limiter.acquire(key, term.id, cost)
                """What the limit said."""
            except BaseException:
                # It may have been answered: a signal's handler raised behind it.
                _keeper.keeper.later(lambda: limiter.release(key, term.id))
                raise
            pause = looks.pause(self.decision, _keeper.now_of(term))
            if pause is None:
                break
            if clock is not None:
                clock._sleep(pause)
            else:
                time.sleep(pause)
        term.begin(self.decision, asked)
        if term.held:
            _keeper.keeper.hold(term)

    @property
    def id(self) -> bytes:
        """Under which they are held, at random."""
        return self._term.id

    @property
    def lost(self) -> bool:
        """Whether a renewal found them gone, or could not be made until the lease was over. Others
        may have them; where they were free they were taken anew."""
        return self._term.lost

    def release(self) -> None:
        """Gives them back now; may be repeated. What the store cannot be asked for ends with the
        lease."""
        term = self._term
        if term.held and term.ours and not term.released:
            _keeper.keeper.let_go(term)
            _keeper.release(term)

    def __bool__(self) -> bool:
        return self.decision.allowed

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        term = getattr(self, "_term", None)
        if term is None or _is_finalizing():
            return
        if term.held and term.ours and not term.released:
            term.released = True
            _keeper.keeper.later(lambda: drop(term))

    def __repr__(self) -> str:
        state = "held" if self._term.held and not self._term.released else "not held"
        return f"<tidegate.Slot {state}{' lost' if self.lost else ''} {self.decision!r}>"


def drop(term: Term) -> None:
    _keeper.keeper.let_go(term)
    _keeper.release(term)


for _class in (Reservation, Slot):
    _class.__module__ = "tidegate"
