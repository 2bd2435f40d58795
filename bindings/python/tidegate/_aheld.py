# SPDX-License-Identifier: MIT
"""Reservations and slots of the asynchronous gate."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from . import _keeper, _loops
from ._base import Key
from ._errors import ClosedError, Error, StoreError
from ._terms import Looks, Settled, Taken, Term, check_slots
from ._tidegate import Decision

if TYPE_CHECKING:
    from .aio import Gate, Limiter

T = TypeVar("T", "Reservation", "Slot")


class Asking(Generic[T]):
    """To be awaited, or entered with `async with`: nobody is asked before."""

    def __init__(self, ask: Callable[[], Any], leave: Callable[[T], Any], method: str):
        self._ask, self._method = ask, method
        self._leave: Callable[[T], Any] = leave
        self._made: T | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        made: Generator[Any, Any, T] = self._ask().__await__()
        return made

    async def __aenter__(self) -> T:
        made = self._made = await self
        return made

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._made is not None:
            await self._leave(self._made)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self._method}() of a tidegate.aio gate was not awaited: write"
            f" `async with ...{self._method}(...)` or `await ...{self._method}(...)`"
        )


class Reservation:
    """As tidegate.Reservation; settle is awaited."""

    def __init__(self, gate: Gate, taken: Taken):
        self._gate, self._taken = gate, taken
        self.decision: Decision = taken.decision
        """What the limits said."""
        self._call_soon = _loops.call_soon()

    async def settle(self, used: int | Sequence[int]) -> Settled:
        """As tidegate.Reservation.settle."""
        plan = self._taken.plan(used)
        # Both leave before anybody can cancel us.
        back = self._gate.refund(plan.back, self.decision) if plan.back else None
        more = self._gate.debit(plan.more, self.decision) if plan.more else None
        try:
            if back is not None:
                await back
        except BaseException:
            if more is not None:
                more.close()
            raise
        return plan.settled if more is None else plan.settled._replace(debit=await more)

    async def _give_back(self) -> None:
        parts = self._taken.give_back()
        if parts:
            try:
                await self._gate.refund(parts, self.decision)
            except (StoreError, ClosedError):
                pass  # it stays charged; the gate's events tell of the store

    def __bool__(self) -> bool:
        return self.decision.allowed

    def __del__(self) -> None:
        taken = getattr(self, "_taken", None)
        parts = taken.give_back() if taken is not None else []
        if parts:
            gate, decision = self._gate, self.decision
            self._call_soon(lambda: _loops.in_background(gate.refund(parts, decision)))

    def __repr__(self) -> str:
        return f"<tidegate.aio.Reservation {self.decision!r}>"


def reserve(gate: Gate, parts: Sequence[tuple[Any, ...]]) -> Asking[Reservation]:
    async def ask() -> Reservation:
        taken = Taken(parts)

        async def undo(answer: Any) -> None:
            taken.begin(await answer)
            await Reservation(gate, taken)._give_back()

        check = gate.consume(parts)
        embedded = gate._client.embedded  # answers without suspending
        taken.begin(await (check if embedded else _loops.or_undo(check, undo)))
        return Reservation(gate, taken)

    return Asking(ask, Reservation._give_back, "reserve")


class Slot:
    """As tidegate.Slot, renewed by a task of the loop; release is awaited."""

    def __init__(self, term: Term, decision: Decision):
        self._term = term
        self.decision = decision
        """What the limit said."""
        self._stop: Callable[[], object] | None = None
        if term.held:
            self._call_soon = _loops.call_soon()
            self._stop = _loops.start(lambda: renewing(term))

    @property
    def id(self) -> bytes:
        """Under which they are held, at random."""
        return self._term.id

    @property
    def lost(self) -> bool:
        """As tidegate.Slot.lost."""
        return self._term.lost

    async def release(self) -> None:
        """As tidegate.Slot.release."""
        for answer in self._let_go():
            try:
                await answer
            except Error:
                pass  # the lease gives them back

    def _let_go(self) -> list[Any]:
        """Asks for the release: on its way, whatever becomes of who awaits it."""
        term = self._term
        if self._stop is None or not term.ours or term.released:
            return []
        term.released = True
        self._stop()
        return released(term)

    def __bool__(self) -> bool:
        return self.decision.allowed

    def __del__(self) -> None:
        term = getattr(self, "_term", None)
        if term is None or not term.held or not term.ours or term.released:
            return
        term.released = True
        stop = self._stop

        def drop() -> None:
            if stop is not None:
                stop()
            for answer in released(term):
                _loops.in_background(answer)

        self._call_soon(drop)

    def __repr__(self) -> str:
        state = "held" if self._term.held and not self._term.released else "not held"
        return f"<tidegate.aio.Slot {state}{' lost' if self.lost else ''} {self.decision!r}>"


def released(term: Term) -> list[Any]:
    out = []
    for decision in term.takers.values():
        try:
            out.append(term.limiter.release(term.key, term.id, decision))
        except (Error, RuntimeError):
            pass  # closed, or no loop any more
    return out


async def renewing(term: Term) -> None:
    clock = term.limiter.gate._clock
    while not term.released and term.ours:
        pause = term.due - _keeper.now_of(term)
        if pause > 0:
            await (clock._sleep_async(pause) if clock is not None else _loops.sleep(pause))
            continue
        asked = _keeper.now_of(term)
        answer: Decision | Error
        try:
            answer = await term.limiter.renew(term.key, term.id, term.cost)  # type: ignore[misc]
        except Error as error:
            answer = error
        if term.released:  # it may have come behind the release, and have taken them anew
            for late in released(term):
                _loops.in_background(late)
            return
        held = term.judge(answer, asked, _keeper.now_of(term))
        term.tell()
        if not held:
            return


def slot(
    limiter: Limiter,
    key: Key,
    cost: int,
    timeout: float | None,
    on_lost: Callable[[], object] | None,
) -> Asking[Slot]:
    async def ask() -> Slot:
        check_slots(limiter, cost)
        term = Term(limiter, key, cost, on_lost)
        clock = limiter.gate._clock
        looks = Looks(timeout, _keeper.now_of(term))
        while True:
            asked = _keeper.now_of(term)
            answer = limiter.acquire(key, term.id, cost)
            try:
                decision = await answer
            except BaseException:
                # It may be on its way, and the release goes behind it.
                try:
                    _loops.in_background(limiter.release(key, term.id))
                except (Error, RuntimeError):
                    pass
                raise
            pause = looks.pause(decision, _keeper.now_of(term))
            if pause is None:
                break
            await (clock._sleep_async(pause) if clock is not None else _loops.sleep(pause))
        term.begin(decision, asked)
        return Slot(term, decision)

    return Asking(ask, Slot.release, "slot")


for _class in (Reservation, Slot):
    _class.__module__ = "tidegate.aio"
