# SPDX-License-Identifier: MIT
"""One request's way through all middleware: what its checks were told so far, by gate."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from . import _loops, _tidegate
from ._base import BaseGate
from ._fields import Field
from ._rule import Facts, Pairs, Part, Rule, resolved


T = TypeVar("T")


class Told(NamedTuple):
    """What the last check on a gate answered."""

    gate: BaseGate
    decision: _tidegate.Decision
    fields: list[Field]


class Refusal:
    """The answer to a request that may not pass."""

    def __init__(self, decision: _tidegate.Decision, rule: Rule):
        self.decision, self.rule = decision, rule
        self.status = decision.status
        if rule.body is not None and self.status == 429:
            kind, self.body = rule.body
        else:
            kind, self.body = b"application/problem+json", decision.problem()
        self.fields = decision._fields(None, 0, True)
        self.headers = [
            *self.fields,
            (b"content-type", kind),
            (b"content-length", str(len(self.body)).encode()),
        ]


class Passage:
    __slots__ = ("rule", "gate", "asked", "told", "refusal")

    def __init__(self) -> None:
        self.rule: Rule | None = None  # of the middleware around
        self.gate: BaseGate | None = None  # and its gate
        self.asked: set[int] = set()  # ids of the dependencies that have been asked
        self.told: dict[int, Told] = {}  # by gate, the one asked last behind the others
        self.refusal: Refusal | None = None

    async def ask(
        self,
        gate: BaseGate,
        lead: Rule,
        facts: Facts,
        parts: list[Part],
        *,
        caller: Rule | None = None,
        blocking: bool = False,
    ) -> Refusal | None:
        """One atomic check of the lead's policy and of the limits that code names; those of other
        gates are a check of their own each. `caller`: another rule says who calls, and the lead's
        policy does not count. None: it may pass."""
        leads = caller is None and lead.leads_anything(gate)
        groups: dict[int, tuple[BaseGate, list[Part]]] = {id(gate._client): (gate, [])}
        for part in parts:
            groups.setdefault(id(part.gate._client), (part.gate, []))[1].append(part)
        said: Pairs | None = None
        for of, own in groups.values():
            if not own and not (leads and of is gate):
                continue
            if said is None:
                who = await (caller or lead).said(facts.request, policy=leads)
                said = [*facts.pairs, *who]
                warn_of_forwarded(lead, self.rule, of, facts, [*who, *own[0].pairs] if own else who)
            guard = lead.guard(of, self.rule, leads=leads and of is gate)
            decision = await self._check(guard, of, said, own, blocking)
            if decision.status != 200:
                self.refusal = Refusal(decision, rule_of(decision, own, lead))
                return self.refusal
            if decision.verdict == "exempt":
                break
        return None

    async def _check(
        self, guard: _tidegate.Guard, gate: BaseGate, said: Pairs, own: list[Part], blocking: bool
    ) -> _tidegate.Decision:
        mark = id(gate._client)
        before = self.told.pop(mark, None)
        pairs = [*said, *(pair for part in own for pair in part.pairs)]
        after = before.decision if before is not None else None
        check = guard.check if blocking else guard.check_async
        decision: _tidegate.Decision = await resolved(check(pairs, after))
        fields = decision._fields(None, 0, True)
        if not fields and before is not None:  # a silent one takes nothing away
            fields = before.fields
        if decision.verdict == "exempt" and before is not None:  # it says nothing of those before
            self.told[mark] = before
        else:
            self.told[mark] = Told(gate, decision, fields)
        return decision

    def fields(self) -> list[Field]:
        """Of all checks on the request."""
        if self.refusal is not None:
            return self.refusal.fields
        names: dict[bytes, bytes] = {}
        for told in self.told.values():
            names.update(told.fields)
        return list(names.items())

    def decision(self) -> _tidegate.Decision | None:
        """The last one."""
        last = list(self.told.values())[-1:]
        return last[0].decision if last else None

    @property
    def renew_after(self) -> float:
        """Seconds after which slots are to be renewed; 0.0: none are held."""
        return min(
            (t.decision.renew_after for t in self.told.values() if t.decision.renew_after),
            default=0.0,
        )

    def renew(self, *, blocking: bool = False) -> None:
        self._settle(0, [], _tidegate.FINISH_RENEW, blocking)

    @property
    def unfinished(self) -> bool:
        if self.refusal is not None and len(self.told) > 1:
            return True
        return any(told.decision.finish for told in self.told.values())

    def finish(self, status: int, used: Pairs, *, blocking: bool = False) -> None:
        """The response is done."""
        self._settle(status, used, 0, blocking)

    def _settle(self, status: int, used: Pairs, flags: int, blocking: bool) -> None:
        for gate, decision, _ in self.told.values():
            elsewhere = self.refusal is not None and decision is not self.refusal.decision
            more = _tidegate.FINISH_DENIED if elsewhere and not flags else 0
            if decision.finish or more:
                _tidegate.finish(gate._client, decision, status, used, flags | more, not blocking)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What it returns without ever having waited."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    work.close()
    raise TypeError(
        "a callable waits for something, and there is no event loop: expected one that answers"
        " at once"
    )


def hold(passage: Passage) -> Callable[[], None]:
    """Renews what a request holds from a thread, until what it returns is called."""
    if not passage.renew_after:
        return lambda: None
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(passage.renew_after):
            passage.renew(blocking=True)

    threading.Thread(target=keep, name="tidegate-request", daemon=True).start()
    return ended.set


async def renew(passage: Passage) -> None:
    """For as long as the response takes."""
    while passage.renew_after:
        await _loops.sleep(passage.renew_after)
        passage.renew()


def rule_of(decision: _tidegate.Decision, parts: list[Part], lead: Rule) -> Rule:
    """Whose limit a refusal is of; a policy's is the lead's."""
    at = decision._limit
    return parts[at - 1].rule if 0 < at <= len(parts) else lead


_warned = False


def warn_of_forwarded(
    rule: Rule, around: Rule | None, gate: BaseGate, facts: Facts, said: Pairs
) -> None:
    """Once in a process, where an address counts and nobody said whom to trust."""
    global _warned
    told = rule.told_whom_to_trust or (around is not None and around.told_whom_to_trust)
    if _warned or not facts.forwarded or told or gate._told_whom_to_trust:
        return
    if any(name in ("identity", "@key") and value for name, value in said):
        return
    _warned = True
    logging.getLogger("tidegate").warning(
        "a request carries X-Forwarded-For, and nobody said whom to trust: every caller behind "
        "the proxy counts as one. Say trusted_proxies=1 with the number of proxies, or "
        "trusted_proxies=0 if there is none."
    )
