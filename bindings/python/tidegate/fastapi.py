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
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional, Union

from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from . import _loops, _routes, _tidegate
from ._answers import App, Receive, Scope, Send, WithFields, own_response, said
from ._base import BaseGate
from ._errors import ConfigError
from ._openapi import document_by_default, document_refusals
from ._passage import Passage, Refusal, renew
from ._requests import facts_of
from ._rule import Asked, Facts, Part, Rule, anybody
from ._web import Holder
from .asgi import PASSAGE, decision_of
from .asgi import RateLimitMiddleware as _AsgiMiddleware

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._rule import Limits, Options

__all__ = ["RateLimit", "RateLimitMiddleware", "RateLimited", "decision_of", "document_refusals"]


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


class Answered(HTTPException):
    """With what on_denied or on_error answered; no handler is asked any more."""

    def __init__(self, response: App):
        super().__init__(500, detail="rate limit")
        self.response = response


async def answer(connection: Any, error: Exception) -> Any:
    """What RateLimited and Answered become."""
    response: Any
    if isinstance(error, Answered):
        response = error.response
    else:
        assert isinstance(error, RateLimited)
        head = connection.scope.get("method") == "HEAD"
        response = Response(b"" if head else error.refusal.body, error.refusal.status)
        response.raw_headers = list(error.refusal.headers)
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
    `trusted_proxies`, `ipv6_prefix`, `store`, `on_denied` and `on_error` those of the
    RateLimitMiddleware around count, and so does its policy.
    """

    def __init__(
        self,
        limit: Union["Limits", Asked],
        *,
        store: Union[BaseGate, str, None] = None,
        **options: "Unpack[Options]",
    ):
        if options.get("policy") is not None:
            raise ConfigError("policy: expected it at RateLimitMiddleware, not at a route's limit")
        self.rule = Rule(limit, **options)
        self.own_store = store is not None
        self.holder = Holder(store)
        if self.own_store:
            self.holder.gate()

    async def __call__(self, connection: HTTPConnection, response: Response) -> None:
        scope = connection.scope
        passage: Passage = scope.setdefault(PASSAGE, Passage())
        if id(self) in passage.asked:
            return
        handlers = scope.setdefault("starlette.exception_handlers", ({}, {}))[0]
        handlers.setdefault(RateLimited, answer)
        handlers[Answered] = answer
        try:
            refusal = await self._ask(passage, connection, scope)
        except Exception as error:
            on_error = self.rule.on_error or (passage.rule.on_error if passage.rule else None)
            own = await own_response(on_error, connection, error, "on_error")
            if own is None:
                raise
            raise Answered(own) from error
        if refusal is not None:
            if passage.gate is None and passage.unfinished:
                passage.finish(refusal.status, [])
            around = passage.rule.on_denied if passage.rule is not None else None
            hook = refusal.rule.on_denied or around
            own = await own_response(hook, connection, refusal.decision, "on_denied")
            raise RateLimited(refusal) if own is None else Answered(WithFields(own, refusal.fields))
        if passage.gate is None:
            self._alone(passage, connection, response)

    async def _ask(self, passage: Passage, connection: Any, scope: Scope) -> Optional[Refusal]:
        route = _routes.find_of(scope, self)
        limits = route.limits if route is not None and self in route.limits else (self,)
        facts = facts_of(scope, connection)
        caller = passage.rule or anybody()
        parts = await route_parts(passage, limits, caller, facts, scope, route, self)
        if not parts:
            return None
        facts = with_route(facts, route)
        return await passage.ask(parts[0].gate, self.rule, facts, parts, caller=caller)

    def _alone(self, passage: Passage, connection: Any, response: Response) -> None:
        """There is no middleware around: the fields go onto the injected response, and slots are
        held until FastAPI is done with the request."""
        for name, value in passage.fields():
            response.headers[name.decode()] = value.decode()
        stacks = ("fastapi_inner_astack", "fastapi_astack")
        stack = next((connection.scope[one] for one in stacks if one in connection.scope), None)
        if stack is None or not passage.unfinished:
            return
        stop = _loops.start(lambda: renew(passage)) if passage.renew_after else None

        async def finish() -> None:
            if stop is not None:
                stop()
            passage.finish(response.status_code or 200, await self.rule.settled(connection))

        stack.push_async_callback(finish)

    def gate(self, passage: Passage) -> BaseGate:
        if not self.own_store and passage.gate is not None:
            return passage.gate
        return self.holder.gate()


@functools.lru_cache(maxsize=4096)
def place_of(mount: str, method: str, template: Optional[str]) -> str:
    return _tidegate.place_name(mount, method, template)


def with_route(facts: Facts, route: Optional[_routes.Route]) -> Facts:
    if route is not None:
        facts.pairs.append(("route", route.mount + route.template))
    return facts


async def route_parts(
    passage: Passage,
    limits: Any,
    caller: Rule,
    facts: Facts,
    scope: Scope,
    route: Optional[_routes.Route],
    asking: Optional[RateLimit] = None,
) -> list[Part]:
    """What the limits of a route ask of a request, those that have not been asked yet. `caller`
    says who calls; a limit that trusts other proxies asks for itself."""
    place = place_of("", "", None)
    if route is not None:
        place = place_of(route.mount, scope.get("method", "WS"), route.template)
    kinds = {mark_of(limit.rule) for limit in limits if limit.rule.name is None}
    overridden = getattr(route.app, "dependency_overrides", {}) if route is not None else {}
    parts: list[Part] = []
    for limit in limits:
        rule = limit.rule
        if id(limit) in passage.asked or limit in overridden:
            continue
        if rule.own_address and limit is not asking:
            continue
        passage.asked.add(id(limit))
        if not await rule.exempts(facts):
            gate = limit.gate(passage)
            parts += await rule.parts(gate, facts.request, caller, place, len(kinds) > 1)
    return parts


def mark_of(rule: Rule) -> tuple[Any, ...]:
    """The same for limits that need not be told apart by their numbers."""
    limit = id(rule.limit) if callable(rule.limit) else repr(rule.limit)
    return limit, *(value for _, value in rule.spec)


class RateLimitMiddleware(_AsgiMiddleware):
    __doc__ = _AsgiMiddleware.__doc__

    async def _route(
        self, passage: Passage, gate: BaseGate, facts: Facts, scope: Scope
    ) -> tuple[Facts, list[Part]]:
        route = _routes.find(scope, RateLimit, always=self.rule.leads_anything(gate))
        if route is None or not route.limits:
            return with_route(facts, route), []
        parts = await route_parts(passage, route.limits, self.rule, facts, scope, route)
        return with_route(facts, route), parts

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


document_by_default(RateLimit)
