# SPDX-License-Identifier: MIT
"""One request to an ASGI application, without a server: for what a server does not change."""

from __future__ import annotations

import asyncio
from typing import Any


class Answer:
    def __init__(self, messages: list[dict[str, Any]]):
        start = messages[0]
        self.messages = messages
        self.status: int = start.get("status", start.get("code", 101))
        self.fields = [(name.decode(), value.decode()) for name, value in start.get("headers", ())]
        self.body = b"".join(one.get("body", b"") for one in messages[1:])

    def __getitem__(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None


def scope_of(
    path: str = "/",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    *,
    kind: str = "http",
    client: str | None = "127.0.0.1",
    host: str = "testserver",
    root_path: str = "",
    denial: bool = True,
) -> dict[str, Any]:
    fields = {"host": host, **(headers or {})}
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        "client": (client, 1) if client is not None else None,
        "server": ("127.0.0.1", 80),
    }
    if kind == "http":
        scope["method"] = method
    else:
        scope["subprotocols"] = []
        scope["extensions"] = {"websocket.http.response": {}} if denial else {}
    return scope


async def send(app: Any, *arguments: Any, **options: Any) -> Answer:
    scope = scope_of(*arguments, **options)
    messages: list[dict[str, Any]] = []
    first = {"type": "http.request" if scope["type"] == "http" else "websocket.connect"}
    incoming = [first]

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def keep(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return Answer(messages)


def ask(app: Any, *arguments: Any, **options: Any) -> Answer:
    return asyncio.run(send(app, *arguments, **options))


def statuses(app: Any, *paths: str, **options: Any) -> list[int]:
    return [ask(app, path, **options).status for path in paths]
