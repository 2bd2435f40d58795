# SPDX-License-Identifier: MIT
"""Rate limits for any ASGI application: Starlette, Litestar, Quart, or one of your own.

    app = RateLimitMiddleware(app, limit="100/minute", exempt=["/health"])

It looks at the handshake only: bodies, streams and server-sent events pass untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _loops, _tidegate
from ._answers import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    answer_refused,
    own_response,
)
from ._base import BaseGate
from ._fields import with_fields
from ._passage import Passage, Refusal, renew
from ._requests import facts_of, make_request, mount_of
from ._rule import Asked, Facts, Part, Rule
from ._web import Holder

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._rule import Limits, Options

__all__ = ["RateLimitMiddleware", "decision_of"]
PASSAGE = "tidegate"  # its place in the ASGI scope
STARTS = ("http.response.start", "websocket.accept")


class RateLimitMiddleware:
    """Limits every HTTP request and WebSocket handshake that passes.

    limit: a rate ("100/minute burst 20"), a limiter, a list of them (one atomic check), or a
        callable that returns one of these for a request; None: only what the policy says.
    policy: what applies besides: a path, a text or a mapping; default: the gate's.
    key: a callable that returns the caller's identity (an API key, a user): a str, bytes or an int.
        Without one, or where it returns nothing (None, False, 0, ""), the caller's address counts.
        A list beside a list of limits: each limit its own, None: the address.
    identity, tier, attributes: callables: who the policy sees (default: key's answer), his tier,
        and a mapping of more attributes.
    settle: a callable that is asked when the response is done: a mapping of what was used.
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
    on_error: a callable that takes the request and what went wrong (a tier that is not there, a
        callable that failed), and returns a response; without one, or None, the error is raised.
    name, algorithm, mode, on_failure, lease: as in Gate.limiter.

    Callables take the request and may be async. A mistake raises ConfigError when the application
    starts. What a check further in refuses costs nothing here either: it is given back.
    """

    def __init__(
        self,
        app: App,
        limit: Limits | Asked = None,
        *,
        store: BaseGate | str | None = None,
        **options: Unpack[Options],
    ):
        self.app = app
        self.rule = Rule(limit, **options)
        self.holder = Holder(store)
        self.holder.gate()  # a bad URL fails now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(scope, receive, send)
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        request = make_request(scope)
        outermost = PASSAGE not in scope
        try:
            passage = await self._ask(request, scope)
        except Exception as error:
            response = await own_response(self.rule.on_error, request, error, "on_error")
            if response is None:
                raise
            return await answer(response, scope, receive, send)
        if passage is None:
            await self.app(scope, receive, send)
        elif outermost:
            await self._outermost(passage, request, scope, receive, send)
        else:
            await self._inner(passage.refusal, request, scope, receive, send)

    async def _inner(
        self, refusal: Refusal | None, request: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if refusal is None:
            return await self.app(scope, receive, send)
        response = await self._response(refusal, request, scope, receive, send)
        await answer_refused(refusal, response, scope, receive, send)

    async def _outermost(
        self, passage: Passage, request: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """It says what all checks of the request said, and settles them behind the answer."""
        status = 500

        async def send_with_fields(message: Message) -> None:
            nonlocal status
            if message["type"] in STARTS:
                status = message.get("status", 101)
                message["headers"] = with_fields(message.get("headers", ()), passage.fields())
            elif message["type"] in ("websocket.http.response.start", "websocket.close"):
                status = message.get("status", status if status == 101 else 403)
            await send(message)

        stop = _loops.start(lambda: renew(passage)) if passage.renew_after else None
        try:
            await self._inner(passage.refusal, request, scope, receive, send_with_fields)
        finally:
            if stop is not None:
                stop()
            if passage.unfinished:
                passage.finish(status, await self.rule.settled(request))

    async def _ask(self, request: Any, scope: Scope) -> Passage | None:
        """None: the request is exempt."""
        facts = facts_of(scope, request)
        if await self.rule.exempts(facts):
            return None
        passage: Passage = scope.setdefault(PASSAGE, Passage())
        gate = self.holder.gate()
        parts = await self.rule.parts(gate, request, self.rule, place_of(scope))
        if passage.gate is None:
            passage.gate, passage.rule = gate, self.rule
        facts, more = await self._route(passage, gate, facts, scope)
        await passage.ask(gate, self.rule, facts, parts + more)
        return passage

    async def _route(
        self, passage: Passage, gate: BaseGate, facts: Facts, scope: Scope
    ) -> tuple[Facts, list[Part]]:
        """The route that the request is on its way to and its limits, where the framework can
        tell."""
        return facts, []

    async def _response(
        self, refusal: Refusal, request: Any, scope: Scope, receive: Receive, send: Send
    ) -> App | None:
        """The application's own answer to a refusal, if it has one."""
        hook = refusal.rule.on_denied or self.rule.on_denied
        response: App | None = await own_response(hook, request, refusal.decision, "on_denied")
        return response

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_release(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                self.holder.release()
            await send(message)

        await self.app(scope, receive, send_and_release)


def place_of(scope: Scope) -> str | None:
    """What a limit without a name is called where it stands: below a mount. Elsewhere by its
    numbers."""
    mount = mount_of(scope)
    if mount is None:
        return _tidegate.place_name("", "", None)
    return _tidegate.place_name(mount, "", "") if mount else None


def decision_of(scope: Scope) -> Any:
    """The last decision on a request (its ASGI scope), or None."""
    passage = scope.get(PASSAGE)
    return passage.decision() if isinstance(passage, Passage) else None
