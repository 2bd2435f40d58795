# SPDX-License-Identifier: MIT
"""Who renews the slots of synchronous gates: one daemon thread for the process, there while any are
held."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._errors import Error

if TYPE_CHECKING:
    from ._tidegate import Decision
    from ._terms import Term

GLANCE = 0.01  # how often a clock that is turned by hand is looked at
LINGER = 10.0  # how long the thread stays without anything to do


def now_of(term: Term) -> float:
    clock = term.limiter.gate._clock
    return clock.time() if clock is not None else time.monotonic()


class Keeper:
    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._terms: set[Term] = set()
        self._later: deque[Callable[[], object]] = deque()
        self._running = False

    def hold(self, term: Term) -> None:
        with self._changed:
            self._terms.add(term)
            self._wake()

    def let_go(self, term: Term) -> None:
        with term.lock:
            term.released = True
        with self._changed:
            self._terms.discard(term)

    def later(self, call: Callable[[], object]) -> None:
        """Runs `call` on the thread: from __del__, which is not to wait for a store or a lock."""
        self._later.append(call)
        # The lock may be held by the very thread that the garbage collector interrupted, which is
        # why it is an RLock; by another one it is held for a moment only.
        with self._changed:
            self._wake()

    def _wake(self) -> None:
        if self._running:
            self._changed.notify()
            return
        try:
            threading.Thread(target=self._run, name="tidegate-slots", daemon=True).start()
        except RuntimeError:  # the interpreter ends: the lease does the rest
            return
        self._running = True

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            with self._changed:
                due = self._due()
                if not due and not self._later:
                    now = time.monotonic()
                    if self._terms:
                        idle_since = now
                    elif now - idle_since >= LINGER:
                        self._running = False
                        return
                    self._changed.wait(self._pause())
                    continue
            while self._later:
                quietly(self._later.popleft())
            for term in due:
                self._renew(term)

    def _due(self) -> list[Term]:
        return [term for term in self._terms if now_of(term) >= term.due]

    def _pause(self) -> float:
        pauses = [
            GLANCE if term.limiter.gate._clock is not None else term.due - time.monotonic()
            for term in self._terms
        ]
        return max(min([*pauses, LINGER]), 0.0005)

    def _renew(self, term: Term) -> None:
        if term.released:
            return
        asked = now_of(term)
        answer: Decision | Error
        try:
            answer = term.limiter.renew(term.key, term.id, term.cost)  # type: ignore[assignment]
        except Error as error:
            answer = error
        with term.lock:
            released = term.released
            held = not released and term.judge(answer, asked, now_of(term))
        if not held:
            with self._changed:
                self._terms.discard(term)
        term.tell()
        if released:  # the renewal may have come behind the release, and have taken them anew
            release(term)


def quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        if not sys.is_finalizing():
            import logging

            logging.getLogger("tidegate").exception("giving back failed")


def release(term: Term) -> bool:
    """False where somebody could not be asked: the lease gives them back."""
    done = True
    for decision in list(term.takers.values()):
        try:
            term.limiter.release(term.key, term.id, decision)
        except Error:
            done = False
    return done


keeper = Keeper()


def _forked() -> None:
    global keeper
    keeper = Keeper()


os.register_at_fork(after_in_child=_forked)
