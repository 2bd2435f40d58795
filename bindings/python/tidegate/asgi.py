# SPDX-License-Identifier: MIT
"""Rate limits for any ASGI application: Starlette, Litestar, Quart, or one of your own.

    app = RateLimitMiddleware(app, limit="100/minute", exempt=["/health"])

It looks at the handshake only: bodies, streams and server-sent events pass untouched.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Union

from ._base import Algorithm, BaseGate, Mode, OnFailure
from ._headers import Style
from ._state import STATE, Field, Refusal, State, with_fields
from ._tidegate import Decision
from ._web import Holder, Limits, MaybeAwaitable, Rule, resolved

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
    key: a callable that returns the caller's identity (an API key, a user): a str, bytes or an int.
        Without one, or where it returns nothing (None, False, 0, ""), the caller's address counts.
    trusted_proxies: how much of X-Forwarded-For to believe: a count, or a list of networks.
    cost: an integer, or a callable.
    exempt: paths, or a callable. A path counts with and without what it is mounted below, and a
        root path.
    store: a gate or a URL; without one all middleware of a process share one gate.
    headers: any of "standard", "legacy" and "legacy-delta". What the application sends itself
        stands.
    message: a text or an object that replaces the problem+json body of a refusal.
    on_denied: a callable that takes the request and the Decision of a refusal, and returns the
        response (an ASGI application, such as Starlette's) or None for the usual one.
    name, algorithm, mode, on_failure: as in Gate.limiter.

    Callables take the request and may be async. A mistake raises ConfigError when the application
    starts. What a check further in refuses costs nothing here either: it is given back.
    """

    def __init__(
        self,
        app: App,
        limit: Limits | Callable[[Any], MaybeAwaitable] = None,
        *,
        name: str | None = None,
        algorithm: Algorithm = "token_bucket",
        mode: Mode = "enforce",
        on_failure: OnFailure | None = None,
        key: Callable[[Any], MaybeAwaitable] | None = None,
        cost: int | Callable[[Any], MaybeAwaitable] = 1,
        exempt: Sequence[str] | Callable[[Any], MaybeAwaitable] = (),
        trusted_proxies: int | Sequence[str] | None = None,
        ipv6_prefix: int | None = None,
        store: BaseGate | str | None = None,
        headers: Union[Iterable[Style], Style] = ("standard", "legacy"),
        message: object = None,
        on_denied: Callable[[Any, Decision], MaybeAwaitable] | None = None,
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
            exempt=exempt,
            trusted_proxies=trusted_proxies,
            ipv6_prefix=ipv6_prefix,
            headers=headers,
            message=message,
            on_denied=on_denied,
        )
        self.holder = Holder(store)
        self.holder.gate()  # a bad URL fails now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            return await self._lifespan(scope, receive, send)
        if kind not in ("http", "websocket") or is_preflight(scope):
            return await self.app(scope, receive, send)
        request = make_request(scope)
        if await self.rule.exempts(request, scope):
            return await self.app(scope, receive, send)
        outermost = STATE not in scope
        state = State.of(scope)
        refusal = await self._check(state, request, scope)
        if refusal is not None:
            response = await self._response(refusal, request, scope, receive, send)
            if response is None:
                return await refuse(refusal, scope, receive, send)
            return await answer_refused(refusal, response, scope, receive, send)
        if not outermost:  # the one around us writes the headers
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = with_fields(message.get("headers", ()), state.fields())
            await send(message)

        await self.app(scope, receive, send_with_headers)

    async def _check(self, state: State, request: Any, scope: Scope) -> Refusal | None:
        gate = self.holder.gate()
        if state.gate is None:
            state.gate = gate
        checks = await self.rule.checks(gate, request, scope)
        checks += await self._route_checks(state, gate, request, scope)
        return await state.ask(gate, checks)

    async def _route_checks(
        self, state: State, gate: BaseGate, request: Any, scope: Scope
    ) -> list[Any]:
        """Limits of the route that the request is on its way to, where the framework can tell."""
        return []

    async def _response(
        self, refusal: Refusal, request: Any, scope: Scope, receive: Receive, send: Send
    ) -> App | None:
        """The application's own answer to a refusal, if it has one."""
        return await denied_response(
            refusal.rule.on_denied or self.rule.on_denied, request, refusal
        )

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_release(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                self.holder.release()
            await send(message)

        await self.app(scope, receive, send_and_release)


async def denied_response(
    on_denied: Callable[[Any, Decision], MaybeAwaitable] | None, request: Any, refusal: Refusal
) -> App | None:
    """What an on_denied callable answers."""
    if on_denied is None:
        return None
    response: Any = await resolved(on_denied(request, refusal.decision))
    if response is not None and not callable(response):
        raise TypeError(
            f"on_denied returned {type(response).__name__}: expected an ASGI response such as "
            "Starlette's, or None"
        )
    return response  # type: ignore[no-any-return]


class WithFields:
    """A response that has the refusal's header fields too."""

    def __init__(self, response: App, fields: list[Field]):
        self.response, self.fields = response, fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_fields(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message["headers"] = with_fields(message.get("headers", ()), self.fields)
            await send(message)

        await self.response(scope, receive, send_with_fields)


async def said(scope: Scope, receive: Receive, send: Send) -> None:
    """In the place of a response: whoever was asked has sent it already."""


async def answer_refused(
    refusal: Refusal, response: App, scope: Scope, receive: Receive, send: Send
) -> None:
    """Sends an application's own answer to a refusal; to a WebSocket before it is accepted."""
    if scope["type"] == "websocket" and response is not said:
        if "websocket.http.response" not in scope.get("extensions", {}):
            return await refuse(refusal, scope, receive, send)
        await receive()
    await WithFields(response, refusal.fields)(scope, receive, send)


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
    return state.decision() if isinstance(state, State) else None
