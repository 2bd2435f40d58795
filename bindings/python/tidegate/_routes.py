# SPDX-License-Identifier: MIT
"""Which route a request is on its way to, and which of our dependencies that route has."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fastapi import routing

from ._requests import path_of


class Route(NamedTuple):
    pattern: re.Pattern[str] | None
    kind: str  # http, websocket, mount, host
    methods: frozenset[str] | None
    mount: str  # the templates of the mounts around
    template: str  # of the path below them
    limits: tuple[Any, ...]  # our dependencies, in the order FastAPI calls them
    app: Any  # whose dependency_overrides and exception handlers count
    inner: list[Route]  # of a mount or host
    route: Any  # the framework's


class Table(NamedTuple):
    router: weakref.ref[Any]
    version: Any
    routes: list[Route]
    limited: bool  # whether any of them has our dependencies
    missed: weakref.WeakSet[Any]  # dependencies for which it was made anew already


_tables: dict[int, Table] = {}  # by id: a router compares by its routes


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


def inside(app: Any) -> Any:
    """What has the routes of a mounted application: itself, or what other middleware wraps as its
    `app`."""
    for _ in range(32):
        if app is None or getattr(app, "routes", None):
            return app
        app = getattr(app, "app", None)
    return None


def owner_of(app: Any) -> Any:
    """Whose dependency_overrides count for an application's routes."""
    return getattr(getattr(app, "router", app), "dependency_overrides_provider", None)


def routes_of(app: Any, kind: type, mount: str = "") -> list[Route]:
    out = []
    owner = owner_of(app)
    for route in contexts(app.routes):
        pattern = getattr(route, "path_regex", None)
        path = getattr(route, "path", None) or ""
        methods = getattr(route, "methods", None)
        host = getattr(route, "host_regex", None) is not None
        if host or (pattern is not None and methods is None and not hasattr(route, "endpoint")):
            inner = inside(getattr(route, "app", None))
            found = routes_of(inner, kind, mount + path) if inner is not None else []
            what = "host" if host else "mount"
            out.append(Route(pattern, what, None, mount, path, (), owner, found, route))
        elif pattern is not None:
            what = "http" if methods is not None else "websocket"
            limits = limits_of(getattr(route, "dependant", None), kind)
            takes = None if methods is None else frozenset(methods)
            out.append(Route(pattern, what, takes, mount, path, limits, owner, [], route))
    return out


def has_limits(routes: list[Route]) -> bool:
    return any(route.limits or has_limits(route.inner) for route in routes)


def version_of(router: Any) -> Any:
    version = getattr(router, "_get_routes_version", None)
    return version() if version is not None else len(router.routes)


def outermost(scope: Any) -> Any:
    """The router that all routes of the request are below, or None."""
    return scope.get("router") or getattr(scope.get("app"), "router", None)


def make_table(router: Any, kind: type, missed: Iterable[Any] = ()) -> Table:
    def forget(_: object, key: int = id(router)) -> None:
        _tables.pop(key, None)

    routes = routes_of(router, kind)
    table = _tables[id(router)] = Table(
        weakref.ref(router, forget),
        version_of(router),
        routes,
        has_limits(routes),
        weakref.WeakSet(missed),
    )
    return table


def table_of(router: Any, kind: type) -> Table:
    table = _tables.get(id(router))
    if table is None or table.router() is not router or table.version != version_of(router):
        table = make_table(router, kind)
    return table


def find(scope: Any, kind: type, *, always: bool = False) -> Route | None:
    """The route that the framework will choose, or None: it is none of FastAPI's, or (but `always`)
    nowhere are dependencies of ours."""
    router = outermost(scope)
    table = table_of(router, kind) if router is not None else None
    if table is None or not (table.limited or always):
        return None
    return match(table.routes, path_of(scope), scope)


def find_of(scope: Any, limit: Any) -> Route | None:
    """The route in which our dependency `limit` is being called, or None."""
    router = outermost(scope)
    if router is None:
        return None
    table = table_of(router, type(limit))
    route = match(table.routes, path_of(scope), scope)
    if (route is None or limit not in route.limits) and limit not in table.missed:
        # A mounted application has got other routes since we looked, or it is called by hand.
        table = make_table(router, type(limit), [*table.missed, limit])
        route = match(table.routes, path_of(scope), scope)
    return route


def match(routes: list[Route], path: str, scope: Any) -> Route | None:
    for route in routes:
        if route.kind == "host":
            if route.route.matches(scope)[0].value == FULL:
                return match(route.inner, path, scope)
            continue
        found = route.pattern.match(path) if route.pattern is not None else None
        if not found:
            continue
        if route.kind == "mount":
            return match(route.inner, "/" + found.groupdict().get("path", ""), scope)
        if route.kind == scope["type"] and (
            route.methods is None or scope["method"] in route.methods
        ):
            return route
    return None


FULL = 2  # of starlette.routing.Match
