# SPDX-License-Identifier: MIT
"""ASGI requests: what callables are given, and what a policy sees of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, MutableMapping
from typing import Any

from ._rule import Facts

Scope = MutableMapping[str, Any]
TOLD = {  # request headers that decide something, by what the core calls them
    b"host": "host",
    b"origin": "@origin",
    b"access-control-request-method": "@requested_method",
}


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


def below(root: str, path: str) -> str | None:
    """The path without what stands before it, or None."""
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :] or "/"
    return None


def path_of(scope: Scope) -> str:
    """Below what stands before the outermost application."""
    path: str = scope["path"]
    return below(scope.get("app_root_path", scope.get("root_path", "")), path) or path


def mount_of(scope: Scope) -> str | None:
    """What the application is mounted at. None: callers have a say in it, so it is no name."""
    if "app_root_path" not in scope:
        return ""
    return None if scope.get("path_params") else scope["root_path"][len(scope["app_root_path"]) :]


def facts_of(scope: Scope, request: Any) -> Facts:
    """Routers of ASGI go by the decoded path, so policies do: what is left of "%" is itself."""
    path = path_of(scope)
    method: str = scope.get("method", "GET")
    client = scope.get("client")
    pairs: list[tuple[str, Any]] = [
        ("method", method),
        ("path", path.replace("%", "%25")),
        ("@peer", client[0] if client else ""),
    ]
    forwarded = []
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            forwarded.append(value)
        elif name in TOLD:
            pairs.append((TOLD[name], value))
    if forwarded:
        pairs.append(("@forwarded_for", b",".join(forwarded)))
    spellings = {scope["path"], path, below(scope.get("root_path", ""), scope["path"])}
    return Facts(request, method, pairs, [one for one in spellings if one], bool(forwarded))
