# SPDX-License-Identifier: MIT
"""What every piece of web middleware shares: which limits a request meets, who is charged, what is
sent."""

from __future__ import annotations

import atexit
import inspect
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Union

from . import _tidegate, aio
from ._base import BaseGate
from ._errors import ConfigError
from ._headers import Style, style_flags
from ._sync import Limiter as SyncLimiter

AnyLimiter = Union[SyncLimiter, aio.Limiter]
Limit = Union[str, AnyLimiter, None]
Limits = Union[Limit, Sequence[Limit]]
MaybeAwaitable = Union[Any, Awaitable[Any]]
LIMITERS = (_tidegate.SyncLimiter, _tidegate.AsyncLimiter)
STATE = "tidegate"


async def resolved(value: Any) -> Any:
    """What a user's callable answered, sync or async."""
    return await value if inspect.isawaitable(value) else value


class Shared:
    """One gate per URL for all middleware of a process that was given no gate of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, tuple[aio.Gate, int]] = {}
        atexit.register(self.close_all)

    def get(self, url: str | None, *, use: bool = False) -> aio.Gate:
        """The gate; `use` counts the caller as a user, who will release it."""
        name = url or os.environ.get("TIDEGATE_URL") or "memory://"
        with self._lock:
            gate, users = self._gates.get(name, (None, 0))
            if gate is None or gate.closed:
                gate, users = aio.connect(name), 0
            self._gates[name] = (gate, users + use)
            return gate

    def release(self, gate: aio.Gate) -> None:
        with self._lock:
            for name, (known, users) in list(self._gates.items()):
                if known is gate and users > 1:
                    self._gates[name] = (gate, users - 1)
                elif known is gate:
                    del self._gates[name]
                    gate._close()

    def close_all(self) -> None:
        for gate, _ in list(self._gates.values()):
            gate._close()
        self._gates.clear()


shared = Shared()


class Holder:
    """Where a piece of middleware gets its gate: its user's, or the shared one while it is in
    use."""

    def __init__(self, store: BaseGate | str | None):
        if store is not None and not isinstance(store, (BaseGate, str)):
            raise TypeError(
                f"store {store!r}: expected a gate or a URL, not {type(store).__name__}"
            )
        self.given = store if isinstance(store, BaseGate) else None
        self._url = store if isinstance(store, str) else None
        self._used: aio.Gate | None = None

    def gate(self) -> BaseGate:
        if self.given is not None:
            return self.given
        if self._used is None or self._used.closed:
            self._used = shared.get(self._url, use=True)
        return self._used

    def release(self) -> None:
        used, self._used = self._used, None
        if used is not None:
            shared.release(used)


class Rule:
    """What one piece of middleware was told: limits, whom they are for, what they cost, what is
    said."""

    def __init__(
        self,
        limit: Limits | Callable[[Any], MaybeAwaitable],
        *,
        name: str | None,
        algorithm: str,
        mode: str,
        on_failure: str | None,
        key: Callable[[Any], MaybeAwaitable] | None,
        cost: int | Callable[[Any], MaybeAwaitable],
        headers: Iterable[Style] | Style,
        message: object,
        trusted_proxies: int | Sequence[str],
        ipv6_prefix: int,
    ):
        for what, value in (("key", key), ("cost", None if isinstance(cost, int) else cost)):
            if value is not None and not callable(value):
                raise TypeError(f"{what} {value!r}: expected a callable that takes the request")
        self.limit, self.name, self.key, self.cost = limit, name, key, cost
        self.spec: dict[str, Any] = {"algorithm": algorithm, "mode": mode, "on_failure": on_failure}
        self.flags = style_flags(headers)
        self.body = self._body(message)
        self.caller_key = _tidegate.CallerKey(
            [("trusted_proxies", self._proxies(trusted_proxies)), ("ipv6_prefix", str(ipv6_prefix))]
        )
        self.fixed_key: str | None = None
        self._limiters: dict[tuple[int, str, str | None], AnyLimiter] = {}
        asked = callable(limit) and not isinstance(limit, LIMITERS)
        self.fixed = None if asked else self.listed(limit)  # where no callable is asked
        if not callable(limit):
            self.check(limit)
        if not callable(cost):
            self._check_cost(cost)

    @staticmethod
    def _proxies(trusted: int | Sequence[str]) -> str:
        if isinstance(trusted, bool) or not isinstance(trusted, (int, str, Sequence)):
            raise ConfigError(
                f"trusted_proxies={trusted!r}: expected a count, or a list of networks"
            )
        if isinstance(trusted, (int, str)):
            return str(trusted)
        return ",".join(map(str, trusted)) or "0"

    @staticmethod
    def _body(message: object) -> tuple[bytes, bytes] | None:
        """(content type, body) that replaces the problem, or None."""
        if message is None:
            return None
        if isinstance(message, str):
            return b"text/plain; charset=utf-8", message.encode()
        text = json.dumps(message, separators=(",", ":"), ensure_ascii=True)
        return b"application/json", text.encode()

    @staticmethod
    def _check_cost(cost: object) -> None:
        if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
            raise ConfigError(f"cost {cost!r}: expected an integer of 0 or more, or a callable")

    def check(self, limit: Any) -> None:
        """Fails now for what would fail with the first request."""
        probe = aio.connect("memory://")
        try:
            for one in limit if isinstance(limit, (list, tuple)) else (limit,):
                if isinstance(one, str):
                    probe.limiter(one, self.name, **self.spec)
                elif one is not None and not isinstance(one, LIMITERS):
                    raise ConfigError(
                        f"limit {one!r}: expected a rate such as '100/minute', a limiter, a "
                        "list of them, or a callable that returns one for a request"
                    )
        finally:
            probe._close()

    def limiter(self, gate: BaseGate, limit: Any, name: str | None) -> AnyLimiter:
        """The limiter of a rate on a gate; the same for the same rate."""
        if isinstance(limit, LIMITERS):
            return limit  # type: ignore[return-value]
        if not isinstance(limit, str):
            raise ConfigError(
                f"limit {limit!r}: expected a rate such as '100/minute', or a limiter"
            )
        known = self._limiters.get((id(gate._client), limit, name))
        if known is None:
            known = gate.limiter(limit, name, **self.spec)  # type: ignore[attr-defined]
            if len(self._limiters) > 1024:
                self._limiters.clear()
            self._limiters[(id(gate._client), limit, name)] = known
        return known

    @staticmethod
    def listed(limit: Any) -> list[Any]:
        several = limit if isinstance(limit, (list, tuple)) else (limit,)
        return [one for one in several if one is not None]

    async def checks(
        self, gate: BaseGate, request: Any, scope: Any, route: str | None
    ) -> list[Check]:
        """What this rule asks of a request. `route`: the name of a limit without one; None: its
        numbers."""
        limits = self.fixed
        if limits is None:
            limits = self.listed(await resolved(self.limit(request)))  # type: ignore[misc,operator]
        if not limits:
            return []
        cost = self.cost
        if callable(cost):
            cost = await resolved(cost(request))
        identity = await resolved(self.key(request)) if self.key is not None else None
        key = self.key_of(identity, scope)
        out = []
        for limit in limits:
            base = self.name or route
            limiter = self.limiter(gate, limit, self.name_of(gate, base, limit, len(limits) > 1))
            out.append(Check(self, limiter, key, cost))
        return out

    def name_of(self, gate: BaseGate, base: str | None, limit: Any, several: bool) -> str | None:
        """`base`, made to tell the rates apart where one rule has several (tiers, a list)."""
        if base is None or not isinstance(limit, str) or not (several or callable(self.limit)):
            return base
        numbers = self.limiter(gate, limit, None).name
        return short_name(f"{base}.{numbers}")

    def key_of(self, identity: Any, scope: Any) -> str:
        if identity is None:
            identity = ""
        elif isinstance(identity, bytes):
            identity = identity.decode("utf-8", "replace")
        elif not isinstance(identity, str):
            identity = str(identity)
        client = scope.get("client")
        forwarded = b",".join(
            value for name, value in scope["headers"] if name == b"x-forwarded-for"
        )
        return self.caller_key(identity, client[0] if client else "", forwarded.decode("latin-1"))


class Check:
    """One limiter, key and cost of a request, and the rule that asks it."""

    __slots__ = ("rule", "limiter", "key", "cost")

    def __init__(self, rule: Rule, limiter: AnyLimiter, key: str, cost: Any):
        self.rule, self.limiter, self.key, self.cost = rule, limiter, key, cost


class State:
    """What happened to one request so far; it travels in the ASGI scope."""

    __slots__ = ("gate", "charged", "decisions", "passed")

    def __init__(self, gate: BaseGate | None):
        self.gate = gate  # of the middleware around, if any
        self.charged: set[tuple[int, int, str]] = set()  # (client, limiter, key)
        self.decisions: list[tuple[_tidegate.Decision, int]] = []
        self.passed: set[int] = set()  # ids of the pieces that have been asked

    @classmethod
    def of(cls, scope: Any) -> State:
        state = scope.get(STATE)
        if not isinstance(state, cls):
            state = scope[STATE] = cls(None)
        return state

    async def ask(self, gate: BaseGate, checks: list[Check]) -> Refusal | None:
        """One atomic request of what was not charged yet. None: it may pass."""
        client = gate._client
        new, seen = [], set()
        for check in checks:
            mark = (id(check.limiter.gate._client), check.limiter._handle, check.key)
            if mark not in self.charged and mark not in seen:
                seen.add(mark)
                new.append(check)
        if not new:
            return None
        for check in new:
            if check.limiter.gate._client is not client:
                return await self._ask_apart(new)
        decision = await client.call_async(
            _tidegate.OP_CONSUME, [(check.limiter, check.key, check.cost) for check in new]
        )
        rule = next(
            (check.rule for check in new if check.limiter._handle == decision._handle), new[0].rule
        )
        if not decision.allowed:
            return Refusal(decision, rule)
        self.charged |= seen
        self.decisions.append((decision, rule.flags))
        return None

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

    def header_fields(self) -> list[tuple[bytes, bytes]]:
        """Of all decisions: the structured fields are lists, the legacy ones speak of the
        tightest."""
        if len(self.decisions) == 1:
            return encoded(*self.decisions[0])
        decisions = sorted(
            self.decisions,
            key=lambda one: one[0].remaining if one[0].remaining is not None else float("inf"),
        )
        joined: dict[bytes, bytes] = {}
        for decision, flags in decisions:
            for name, value in encoded(decision, flags):
                if name in (b"ratelimit", b"ratelimit-policy") and name in joined:
                    joined[name] += b", " + value
                else:
                    joined.setdefault(name, value)
        return list(joined.items())


def encoded(decision: _tidegate.Decision, flags: int) -> list[tuple[bytes, bytes]]:
    """Header fields as ASGI wants them."""
    return decision._fields(flags, 0, True)


class Refusal:
    """The answer to a request that may not pass."""

    def __init__(self, decision: _tidegate.Decision, rule: Rule):
        self.decision = decision
        self.status = decision.status
        if rule.body is not None and self.status == 429:
            kind, self.body = rule.body
        else:
            kind, self.body = b"application/problem+json", decision.problem()
        self.headers = [
            *encoded(decision, rule.flags),
            (b"content-type", kind),
            (b"content-length", str(len(self.body)).encode()),
        ]


def short_name(text: str) -> str:
    """A limiter's name made of any text: readable, at most 64 characters, and another one for
    another text."""
    import hashlib

    name = "".join(
        c
        if c.isascii() and (c.isalnum() or c in "_.-")
        else {"/": ".", "{": "-", "}": "-"}.get(c, "_")
        for c in text
    )
    lossy = any(c not in "/{}_.-" and not (c.isascii() and c.isalnum()) for c in text)
    if lossy or len(name) > 64:
        return f"{name[:55]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return name
