# SPDX-License-Identifier: MIT
"""Which route a request is on its way to, and which of our dependencies that route has."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi import routing


class Route(NamedTuple):
    pattern: re.Pattern[str]
    kind: str  # http, websocket
    methods: frozenset[str] | None
    template: str  # of the whole path, mounts included
    limits: tuple[Any, ...]  # our dependencies, in the order FastAPI calls them
    app: Any  # whose dependency_overrides count
    mounted: list[Route] | None  # of a mount


_tables: weakref.WeakKeyDictionary[Any, tuple[Any, list[Route]]] = weakref.WeakKeyDictionary()


def limits_of(dependant: Any, kind: type) -> tuple[Any, ...]:
    """Our dependencies below a route, each once."""
    found: dict[int, Any] = {}

    def walk(one: Any) -> None:
        for child in one.dependencies:
            walk(child)
            if isinstance(child.call, kind):
                found.setdefault(id(child.call), child.call)

    if dependant is not None:
        walk(dependant)
    return tuple(found.values())


def contexts(routes: Any) -> Iterator[Any]:
    """Routes one by one, those of included routers with their prefix and dependencies."""
    flatten = getattr(routing, "iter_route_contexts", None)
    if flatten is None:  # FastAPI before 0.13x copies an included router's routes
        yield from routes
    else:
        for context in flatten(routes):
            yield getattr(context, "_effective_route", context)


def table_of(app: Any, kind: type, prefix: str = "") -> list[Route]:
    out = []
    for route in contexts(app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is None:
            continue
        template = prefix + (getattr(route, "path", "") or "")
        methods = getattr(route, "methods", None)
        inner = getattr(route, "app", None)
        if (
            methods is None
            and getattr(inner, "routes", None) is not None
            and not hasattr(route, "endpoint")
        ):
            mounted = table_of(inner, kind, template)
            out.append(Route(pattern, "mount", None, template, (), app, mounted))
            continue
        out.append(
            Route(
                pattern,
                "http" if methods is not None else "websocket",
                None if methods is None else frozenset(methods),
                template,
                limits_of(getattr(route, "dependant", None), kind),
                app,
                None,
            )
        )
    return out


def has_limits(table: list[Route]) -> bool:
    return any(route.limits or has_limits(route.mounted or []) for route in table)


def version_of(app: Any) -> Any:
    version = getattr(app.router, "_get_routes_version", None)
    return version() if version is not None else len(app.routes)


def find(app: Any, scope: Any, kind: type) -> Route | None:
    """The route that the framework will choose, or None: no route of FastAPI's, or none with our
    dependencies."""
    version = version_of(app)
    known = _tables.get(app)
    if known is None or known[0] != version:
        table = table_of(app, kind)
        known = _tables[app] = (version, table if has_limits(table) else [])
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        path = path[len(root) :]
    return match(known[1], path or "/", scope)


def match(table: list[Route], path: str, scope: Any) -> Route | None:
    for route in table:
        found = route.pattern.match(path)
        if not found:
            continue
        if route.mounted is not None:
            return match(route.mounted, "/" + found.groupdict().get("path", ""), scope)
        if route.kind == scope["type"] and (
            route.methods is None or scope["method"] in route.methods
        ):
            return route
    return None
