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
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional, Union

from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from . import _routes
from ._base import BaseGate
from ._headers import Style
from ._web import STATE, Check, Holder, Limits, MaybeAwaitable, Refusal, Rule, State, short_name
from .asgi import RateLimitMiddleware as _AsgiMiddleware
from .asgi import Scope, decision_of, is_preflight

__all__ = ["RateLimit", "RateLimitMiddleware", "RateLimited", "decision_of"]


class RateLimited(HTTPException):
    """Raised by the dependency; answered with 429 (503 where the failure policy closed).

    Register a handler of your own for it to answer otherwise: `decision` is on it.
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


async def answer(connection: Any, error: Exception) -> Optional[Response]:
    """What RateLimited becomes."""
    assert isinstance(error, RateLimited)
    refusal = error.refusal
    response = Response(refusal.body, refusal.status)
    response.raw_headers = list(refusal.headers)
    if connection.scope["type"] == "websocket":
        if "websocket.http.response" in connection.scope.get("extensions", {}):
            await connection.send_denial_response(response)
        else:
            await connection.close(1008, "rate limit")
        return None
    if connection.scope["method"] == "HEAD":
        response.body = b""
    return response


class RateLimit:
    """A dependency that limits the routes it is put on: `Depends(RateLimit("5/minute"))`.

    The arguments are those of RateLimitMiddleware, without `exempt`. A limit without a name is
    named by method and route template, so /items/{id} is one limit; give a name to share one
    between routes. Without `key`, `trusted_proxies`, `ipv6_prefix` and `store` those of the
    RateLimitMiddleware around count.
    """

    def __init__(
        self,
        limit: Union[Limits, Callable[[Any], MaybeAwaitable]],
        *,
        name: Optional[str] = None,
        algorithm: str = "token_bucket",
        mode: str = "enforce",
        on_failure: Optional[str] = None,
        key: Optional[Callable[[Any], MaybeAwaitable]] = None,
        cost: Union[int, Callable[[Any], MaybeAwaitable]] = 1,
        trusted_proxies: Union[int, Sequence[str], None] = None,
        ipv6_prefix: Optional[int] = None,
        store: Union[BaseGate, str, None] = None,
        headers: Union[Iterable[Style], Style] = ("standard", "legacy"),
        message: object = None,
    ):
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
            trusted_proxies=0 if trusted_proxies is None else trusted_proxies,
            ipv6_prefix=64 if ipv6_prefix is None else ipv6_prefix,
        )
        self.own_address = trusted_proxies is not None or ipv6_prefix is not None
        self.own_store = store is not None
        self.holder = Holder(store)
        if self.own_store:
            self.holder.gate()

    async def __call__(self, connection: HTTPConnection, response: Response) -> None:
        scope = connection.scope
        state = State.of(scope)
        if id(self) in state.passed or is_preflight(scope):
            return
        alone = state.gate is None
        app = scope.get("app")
        route = _routes.find(app, scope, RateLimit) if app is not None else None
        limits = route.limits if route is not None and self in route.limits else (self,)
        refusal = await ask_route(state, limits, connection, scope, route)
        if refusal is not None:
            scope.setdefault("starlette.exception_handlers", ({}, {}))
            scope["starlette.exception_handlers"][0].setdefault(RateLimited, answer)
            raise RateLimited(refusal)
        if alone:
            for name, value in state.header_fields():
                response.headers[name.decode()] = value.decode()

    def gate(self, state: State) -> BaseGate:
        if not self.own_store and state.gate is not None:
            return state.gate
        return self.holder.gate()

    async def checks(
        self,
        state: State,
        request: Any,
        scope: Any,
        name: Optional[str],
        around: Optional[Rule] = None,
    ) -> list[Check]:
        """What this dependency asks of a request."""
        rule = self.rule
        found = await rule.checks(self.gate(state), request, scope, name)
        if around is not None and rule.key is None and found:
            key = await caller_of(around, request, scope) if not self.own_address else found[0].key
            for check in found:
                check.key = key
        return found


async def caller_of(rule: Rule, request: Any, scope: Any) -> str:
    from ._web import resolved

    identity = await resolved(rule.key(request)) if rule.key is not None else None
    return rule.key_of(identity, scope)


def names_of(limits: Sequence[RateLimit], scope: Scope, template: str) -> dict[int, str]:
    """A name for each limit of a route that has none: the method and the template, numbered where
    rates differ."""
    method = {"HEAD": "GET"}.get(scope.get("method", ""), scope.get("method", "WS"))
    kinds: dict[Any, int] = {}
    out = {}
    for limit in limits:
        if limit.rule.name is None:
            kind = (
                id(limit.rule.limit) if callable(limit.rule.limit) else repr(limit.rule.limit),
                *limit.rule.spec.values(),
            )
            number = kinds.setdefault(kind, len(kinds) + 1)
            out[id(limit)] = short_name(
                f"{method}{template}" + (f"_{number}" if number > 1 else "")
            )
    return out


async def ask_route(
    state: State, limits: Sequence[RateLimit], request: Any, scope: Scope, route: Any
) -> Optional[Refusal]:
    checks = await route_checks(state, limits, request, scope, route, state_rule(scope))
    if not checks:
        return None
    return await state.ask(checks[0].limiter.gate, checks)


def state_rule(scope: Scope) -> Optional[Rule]:
    rule = scope.get(STATE + ".rule")
    return rule if isinstance(rule, Rule) else None


async def route_checks(
    state: State,
    limits: Sequence[RateLimit],
    request: Any,
    scope: Scope,
    route: Any,
    around: Optional[Rule],
) -> list[Check]:
    template = route.template if route is not None else scope["path"]
    names = names_of(limits, scope, template)
    overridden = getattr(getattr(route, "app", None), "dependency_overrides", {})
    checks: list[Check] = []
    for limit in limits:
        if id(limit) not in state.passed and limit not in overridden:
            state.passed.add(id(limit))
            checks += await limit.checks(state, request, scope, names.get(id(limit)), around)
    return checks


class RateLimitMiddleware(_AsgiMiddleware):
    __doc__ = _AsgiMiddleware.__doc__

    async def _route_checks(
        self, state: State, gate: BaseGate, request: Any, scope: Scope
    ) -> list[Any]:
        scope.setdefault(STATE + ".rule", self.rule)
        app = scope.get("app")
        if not isinstance(app, FastAPI):
            return []
        route = _routes.find(app, scope, RateLimit)
        if route is None or not route.limits:
            return []
        return await route_checks(state, route.limits, request, scope, route, self.rule)


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
    for route in _routes.table_of(app, RateLimit):
        if not route.limits or route.kind != "http":
            continue
        path = schema.get("paths", {}).get(route.template.replace(":path}", "}"), {})
        for method in route.methods or ():
            operation = path.get(method.lower())
            if operation is not None:
                operation.setdefault("responses", {}).setdefault("429", REFUSAL)
    return schema


def _document_by_default() -> None:
    generate = FastAPI.openapi
    if getattr(generate, "_tidegate", False):
        return

    @functools.wraps(generate)
    def openapi(self: FastAPI) -> dict[str, Any]:
        return document_refusals(self, generate(self))

    openapi._tidegate = True  # type: ignore[attr-defined]
    FastAPI.openapi = openapi  # type: ignore[method-assign]


_document_by_default()
