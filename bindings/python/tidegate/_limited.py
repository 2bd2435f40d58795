# SPDX-License-Identifier: MIT
"""A limit around a function: a task of Celery's, a job, a call to somebody else's API."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import _loops
from ._base import BaseGate, check_timeout, next_pause
from ._errors import Error
from ._passage import Passage, at_once, hold, renew
from ._rule import Facts, Rule, anybody
from ._tidegate import Decision, place_name
from ._web import Holder

if TYPE_CHECKING:
    from ._base import Algorithm, Mode, OnFailure
    from ._rule import Limits

F = TypeVar("F", bound=Callable[..., Any])


class RateLimitExceeded(Error):
    """What a function that is `limited` raises in place of running."""

    def __init__(self, decision: Decision, name: str):
        wait = decision.retry_after
        when = "" if wait is None else f": come again in {wait:.3g} s"
        super().__init__(f"{name} is over its limit{when}")
        self.decision = decision

    @property
    def retry_after(self) -> float | None:
        """Seconds; math.inf: never."""
        return self.decision.retry_after


class Call:
    """What callables are given: the arguments of the function."""

    def __init__(self, args: tuple[Any, ...], named: dict[str, Any]):
        self.args, self.named = args, named

    def __call__(self, callback: Callable[..., Any]) -> Any:
        return callback(*self.args, **self.named)


def limited(
    limit: Limits | Callable[..., Any],
    *,
    key: Callable[..., Any] | None = None,
    cost: int | Callable[..., Any] = 1,
    timeout: float | None = None,
    on_denied: Callable[..., Any] | None = None,
    store: BaseGate | str | None = None,
    name: str | None = None,
    algorithm: Algorithm | None = None,
    mode: Mode | None = None,
    on_failure: OnFailure | None = None,
    lease: str | None = None,
) -> Callable[[F], F]:
    """Limits a function, sync or async:

        @tidegate.limited("10/minute", key=lambda user, text: user, store=gate)
        def send_mail(user, text): ...

    limit: a rate, a limiter, a list of them (one atomic check), or a callable; of slots ("2 at
        once"): held until the function returns.
    key: whom it counts for; without one the function has one budget for everybody.
    timeout: seconds to wait for room; None: it does not wait.
    on_denied: called in place of the function, with the Decision and then the function's arguments;
        without one RateLimitExceeded is raised.
    name: default: the function's module and name.

    limit, key and cost as callables take the function's arguments; those of an async function may
    be async. The other options are those of tidegate.asgi.RateLimitMiddleware.
    """
    check_timeout(timeout)

    def asked(value: Any) -> Any:
        return (lambda call: call(value)) if callable(value) else value

    rule = Rule(
        asked(limit),
        key=asked(key),
        cost=asked(cost),
        name=name,
        algorithm=algorithm,
        mode=mode,
        on_failure=on_failure,
        lease=lease,
    )
    holder = Holder(store)

    def decorate(function: F) -> F:
        place = place_name("", "", f"{function.__module__}.{function.__qualname__}")
        limit_of = Limited(rule, holder, place, timeout)
        made = limit_of.asynchronous if inspect.iscoroutinefunction(function) else limit_of.blocking
        return cast(F, functools.wraps(function)(made(function, on_denied)))

    return decorate


class Limited:
    def __init__(self, rule: Rule, holder: Holder, place: str, timeout: float | None):
        self.rule, self.holder, self.place, self.timeout = rule, holder, place, timeout

    async def ask(self, call: Call, blocking: bool) -> Passage:
        gate, passage = self.holder.gate(), Passage()
        parts = await self.rule.parts(gate, call, anybody(), self.place)
        if self.rule.key is None:
            for part in parts:
                part.pairs.append(("@per", "everyone"))
        await passage.ask(
            gate,
            self.rule,
            Facts(call, "", [], [], False),
            parts,
            caller=anybody(),
            blocking=blocking,
        )
        return passage

    def pause(self, passage: Passage, until: float) -> float | None:
        """Seconds until it is worth another look; None: it is not."""
        if passage.refusal is None or self.timeout is None:
            return None
        return next_pause(passage.refusal.decision, until - time.monotonic())

    def blocking(self, function: Any, on_denied: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            until = time.monotonic() + (self.timeout or 0)
            passage = at_once(self.ask(Call(args, named), True))
            while (pause := self.pause(passage, until)) is not None:
                time.sleep(pause)
                passage = at_once(self.ask(Call(args, named), True))
            if passage.refusal is not None:
                return denied(function, on_denied, passage.refusal.decision, args, named)
            stop = hold(passage)
            try:
                return function(*args, **named)
            finally:
                stop()
                passage.finish(200, [], blocking=True)

        return call

    def asynchronous(self, function: Any, on_denied: Any) -> Any:
        async def call(*args: Any, **named: Any) -> Any:
            until = time.monotonic() + (self.timeout or 0)
            passage = await self.ask(Call(args, named), False)
            while (pause := self.pause(passage, until)) is not None:
                await _loops.sleep(pause)
                passage = await self.ask(Call(args, named), False)
            if passage.refusal is not None:
                answer = denied(function, on_denied, passage.refusal.decision, args, named)
                return await answer if inspect.isawaitable(answer) else answer
            stop = _loops.start(lambda: renew(passage)) if passage.renew_after else None
            try:
                return await function(*args, **named)
            finally:
                if stop is not None:
                    stop()
                passage.finish(200, [])

        return call


def denied(
    function: Any, on_denied: Any, decision: Decision, args: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    if on_denied is None:
        raise RateLimitExceeded(decision, function.__qualname__)
    return on_denied(decision, *args, **named)


RateLimitExceeded.__module__ = "tidegate"
