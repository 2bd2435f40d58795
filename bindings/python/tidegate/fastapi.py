# SPDX-License-Identifier: MIT
"""Rate limits for FastAPI: a middleware for the whole application, a dependency for single routes.

    from tidegate.fastapi import RateLimit, RateLimitMiddleware

    app.add_middleware(RateLimitMiddleware, limit="100/minute", exempt=["/health"],
                       key=lambda request: request.headers.get("x-api-key"))

    @app.post("/expensive", dependencies=[Depends(RateLimit("5/minute", cost=2))])
    async def expensive(): ...

Where the middleware is around, the limits of a request and of its route are one atomic check: a
request that the route refuses costs nothing anywhere. The same limit met twice on one request is
charged once.
"""

# No `from __future__ import annotations` here: FastAPI reads the signature of RateLimit.__call__.
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional, Union

from fastapi import FastAPI, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from . import _routes
from ._base import Algorithm, BaseGate, Mode, OnFailure
from ._headers import Style
from ._names import UNMATCHED, place_name
from ._state import STATE, Check, Refusal, State
from ._tidegate import Decision
from ._web import Holder, Limits, MaybeAwaitable, Rule
from .asgi import (
    App,
    Receive,
    Scope,
    Send,
    WithFields,
    decision_of,
    denied_response,
    is_preflight,
    said,
)
from .asgi import RateLimitMiddleware as _AsgiMiddleware

__all__ = ["RateLimit", "RateLimitMiddleware", "RateLimited", "decision_of"]


class RateLimited(HTTPException):
    """Raised by the dependency; answered with 429 (503 where the failure policy closed).

    Register a handler of your own for it to answer otherwise: `decision` is on it, and `headers`
    has the fields. RateLimitMiddleware calls that handler too.
    """

    def __init__(self, refusal: Refusal):
        headers = {
            name.decode(): value.decode()
            for name, value in refusal.headers
            if name not in (b"content-type", b"content-length")
        }
        super().__init__(refusal.status, detail="rate limit", headers=headers)
        self.decision = refusal.decision
        self.refusal = refusal


class Answered(RateLimited):
    """With what an on_denied callable answered; no handler is asked any more."""

    def __init__(self, refusal: Refusal, response: App):
        super().__init__(refusal)
        self.response = WithFields(response, refusal.fields)


async def answer(connection: Any, error: Exception) -> Any:
    """What RateLimited becomes."""
    assert isinstance(error, RateLimited)
    refusal = error.refusal
    response: Any
    if isinstance(error, Answered):
        response = error.response
    else:
        head = connection.scope.get("method") == "HEAD"
        response = Response(b"" if head else refusal.body, refusal.status)
        response.raw_headers = list(refusal.headers)
    if connection.scope["type"] == "websocket":
        if "websocket.http.response" in connection.scope.get("extensions", {}):
            await connection.send_denial_response(response)
        else:
            await connection.close(1008, "rate limit")
        return None
    return response


class RateLimit:
    """A dependency that limits the routes it is put on: `Depends(RateLimit("5/minute"))`.

    The arguments are those of RateLimitMiddleware. A limit without a name is named by where it
    stands: method and route template, so /items/{id} is one limit, and before them what the
    application is mounted at; give a name to share one between routes. Without `key`,
    `trusted_proxies`, `ipv6_prefix`, `store` and `on_denied` those of the RateLimitMiddleware
    around count.
    """

    def __init__(
        self,
        limit: Union[Limits, Callable[[Any], MaybeAwaitable]],
        *,
        name: Optional[str] = None,
        algorithm: Algorithm = "token_bucket",
        mode: Mode = "enforce",
        on_failure: Optional[OnFailure] = None,
        key: Optional[Callable[[Any], MaybeAwaitable]] = None,
        cost: Union[int, Callable[[Any], MaybeAwaitable]] = 1,
        exempt: Union[Sequence[str], Callable[[Any], MaybeAwaitable]] = (),
        trusted_proxies: Union[int, Sequence[str], None] = None,
        ipv6_prefix: Optional[int] = None,
        store: Union[BaseGate, str, None] = None,
        headers: Union[Iterable[Style], Style] = ("standard", "legacy"),
        message: object = None,
        on_denied: Optional[Callable[[Any, Decision], MaybeAwaitable]] = None,
    ):
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
        self.own_store = store is not None
        self.holder = Holder(store)
        if self.own_store:
            self.holder.gate()

    async def __call__(self, connection: HTTPConnection, response: Response) -> None:
        scope = connection.scope
        state = State.of(scope)
        if id(self) in state.asked or is_preflight(scope):
            return
        alone = state.gate is None
        around = rule_around(scope)
        route = _routes.find_of(scope, self)
        limits = route.limits if route is not None and self in route.limits else (self,)
        checks = await route_checks(state, limits, connection, scope, route, around)
        refusal = await state.ask(checks[0].limiter.gate, checks) if checks else None
        if refusal is not None:
            on_denied = refusal.rule.on_denied or (around.on_denied if around else None)
            own = await denied_response(on_denied, connection, refusal)
            handlers = scope.setdefault("starlette.exception_handlers", ({}, {}))[0]
            handlers.setdefault(RateLimited, answer)
            handlers[Answered] = answer
            raise RateLimited(refusal) if own is None else Answered(refusal, own)
        if alone:
            for name, value in state.fields():
                response.headers[name.decode()] = value.decode()

    def gate(self, state: State) -> BaseGate:
        if not self.own_store and state.gate is not None:
            return state.gate
        return self.holder.gate()


def names_of(
    limits: Sequence[RateLimit], scope: Scope, route: Optional[_routes.Route]
) -> dict[int, str]:
    """A name for each limit of a route that has none: where it stands, numbered where rates
    differ."""
    method: str = scope.get("method", "WS")
    method = "GET" if method == "HEAD" else method
    kinds: dict[Any, int] = {}
    out = {}
    for limit in limits:
        if limit.rule.name is None:
            kind = (
                id(limit.rule.limit) if callable(limit.rule.limit) else repr(limit.rule.limit),
                *limit.rule.spec.values(),
            )
            number = kinds.setdefault(kind, len(kinds) + 1)
            end = f"_{number}" if number > 1 else ""
            out[id(limit)] = (
                UNMATCHED + end
                if route is None
                else place_name(route.mount, method, route.template + end)
            )
    return out


def rule_around(scope: Scope) -> Optional[Rule]:
    """Of the RateLimitMiddleware around, if there is one."""
    rule = scope.get(STATE + ".rule")
    return rule if isinstance(rule, Rule) else None


async def route_checks(
    state: State,
    limits: Sequence[RateLimit],
    request: Any,
    scope: Scope,
    route: Optional[_routes.Route],
    around: Optional[Rule],
) -> list[Check]:
    """What the limits of a route ask of a request, those that have not been asked yet."""
    names = names_of(limits, scope, route)
    overridden = getattr(route.app, "dependency_overrides", {}) if route is not None else {}
    checks: list[Check] = []
    for limit in limits:
        if id(limit) in state.asked or limit in overridden:
            continue
        state.asked.add(id(limit))
        if not await limit.rule.exempts(request, scope):
            gate, name = limit.gate(state), names.get(id(limit))
            checks += await limit.rule.checks(gate, request, scope, name, around)
    return checks


class RateLimitMiddleware(_AsgiMiddleware):
    __doc__ = _AsgiMiddleware.__doc__

    async def _route_checks(
        self, state: State, gate: BaseGate, request: Any, scope: Scope
    ) -> list[Any]:
        scope.setdefault(STATE + ".rule", self.rule)
        route = _routes.find(scope, RateLimit)
        if route is None or not route.limits:
            return []
        return await route_checks(state, route.limits, request, scope, route, self.rule)

    async def _response(
        self, refusal: Refusal, request: Any, scope: Scope, receive: Receive, send: Send
    ) -> Optional[App]:
        """on_denied, or the application's handler for RateLimited. We stand outside of what calls
        handlers, so we call it."""
        response = await super()._response(refusal, request, scope, receive, send)
        route = _routes.find(scope, RateLimit) if response is None else None
        for app in (getattr(route, "app", None), scope.get("app")):
            handler = getattr(app, "exception_handlers", {}).get(RateLimited)
            if response is None and handler is not None:
                return await handled(handler, refusal, scope, receive, send)
        return response


async def handled(
    handler: Callable[..., Any], refusal: Refusal, scope: Scope, receive: Receive, send: Send
) -> App:
    """What a handler for RateLimited answers; to a WebSocket it speaks itself."""
    websocket = scope["type"] == "websocket"
    connection = (WebSocket if websocket else Request)(scope, receive, send)
    error = RateLimited(refusal)
    if inspect.iscoroutinefunction(handler):
        response = await handler(connection, error)
    else:
        response = await run_in_threadpool(handler, connection, error)
    return said if websocket else response


REFUSAL = {
    "description": "Too many requests: the rate limit is reached. Retry-After says when to come.",
    "headers": {
        "Retry-After": {
            "description": "Seconds to wait; absent when the request can never pass",
            "schema": {"type": "integer"},
        }
    },
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "violated-policies": {"type": "array", "items": {"type": "string"}},
                    "retry_after": {"type": "integer"},
                },
            }
        }
    },
}


def document_refusals(app: FastAPI, schema: dict[str, Any]) -> dict[str, Any]:
    """Adds the 429 response to each operation of an OpenAPI schema whose route has a RateLimit.

    FastAPI.openapi() does it by itself; call it where `app.openapi` was replaced by a function of
    your own.
    """
    for route in _routes.routes_of(app, RateLimit):
        if not route.limits or route.kind != "http":
            continue
        path = schema.get("paths", {}).get(route.template.replace(":path}", "}"), {})
        for method in route.methods or ():
            operation = path.get(method.lower())
            if operation is not None:
                operation.setdefault("responses", {}).setdefault("429", REFUSAL)
    return schema


def _document_by_default() -> None:
    # Again where this module was imported anew: the other one looks for other dependencies.
    generate = getattr(FastAPI.openapi, "_tidegate", FastAPI.openapi)

    @functools.wraps(generate)
    def openapi(self: FastAPI) -> dict[str, Any]:
        return document_refusals(self, generate(self))

    openapi._tidegate = generate  # type: ignore[attr-defined]
    FastAPI.openapi = openapi  # type: ignore[method-assign]


_document_by_default()
