# SPDX-License-Identifier: MIT
"""What happened to one request so far, by all middleware that it passed, and what it is told."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _tidegate
from ._base import BaseGate
from ._errors import Error

if TYPE_CHECKING:
    from ._web import AnyLimiter, Rule

STATE = "tidegate"
LISTS = (b"ratelimit-policy", b"ratelimit")
Field = tuple[bytes, bytes]


class Check:
    """One limiter, key and cost of a request, and the rule that asks it."""

    __slots__ = ("rule", "limiter", "key", "cost")

    def __init__(self, rule: Rule, limiter: AnyLimiter, key: str | bytes, cost: Any):
        self.rule, self.limiter, self.key, self.cost = rule, limiter, key, cost

    @property
    def mark(self) -> tuple[int, int, bytes]:
        """The same for what is charged once."""
        key = self.key.encode() if isinstance(self.key, str) else self.key
        return id(self.limiter.gate._client), self.limiter._handle, key


class Passed(NamedTuple):
    """Checks that let the request through, in one atomic request."""

    decision: _tidegate.Decision
    flags: int  # of its header fields
    checks: Sequence[Check]  # keeps their limiters open, whose names the fields need

    def give_back(self) -> None:
        """Behind the answer: nobody waits, and a store that is away has lost it anyway. A shadow
        limit that did not fit took nothing."""
        parts = iter(self.decision.parts)
        taken = []
        for check in self.checks:
            of_it = itertools.islice(parts, len(check.limiter.rates))
            if all([part.allowed for part in of_it]):
                taken.append((check.limiter, check.key, check.cost))
        if not taken:
            return
        client = self.checks[0].limiter.gate._client
        try:
            client.call_async(_tidegate.OP_REFUND, taken, self.decision).close()
        except Error:
            pass


class State:
    """It travels in the ASGI scope."""

    __slots__ = ("gate", "charged", "passed", "asked", "refusal")

    def __init__(self, gate: BaseGate | None):
        self.gate = gate  # of the middleware around, if any
        self.charged: set[tuple[int, int, bytes]] = set()  # marks of checks
        self.passed: list[Passed] = []
        self.asked: set[int] = set()  # ids of the dependencies that have been asked
        self.refusal: Refusal | None = None

    @classmethod
    def of(cls, scope: Any) -> State:
        state = scope.get(STATE)
        if not isinstance(state, cls):
            state = scope[STATE] = cls(None)
        return state

    async def ask(self, gate: BaseGate, checks: list[Check]) -> Refusal | None:
        """One atomic request of what was not charged yet. None: it may pass."""
        client = gate._client
        new: dict[tuple[int, int, bytes], Check] = {}
        for check in checks:
            mark = check.mark
            if mark not in self.charged:
                new.setdefault(mark, check)
        if not new:
            return None
        several = list(new.values())
        if any(check.limiter.gate._client is not client for check in several):
            return await self._ask_apart(several)
        decision = await client.call_async(
            _tidegate.OP_CONSUME, [(check.limiter, check.key, check.cost) for check in several]
        )
        rule = next(
            (one.rule for one in several if one.limiter._handle == decision._handle),
            several[0].rule,
        )
        if not decision.allowed:
            return self._refuse(decision, rule, several)
        self.charged.update(new)
        self.passed.append(Passed(decision, rule.flags, several))
        return None

    def _refuse(self, decision: _tidegate.Decision, rule: Rule, checks: list[Check]) -> Refusal:
        """A request that is refused costs nothing: what let it pass before gets its tokens back."""
        before = [(one.decision, one.flags) for one in self.passed]
        self.refusal = Refusal(decision, rule, checks, before)
        for one in self.passed:
            one.give_back()
        self.passed.clear()
        self.charged.clear()
        return self.refusal

    async def _ask_apart(self, checks: list[Check]) -> Refusal | None:
        """Limits of several stores: one request each, none of them atomic with another."""
        groups: dict[int, list[Check]] = {}
        for check in checks:
            groups.setdefault(id(check.limiter.gate._client), []).append(check)
        for group in groups.values():
            refusal = await self.ask(group[0].limiter.gate, group)
            if refusal is not None:
                return refusal
        return None

    def fields(self) -> list[Field]:
        """Of all decisions on the request."""
        if self.refusal is not None:
            return self.refusal.fields
        return joined([(one.decision, one.flags) for one in self.passed])

    def decision(self) -> _tidegate.Decision | None:
        """The last one."""
        if self.refusal is not None:
            return self.refusal.decision
        return self.passed[-1].decision if self.passed else None


class Refusal:
    """The answer to a request that may not pass."""

    def __init__(
        self,
        decision: _tidegate.Decision,
        rule: Rule,
        checks: Sequence[Check],
        before: list[tuple[_tidegate.Decision, int]],
    ):
        self.decision, self.rule = decision, rule
        self.checks = checks  # keeps their limiters open
        self.status = decision.status
        if rule.body is not None and self.status == 429:
            kind, self.body = rule.body
        else:
            kind, self.body = b"application/problem+json", decision.problem()
        own = (decision, rule.flags)
        self.fields = joined([*before, own], own)
        self.headers = [
            *self.fields,
            (b"content-type", kind),
            (b"content-length", str(len(self.body)).encode()),
        ]


def encoded(decision: _tidegate.Decision, flags: int) -> list[Field]:
    """Header fields as ASGI wants them."""
    return decision._fields(flags, 0, True)


def joined(
    decisions: list[tuple[_tidegate.Decision, int]],
    speaker: tuple[_tidegate.Decision, int] | None = None,
) -> list[Field]:
    """The structured fields are lists, in the order of the checks; the others are the speaker's, or
    those of the tightest decision."""
    if len(decisions) == 1:
        return encoded(*decisions[0])
    lists: dict[bytes, bytes] = {}
    for one in decisions:
        for name, value in encoded(*one):
            if name in LISTS:
                lists[name] = lists[name] + b", " + value if name in lists else value
    tightest = sorted(
        decisions, key=lambda one: float("inf") if one[0].remaining is None else one[0].remaining
    )
    for one in tightest if speaker is None else [speaker]:
        others = [field for field in encoded(*one) if field[0] not in LISTS]
        if others:
            return [*lists.items(), *others]
    return list(lists.items())


def family(name: bytes) -> bytes:
    """Fields that are told together or not at all."""
    name = bytes(name).lower()
    if name in LISTS:
        return LISTS[0]
    return b"x-ratelimit" if name.startswith(b"x-ratelimit-") else name


def with_fields(headers: Iterable[Field], fields: list[Field]) -> list[Field]:
    """A response's header fields and ours. What the application says itself stands, and ours of
    that family are left out: no field is there twice, with two meanings."""
    out = list(headers)
    there = {family(name) for name, _ in out if name[:1] in b"rxRX"}  # all of ours begin so
    return [*out, *(field for field in fields if family(field[0]) not in there)]
