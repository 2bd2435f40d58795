# SPDX-License-Identifier: MIT
"""What becomes of a refusal in ASGI: ours, or the application's own answer to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ._fields import Field, with_fields
from ._passage import Refusal
from ._rule import MaybeAwaitable, resolved

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def own_response(
    hook: Callable[[Any, Any], MaybeAwaitable] | None, request: Any, about: Any, name: str
) -> Any:
    """What on_denied or on_error answers."""
    if hook is None:
        return None
    response = await resolved(hook(request, about))
    if response is not None and not callable(response):
        raise TypeError(
            f"{name} returned {type(response).__name__}: expected a response such as "
            "Starlette's, or None"
        )
    return response


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
    refusal: Refusal, response: App | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """Sends a refusal, or an application's own answer to it; to a WebSocket before it is
    accepted."""
    silent = scope["type"] == "websocket" and not says_why(scope)
    if response is None or (silent and response is not said):
        return await refuse(refusal, scope, receive, send)
    await answer(WithFields(response, refusal.fields), scope, receive, send)


def says_why(scope: Scope) -> bool:
    """Whether a WebSocket's server sends more than a close."""
    return "websocket.http.response" in scope.get("extensions", {})


async def answer(response: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends a response; to a WebSocket before it is accepted."""
    inside = response.response if isinstance(response, WithFields) else response
    if scope["type"] == "websocket" and inside is not said:
        await receive()
        if not says_why(scope):
            return await send({"type": "websocket.close", "code": 1011, "reason": "an error"})
    await response(scope, receive, send)


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send(
            {"type": "http.response.start", "status": refusal.status, "headers": refusal.headers}
        )
        body = b"" if scope.get("method") == "HEAD" else refusal.body
        await send({"type": "http.response.body", "body": body})
        return
    await receive()
    if says_why(scope):
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
