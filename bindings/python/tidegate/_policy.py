# SPDX-License-Identifier: MIT
"""A gate's policy, and the live document over it: gate.policy."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Union

from . import _loops, _tidegate
from ._documents import Document, PolicyDocument, dumped, pairs_of, text_of
from ._errors import ConfigError

if TYPE_CHECKING:
    from ._base import BaseGate, Mode, OnFailure

Until = Union[str, datetime, timedelta, int, float]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
SPAN = re.compile(r"\s*(\d+)\s*([smhdw])\s*", re.ASCII)


def until_of(value: Until, now_us: int) -> str:
    """An end as a policy says it: a moment, or a span from now on."""
    if isinstance(value, str):
        span = SPAN.fullmatch(value)
        if span is None:
            return value  # a moment; the core says if it is none
        value = int(span[1]) * UNITS[span[2]]
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta, datetime)):
        raise TypeError(
            f"until {value!r}: expected a datetime, a span such as '1h', or seconds from now, not"
            f" {type(value).__name__}"
        )
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigError(f"until {value!r}: expected a datetime with a time zone")
        moment = value.astimezone(timezone.utc)
    else:
        span_of = value if isinstance(value, timedelta) else timedelta(seconds=value)
        moment = datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=now_us) + span_of
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Policy:
    """What is said of a gate's limits while it runs: `gate.policy`.

    set_limit, set_tier, set_caller, clear and replace change the live document over the policy:
    with a server all processes there follow within a second, in every language. They wait for the
    store, and return the document's new version. `until`: a datetime, a moment as
    "2026-12-01T00:00:00Z", or a span from now on ("30m", "1h", "7d", a timedelta, seconds).
    `who`: for the audit stream; default: this process. What cannot be is a ConfigError, and then
    nothing has changed.
    """

    def __init__(self, gate: BaseGate):
        self._gate = gate

    def explain(
        self, attributes: Mapping[str, Any] | None = None, /, **more: Any
    ) -> dict[str, Any]:
        """Which rules a request meets and why, the caller's entries, and the parts with their
        present state. Takes nothing."""
        answer = self._gate._guard().explain(pairs_of(attributes, more))
        return json.loads(answer)  # type: ignore[no-any-return]

    def validate(self, policy: PolicyDocument) -> list[dict[str, Any]]:
        """As tidegate.policy.validate."""
        from .policy import validate

        return validate(policy)

    def live(self) -> dict[str, Any]:
        """{"version": ..., "live": {...}}: the document over the policy, at most a second old."""
        return json.loads(_tidegate.live(self._gate._client))  # type: ignore[no-any-return]

    def load(self, policy: PolicyDocument) -> None:
        """Another policy in place of the one the gate was opened with, at once, for the states that
        are there; in this process. A faulty one changes nothing. A path is read now, not again."""
        self._gate._load_policy(text_of(policy))

    def set_limit(
        self,
        name: str,
        rate: str | None,
        until: Until | None = None,
        *,
        mode: Mode | None = None,
        on_failure: OnFailure | None = None,
        who: str | None = None,
    ) -> int:
        """New numbers for a limiter of the policy; set_limit(name, None): those of the policy."""
        return self._set("limiters", name, until, who, rate=rate, mode=mode, on_failure=on_failure)

    def set_tier(
        self,
        name: str,
        limiters: Sequence[str] | None,
        until: Until | None = None,
        *,
        who: str | None = None,
    ) -> int:
        """Other limiters for a tier of the policy; set_tier(name, None): those of the policy."""
        listed = None if limiters is None else list(limiters)
        return self._set("tiers", name, until, who, limiters=listed)

    def set_caller(
        self,
        key: str,
        *,
        ban: bool | Until | None = None,
        reason: str | None = None,
        exempt: bool | None = None,
        tier: str | None = None,
        limits: Mapping[str, str] | None = None,
        until: Until | None = None,
        who: str | None = None,
    ) -> int:
        """What is said of an identity, an address or a network ("203.0.113.0/24"), in place of what
        was said of it before. ban: True, or for how long ("1h")."""
        if ban is not None and not isinstance(ban, bool):
            if until is not None:
                raise ConfigError("ban and until: expected one end, not two")
            ban, until = True, ban
        given = dict(limits) if limits is not None else None
        return self._set(
            "callers",
            key,
            until,
            who,
            ban=ban,
            reason=reason,
            exempt=exempt,
            tier=tier,
            limits=given,
        )

    def clear(self, key: str, *, who: str | None = None) -> int:
        """Takes away what the live document says of a caller."""
        return self._edit({"callers": {key: None}}, who)

    def replace(self, document: Document, *, who: str | None = None) -> int:
        """Another live document in place of the whole one; {}: none."""
        return self._edit(document, who, replace=True)

    def _set(self, kind: str, name: str, until: Until | None, who: str | None, **says: Any) -> int:
        entry = {member: value for member, value in says.items() if value is not None}
        if entry and until is not None:
            entry["until"] = until_of(until, self._now_us())
        return self._edit({kind: {name: entry or None}}, who)

    def _edit(self, document: Document, who: str | None, *, replace: bool = False) -> int:
        name = f"python {os.getpid()} on {os.uname().nodename}" if who is None else who
        return self._gate._guard().edit(dumped(document), name, replace)

    def _now_us(self) -> int:
        clock = self._gate._clock
        return clock.now_us if clock is not None else time.time_ns() // 1000


P = ParamSpec("P")
T = TypeVar("T")


def awaited(
    method: Callable[Concatenate[Policy, P], T],
) -> Callable[Concatenate[AsyncPolicy, P], Coroutine[Any, Any, T]]:
    """A method that waits for the store, awaitable: in a thread, where there is a store."""

    @functools.wraps(method)
    async def call(self: AsyncPolicy, /, *args: P.args, **named: P.kwargs) -> T:
        if self._policy._gate._client.embedded:
            return method(self._policy, *args, **named)
        return await _loops.in_thread(lambda: method(self._policy, *args, **named))

    return call


class AsyncPolicy:
    """As tidegate.Gate.policy, of an event loop's gate: what waits for the store is awaited."""

    def __init__(self, gate: BaseGate):
        self._policy = Policy(gate)
        self.validate, self.live, self.load = (
            self._policy.validate,
            self._policy.live,
            self._policy.load,
        )

    explain = awaited(Policy.explain)
    set_limit = awaited(Policy.set_limit)
    set_tier = awaited(Policy.set_tier)
    set_caller = awaited(Policy.set_caller)
    clear = awaited(Policy.clear)
    replace = awaited(Policy.replace)
