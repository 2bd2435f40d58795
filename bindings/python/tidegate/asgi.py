# SPDX-License-Identifier: MIT
"""Rate limits for any ASGI application: Starlette, Litestar, Quart, or one of your own.

    app = RateLimitMiddleware(app, limit="100/minute", exempt=["/health"])

It looks at the handshake only: bodies, streams and server-sent events pass untouched.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Union

from ._base import BaseGate
from ._headers import Style
from ._web import STATE, Holder, Limits, MaybeAwaitable, Refusal, Rule, State, resolved

__all__ = ["RateLimitMiddleware", "decision_of"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Headers:
    """Request headers by name, in any case."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]):
        self._raw = list(raw)

    def get(self, name: str, default: str | None = None) -> str | None:
        wanted = name.lower().encode("latin-1")
        for key, value in self._raw:
            if key.lower() == wanted:
                return value.decode("latin-1")
        return default

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None


class Request:
    """What key, cost, limit and exempt are given where Starlette is not installed: scope, method,
    path, headers."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        self.headers = Headers(scope["headers"])
        self.client: Any = scope.get("client")


def make_request(scope: Scope) -> Any:
    """Starlette's Request (HTTPConnection for a WebSocket) where it is installed, else ours."""
    http, websocket = request_classes()
    return (http if scope["type"] == "http" else websocket)(scope)


@functools.cache
def request_classes() -> tuple[type, type]:
    try:
        from starlette.requests import HTTPConnection
        from starlette.requests import Request as StarletteRequest
    except ImportError:
        return Request, Request
    return StarletteRequest, HTTPConnection


def is_preflight(scope: Scope) -> bool:
    if scope.get("method") != "OPTIONS":
        return False
    names = {name for name, _ in scope["headers"]}
    return b"origin" in names and b"access-control-request-method" in names


class RateLimitMiddleware:
    """Limits every HTTP request and WebSocket handshake that passes.

    limit: a rate ("100/minute burst 20"), a limiter, a list of them (one atomic check), or a
        callable that returns one of these for a request; None: no limit.
    key: a callable that returns the caller's identity (an API key, a user). Without one, or where
        it returns nothing, the caller's address counts.
    trusted_proxies: how much of X-Forwarded-For to believe: a count, or a list of networks.
    cost: an integer, or a callable.
    exempt: paths, or a callable.
    store: a gate or a URL; without one all middleware of a process share one gate.
    headers: any of "standard", "legacy" and "legacy-delta".
    message: a text or an object that replaces the problem+json body of a refusal.
    name, algorithm, mode, on_failure: as in Gate.limiter.

    Callables take the request and may be async. A mistake raises ConfigError when the application
    starts.
    """

    def __init__(
        self,
        app: App,
        limit: Limits | Callable[[Any], MaybeAwaitable] = None,
        *,
        name: str | None = None,
        algorithm: str = "token_bucket",
        mode: str = "enforce",
        on_failure: str | None = None,
        key: Callable[[Any], MaybeAwaitable] | None = None,
        cost: int | Callable[[Any], MaybeAwaitable] = 1,
        exempt: Sequence[str] | Callable[[Any], MaybeAwaitable] = (),
        trusted_proxies: int | Sequence[str] = 0,
        ipv6_prefix: int = 64,
        store: BaseGate | str | None = None,
        headers: Union[Iterable[Style], Style] = ("standard", "legacy"),
        message: object = None,
    ):
        self.app = app
        self.rule = Rule(
            limit,
            name=name,
            algorithm=algorithm,
            mode=mode,
            on_failure=on_failure,
            key=key,
            cost=cost,
            headers=headers,
            message=message,
            trusted_proxies=trusted_proxies,
            ipv6_prefix=ipv6_prefix,
        )
        self.holder = Holder(store)
        self.holder.gate()  # a bad URL fails now
        self.exempt = exempt if callable(exempt) else None
        self.exempt_paths = frozenset(
            () if callable(exempt) else (exempt,) if isinstance(exempt, str) else exempt
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            return await self._lifespan(scope, receive, send)
        if kind not in ("http", "websocket") or is_preflight(scope):
            return await self.app(scope, receive, send)
        request = make_request(scope)
        if scope["path"] in self.exempt_paths or (
            self.exempt is not None and await resolved(self.exempt(request))
        ):
            return await self.app(scope, receive, send)
        outermost = STATE not in scope
        state = State.of(scope)
        refusal = await self._check(state, request, scope)
        if refusal is not None:
            return await refuse(refusal, scope, receive, send)
        if not outermost:  # the one around us writes the headers
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                if not (message.get("status") in (429, 503) and has_retry_after(message)):
                    message["headers"] = [*message.get("headers", ()), *state.header_fields()]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    async def _check(self, state: State, request: Any, scope: Scope) -> Refusal | None:
        gate = self.holder.gate()
        if state.gate is None:
            state.gate = gate
        checks = await self.rule.checks(gate, request, scope, None)
        checks += await self._route_checks(state, gate, request, scope)
        return await state.ask(gate, checks)

    async def _route_checks(
        self, state: State, gate: BaseGate, request: Any, scope: Scope
    ) -> list[Any]:
        """Limits of the route that the request is on its way to, where the framework can tell."""
        return []

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_release(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                self.holder.release()
            await send(message)

        await self.app(scope, receive, send_and_release)


def has_retry_after(message: Message) -> bool:
    """A refusal from further in speaks for itself."""
    return any(
        bytes(name).lower() == b"ratelimit-policy" or bytes(name).lower() == b"retry-after"
        for name, _ in message.get("headers", ())
    )


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends a refusal: 429 (503 where the failure policy closed), to a WebSocket before it is
    accepted."""
    if scope["type"] == "http":
        await send(
            {"type": "http.response.start", "status": refusal.status, "headers": refusal.headers}
        )
        body = b"" if scope.get("method") == "HEAD" else refusal.body
        await send({"type": "http.response.body", "body": body})
        return
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        await send(
            {
                "type": "websocket.http.response.start",
                "status": refusal.status,
                "headers": refusal.headers,
            }
        )
        await send({"type": "websocket.http.response.body", "body": refusal.body})
    else:  # this server can only close, which callers see as 403
        await send({"type": "websocket.close", "code": 1008, "reason": "rate limit"})


def decision_of(scope: Scope) -> Any:
    """The last decision on a request (its ASGI scope), or None."""
    state = scope.get(STATE)
    return state.decisions[-1][0] if isinstance(state, State) and state.decisions else None
