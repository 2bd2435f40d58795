# SPDX-License-Identifier: MIT
"""What every piece of web middleware shares: its gate, and the rule that it was told."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Union

from . import _tidegate, aio
from ._base import Algorithm, BaseGate, Mode, OnFailure
from ._callers import identity_of
from ._errors import ConfigError
from ._headers import Style, style_flags
from ._names import numbers_of, short_name
from ._state import Check
from ._sync import Limiter as SyncLimiter

AnyLimiter = Union[SyncLimiter, aio.Limiter]
Limit = Union[str, AnyLimiter, None]
Limits = Union[Limit, Sequence[Limit]]
MaybeAwaitable = Union[Any, Awaitable[Any]]
LIMITERS = (_tidegate.SyncLimiter, _tidegate.AsyncLimiter)
MOST_LIMITERS = 1024  # that a rule keeps open; it closes the least used
ECONFLICT = -10


async def resolved(value: Any) -> Any:
    """What a user's callable answered, sync or async."""
    return await value if inspect.isawaitable(value) else value


class Shared:
    """One gate per URL for all middleware of a process that was given no gate of its own."""

    def __init__(self) -> None:
        self._gates: dict[str, tuple[aio.Gate, int]] = {}
        self._renew_lock()
        atexit.register(self.close_all)
        os.register_at_fork(after_in_child=self._renew_lock)  # a thread may have held it

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

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
            shown = f" {store!r}" if isinstance(store, (int, float)) else ""  # no password
            raise TypeError(f"store{shown}: expected a gate or a URL, not {type(store).__name__}")
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
        algorithm: Algorithm,
        mode: Mode,
        on_failure: OnFailure | None,
        key: Callable[[Any], MaybeAwaitable] | None,
        cost: int | Callable[[Any], MaybeAwaitable],
        exempt: Sequence[str] | Callable[[Any], MaybeAwaitable],
        trusted_proxies: int | Sequence[str] | None,
        ipv6_prefix: int | None,
        headers: Iterable[Style] | Style,
        message: object,
        on_denied: Callable[[Any, _tidegate.Decision], MaybeAwaitable] | None,
    ):
        for what, value in (("key", key), ("on_denied", on_denied)):
            if value is not None and not callable(value):
                raise TypeError(f"{what} {value!r}: expected a callable that takes the request")
        self.limit, self.name, self.key, self.cost = limit, name, key, cost
        self.on_denied = on_denied
        self.spec: dict[str, Any] = {"algorithm": algorithm, "mode": mode, "on_failure": on_failure}
        self.flags = style_flags(headers)
        self.body = self._body(message)
        self.exempt = exempt if callable(exempt) else None
        self.exempt_paths = frozenset() if callable(exempt) else self._paths(exempt)
        self.own_address = trusted_proxies is not None or ipv6_prefix is not None
        self.told_whom_to_trust = trusted_proxies is not None
        self.caller_key = _tidegate.CallerKey(
            [
                (
                    "trusted_proxies",
                    self._proxies(0 if trusted_proxies is None else trusted_proxies),
                ),
                ("ipv6_prefix", str(64 if ipv6_prefix is None else ipv6_prefix)),
            ]
        )
        self._limiters: OrderedDict[tuple[int, str, str | None], AnyLimiter] = OrderedDict()
        asked = callable(limit) and not isinstance(limit, LIMITERS)
        self.fixed = None if asked else self.listed(limit)  # where no callable is asked
        if self.fixed is not None:
            self._check_limits(self.fixed)
        if not callable(cost):
            self._check_cost(cost)

    @staticmethod
    def _paths(exempt: Sequence[str]) -> frozenset[str]:
        paths = (exempt,) if isinstance(exempt, str) else exempt
        if not isinstance(paths, Iterable) or not all(isinstance(path, str) for path in paths):
            raise TypeError(f"exempt {exempt!r}: expected paths, or a callable")
        return frozenset(paths)

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

    def _check_limits(self, limits: list[Any]) -> None:
        """Fails now for what would fail with the first request: opens what will be opened."""
        probe = aio.connect("memory://")
        try:
            if self.name is not None:
                probe.limiter("1/second", self.name).close()
            for one in limits:
                if not isinstance(one, (str, *LIMITERS)):
                    raise ConfigError(
                        f"limit {one!r}: expected a rate such as '100/minute', a limiter, a "
                        "list of them, or a callable that returns one for a request"
                    )
                self.limiter(probe, one, None, len(limits) > 1)
        finally:
            probe._close()
            self._limiters.clear()

    @staticmethod
    def listed(limit: Any) -> list[Any]:
        several = limit if isinstance(limit, (list, tuple)) else (limit,)
        return [one for one in several if one is not None]

    async def exempts(self, request: Any, scope: Any) -> bool:
        """Paths count as they came, below the root path, and below a mount."""
        if self.exempt is not None:
            return bool(await resolved(self.exempt(request)))
        return bool(self.exempt_paths) and not self.exempt_paths.isdisjoint(paths_of(scope))

    async def checks(
        self,
        gate: BaseGate,
        request: Any,
        scope: Any,
        place: str | None = None,
        around: Rule | None = None,
    ) -> list[Check]:
        """What this rule asks of a request. `place`: the name of a limit without one; None: its
        numbers. `around`: says who calls where this rule does not."""
        limits = self.fixed
        if limits is None:
            limits = self.listed(await resolved(self.limit(request)))  # type: ignore[misc,operator]
        if not limits:
            return []
        cost = self.cost
        if callable(cost):
            cost = await resolved(cost(request))
        key = await self.caller(request, scope, around or self)
        several = len(limits) > 1
        return [Check(self, self.limiter(gate, one, place, several), key, cost) for one in limits]

    async def caller(self, request: Any, scope: Any, around: Rule) -> str | bytes:
        """The key of whoever calls: his identity, or his address."""
        key = self.key or around.key
        identity = identity_of(await resolved(key(request)) if key is not None else None)
        address = self if self.own_address else around
        return address.key_of(identity, scope)

    def key_of(self, identity: str | bytes, scope: Any) -> str | bytes:
        client = scope.get("client")
        forwarded = b",".join(
            value for name, value in scope["headers"] if name == b"x-forwarded-for"
        )
        if forwarded and not identity and not self.told_whom_to_trust:
            warn_of_forwarded()
        peer = client[0] if client else ""
        return self.caller_key(identity, peer, forwarded.decode("latin-1"))

    def limiter(self, gate: BaseGate, limit: Any, place: str | None, several: bool) -> AnyLimiter:
        """The limiter of a rate on a gate; the same for the same rate."""
        if isinstance(limit, LIMITERS):
            return limit  # type: ignore[return-value]
        if not isinstance(limit, str):
            raise ConfigError(
                f"limit {limit!r}: expected a rate such as '100/minute', or a limiter"
            )
        mark = (id(gate._client), limit, place)
        known = self._limiters.get(mark)
        if known is None:
            known = self._limiters[mark] = self._open(gate, limit, self.name or place, several)
            if len(self._limiters) > MOST_LIMITERS:
                self._limiters.popitem(last=False)[1]._close_with_it()
        else:
            with contextlib.suppress(
                KeyError
            ):  # another thread's loop may have closed it meanwhile
                self._limiters.move_to_end(mark)
        return known

    def _open(self, gate: BaseGate, limit: str, base: str | None, several: bool) -> AnyLimiter:
        """`base`, with the numbers behind it where one rule has several rates (a list, tiers). A
        name that was not given may be taken by a limit with other numbers, or of another mode:
        then what is different stands behind it."""
        names = [base]
        if base is not None and (several or self.fixed is None):
            names = [short_name(f"{base}.{numbers_of(limit, self.spec['algorithm'])}")]
        if self.name is None:
            numbers = numbers_of(limit, self.spec["algorithm"])
            policy = self.spec["on_failure"] or "default"
            front = f"{base}." if base is not None else ""
            names += [short_name(f"{front}{numbers}")] if base is not None else []
            names += [short_name(f"{front}{numbers}.{self.spec['mode']}.{policy}")]
        open_limiter: Callable[..., AnyLimiter] = gate.limiter  # type: ignore[attr-defined]
        for name in names[:-1]:
            try:
                return open_limiter(limit, name, **self.spec)
            except ConfigError as error:
                if error.code != ECONFLICT:
                    raise
        return open_limiter(limit, names[-1], **self.spec)


def paths_of(scope: Any) -> set[str]:
    """The path of a request as it came, without what a proxy or server put before it, and without
    what it is mounted below."""
    path: str = scope["path"]
    out = {path}
    for root in (scope.get("root_path", ""), scope.get("app_root_path", "")):
        if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
            out.add(path[len(root) :] or "/")
    return out


_warned = False


def warn_of_forwarded() -> None:
    """Once in a process."""
    global _warned
    if not _warned:
        _warned = True
        logging.getLogger("tidegate").warning(
            "a request carries X-Forwarded-For, and nobody said whom to trust: every caller behind "
            "the proxy counts as one. Say trusted_proxies=1 with the number of proxies, or "
            "trusted_proxies=0 if there is none."
        )
