# SPDX-License-Identifier: MIT
"""What a piece of middleware was told: callables and options that become the attributes of a check.
What they mean is the core's to say."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Union

from . import _tidegate
from ._base import Algorithm, BaseGate, Mode, OnFailure
from ._callers import identity_of
from ._documents import PolicyDocument, source_of
from ._errors import ConfigError
from ._headers import STYLES, Style

if TYPE_CHECKING:
    from . import aio
    from ._sync import Limiter

    Limit = Union[str, Limiter, aio.Limiter, None]
    Limits = Union[Limit, Sequence[Limit]]
MaybeAwaitable = Union[Any, Awaitable[Any]]
Asked = Callable[[Any], MaybeAwaitable]  # takes the request
LIMITERS = (_tidegate.SyncLimiter, _tidegate.AsyncLimiter)
Pairs = list[tuple[str, Any]]


class Options(TypedDict, total=False):
    """What middleware, dependencies and decorators take beside the limit."""

    policy: PolicyDocument | None
    identity: Asked | None
    tier: Asked | None
    attributes: Asked | None
    settle: Asked | None
    key: Asked | Sequence[Asked | None] | None
    cost: int | Asked
    exempt: Sequence[str] | Asked
    message: object
    on_denied: Callable[[Any, _tidegate.Decision], MaybeAwaitable] | None
    on_error: Callable[[Any, Exception], MaybeAwaitable] | None
    name: str | None
    algorithm: Algorithm | None
    mode: Mode | None
    on_failure: OnFailure | None
    lease: str | None
    trusted_proxies: int | Sequence[str] | None
    ipv6_prefix: int | None
    headers: Iterable[Style] | Style


class Facts(NamedTuple):
    """A request as its framework tells it."""

    request: Any  # what callables are given
    method: str
    pairs: Pairs
    paths: list[str]  # its spellings for exempt
    forwarded: bool


class Part(NamedTuple):
    """One limit that code names for a request."""

    rule: Rule
    gate: BaseGate
    pairs: Pairs


async def resolved(value: Any) -> Any:
    """What a user's callable answered, sync or async."""
    return await value if inspect.isawaitable(value) else value


@functools.cache
def anybody() -> Rule:
    """Whose callers are addresses: in the place of the middleware around, where there is none."""
    return Rule(None)


@functools.cache
def nobody() -> _tidegate.Guard:
    """A guard that has no limits: it says which requests are exempt whatever the limits are."""
    return _tidegate.Guard(_tidegate.Client("memory://", []))


class Rule:
    def __init__(
        self,
        limit: Any,
        *,
        policy: PolicyDocument | None = None,
        identity: Asked | None = None,
        tier: Asked | None = None,
        attributes: Asked | None = None,
        settle: Asked | None = None,
        key: Asked | Sequence[Asked | None] | None = None,
        cost: int | Asked = 1,
        exempt: Sequence[str] | Asked = (),
        message: object = None,
        on_denied: Callable[[Any, _tidegate.Decision], MaybeAwaitable] | None = None,
        on_error: Callable[[Any, Exception], MaybeAwaitable] | None = None,
        name: str | None = None,
        algorithm: Algorithm | None = None,
        mode: Mode | None = None,
        on_failure: OnFailure | None = None,
        lease: str | None = None,
        trusted_proxies: int | Sequence[str] | None = None,
        ipv6_prefix: int | None = None,
        headers: Iterable[Style] | Style = ("standard", "legacy"),
    ):
        self.key: Any = tuple(key) if isinstance(key, (list, tuple)) else key
        given = {"identity": identity, "tier": tier, "attributes": attributes, "settle": settle}
        for what, value in {**given, "on_denied": on_denied, "on_error": on_error}.items():
            check_callable(what, value)
        for one in self.key if isinstance(self.key, tuple) else (self.key,):
            check_callable("key", one)
        self.limit, self.name, self.cost = limit, name, cost
        self.identity, self.tier, self.attributes = identity, tier, attributes
        self.settle, self.on_denied, self.on_error = settle, on_denied, on_error
        self.policy = None if policy is None else source_of(policy)
        self.spec: Pairs = [
            ("@algorithm", algorithm),
            ("@mode", mode),
            ("@on_failure", on_failure),
            ("@lease", lease),
        ]
        self.body = body_of(message)
        self.exempt = exempt if callable(exempt) else None
        self.exempt_paths = frozenset(paths_of(exempt))
        self.own_address = trusted_proxies is not None or ipv6_prefix is not None
        self.told_whom_to_trust = trusted_proxies is not None
        self.headers = headers_text(headers)
        self.address = proxies_text(trusted_proxies), ipv6_prefix or 0
        self._guards: dict[tuple[int, bool, int], tuple[BaseGate, _tidegate.Guard]] = {}
        asked = callable(limit) and not isinstance(limit, LIMITERS)
        self.fixed = None if asked else listed(limit)  # where no callable is asked
        if not callable(cost) and (isinstance(cost, bool) or not isinstance(cost, int) or cost < 0):
            raise ConfigError(f"cost {cost!r}: expected an integer of 0 or more, or a callable")
        self._try()

    def _try(self) -> None:
        """Fails now for what would fail with the first request: asks it of a store that nobody
        else has."""
        probe = _tidegate.Client("memory://", [])
        _tidegate.Guard(probe, *(self.policy or ("", "")), self.headers, *self.address)
        guard = _tidegate.Guard(probe)
        if self.name is not None:  # on its own: others may stand behind it
            alone = _tidegate.Guard(_tidegate.Client("memory://", []))
            alone.check([("@limit", "1/second"), ("@name", self.name)])
        limits = self.fixed or []
        if isinstance(self.key, tuple) and self.fixed is not None and len(self.key) != len(limits):
            raise ConfigError(f"key: {len(self.key)} for {len(limits)} limits: expected one each")
        rates = [limit for limit in limits if not isinstance(check_limit(limit), LIMITERS)]
        for limit in rates:
            several = "1" if len(limits) > 1 else None
            guard.check(
                [("@limit", limit), ("@name", self.name), ("@several", several), *self.spec]
            )

    def guard(
        self, gate: BaseGate, around: Rule | None = None, *, leads: bool = True
    ) -> _tidegate.Guard:
        """Of a gate: with the policy, its own or the gate's; where it does not lead, of code's
        limits only. `around`: says whom to trust where this rule does not."""
        source = around if around is not None and not self.own_address else self
        mark = id(gate._client), leads, id(source)
        known = self._guards.get(mark)
        if known is None:
            for old, (other, _) in list(self._guards.items()):
                if other.closed:  # a shared gate, of an earlier life of the application
                    del self._guards[old]
            policy = self.policy if leads else ("", "")
            made = gate._open_guard(policy, self.headers, *source.address)
            known = self._guards[mark] = gate, made
        return known[1]

    def leads_anything(self, gate: BaseGate) -> bool:
        """Whether there is a policy to apply, where code names no limit."""
        return self.policy is not None or gate._policy_source is not None

    async def exempts(self, facts: Facts) -> bool:
        """Preflights and exempt paths, before any other callable is asked about them."""
        exempt = [path for path in facts.paths if path in self.exempt_paths]  # not all of them
        if exempt or facts.method == "OPTIONS":
            more = [(name, path) for path in exempt for name in ("@path", "@exempt")]
            if nobody().check([*facts.pairs, *more]).verdict == "exempt":
                return True
        return self.exempt is not None and bool(await resolved(self.exempt(facts.request)))

    async def said(self, request: Any, *, policy: bool) -> Pairs:
        """What the callables say of a request: who calls; and for a policy his tier, and whatever
        else it sees."""
        out: Pairs = []
        source = self.identity or (self.key if callable(self.key) else None)
        if source is not None:
            identity = identity_of(await resolved(source(request)))
            if identity:
                out.append(("identity", identity))
        if policy and self.tier is not None:
            out.append(("tier", await resolved(self.tier(request))))
        if policy and self.attributes is not None:
            out += mapping_of("attributes", await resolved(self.attributes(request)))
        return out

    async def settled(self, request: Any) -> Pairs:
        """What was used, when the response is done. It is sent: what fails now is told the log."""
        try:
            return mapping_of("settle", await resolved(self.settle(request))) if self.settle else []
        except Exception:
            import logging

            logging.getLogger("tidegate").exception("settle failed: what was charged stays")
            return []

    async def parts(
        self,
        gate: BaseGate,
        request: Any,
        lead: Rule,
        place: str | None = None,
        several: bool = False,
    ) -> list[Part]:
        """The limits that code names. `lead`: whose attributes the check has; `place`: the name of
        a limit without one."""
        limits = self.fixed
        if limits is None:
            limits = listed(await resolved(self.limit(request)))
        if not limits:
            return []
        cost = await resolved(self.cost(request)) if callable(self.cost) else self.cost
        keys = await self._keys(request, lead, len(limits))
        several = several or len(limits) > 1 or self.fixed is None
        out = []
        for limit, key in zip(limits, keys):
            if isinstance(check_limit(limit), LIMITERS):
                out.append(Part(self, limit.gate, [("@limiter", limit), *key, ("@cost", cost)]))
                continue
            name: Pairs = [("@name", self.name), ("@place", place)]
            name.append(("@several", "1" if several else None))
            out.append(
                Part(self, gate, [("@limit", limit), *name, *self.spec, *key, ("@cost", cost)])
            )
        return out

    async def _keys(self, request: Any, lead: Rule, count: int) -> list[Pairs]:
        """Whom each limit charges, where that is not the caller of the check."""
        if isinstance(self.key, tuple):
            if len(self.key) != count:
                raise ConfigError(f"key: {len(self.key)} for {count} limits: expected one each")
            return [await key_of(key, request) for key in self.key]
        source = self.key
        if source is None and lead.identity is not None and callable(lead.key):
            source = lead.key
        if source is None or (source is lead.key and lead.identity is None):
            return [[]] * count
        return [await key_of(source, request)] * count


async def key_of(key: Asked | None, request: Any) -> Pairs:
    identity = identity_of(await resolved(key(request))) if key is not None else ""
    return [("@key", identity)]  # an empty one is the address


def listed(limit: Any) -> list[Any]:
    several = limit if isinstance(limit, (list, tuple)) else (limit,)
    return [one for one in several if one is not None]


def check_limit(limit: Any) -> Any:
    if not isinstance(limit, (str, *LIMITERS)):
        raise ConfigError(
            f"limit {limit!r}: expected a rate such as '100/minute', a limiter, a list of them, or "
            "a callable that returns one for a request"
        )
    return limit


def check_callable(what: str, value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{what} {value!r}: expected a callable that takes the request")


def mapping_of(what: str, value: object) -> Pairs:
    if value is None:
        return []
    if not isinstance(value, Mapping):
        raise TypeError(f"{what}: expected a mapping, not {type(value).__name__}")
    return list(value.items())


def paths_of(exempt: Any) -> list[str]:
    if callable(exempt):
        return []
    paths = (exempt,) if isinstance(exempt, str) else exempt
    if not isinstance(paths, Iterable) or not all(isinstance(path, str) for path in paths):
        raise TypeError(f"exempt {exempt!r}: expected paths, or a callable")
    return list(paths)


def headers_text(headers: Iterable[Style] | Style) -> str:
    styles = (headers,) if isinstance(headers, str) else tuple(headers)
    for style in styles:
        if style not in STYLES:
            raise ConfigError(f"headers {style!r}: expected any of {', '.join(map(repr, STYLES))}")
    return ",".join(styles) or "none"


def proxies_text(trusted: int | Sequence[str] | None) -> str:
    if isinstance(trusted, bool) or not isinstance(trusted, (int, str, Sequence, type(None))):
        raise ConfigError(f"trusted_proxies={trusted!r}: expected a count, or a list of networks")
    if trusted is None:
        return ""
    return str(trusted) if isinstance(trusted, (int, str)) else ",".join(map(str, trusted)) or "0"


def body_of(message: object) -> tuple[bytes, bytes] | None:
    """(content type, body) that replaces the problem, or None."""
    if message is None:
        return None
    if isinstance(message, str):
        return b"text/plain; charset=utf-8", message.encode()
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=True)
    return b"application/json", text.encode()
