# SPDX-License-Identifier: MIT
"""What FastAPI's OpenAPI schema says of refusals."""

from __future__ import annotations

import functools
from typing import Any

from fastapi import FastAPI

from . import _routes

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


def document_refusals(
    app: FastAPI, schema: dict[str, Any], kind: type | None = None
) -> dict[str, Any]:
    """Adds the 429 response to each operation of an OpenAPI schema whose route has a RateLimit.

    FastAPI.openapi() does it by itself; call it where `app.openapi` was replaced by a function of
    your own.
    """
    if kind is None:
        from .fastapi import RateLimit

        kind = RateLimit
    for route in _routes.routes_of(app, kind):
        if not route.limits or route.kind != "http":
            continue
        path = schema.get("paths", {}).get(route.template.replace(":path}", "}"), {})
        for method in route.methods or ():
            operation = path.get(method.lower())
            if operation is not None:
                operation.setdefault("responses", {}).setdefault("429", REFUSAL)
    return schema


def document_by_default(kind: type) -> None:
    # Again where this module was imported anew: the other one looks for other dependencies.
    generate = getattr(FastAPI.openapi, "_tidegate", FastAPI.openapi)

    @functools.wraps(generate)
    def openapi(self: FastAPI) -> dict[str, Any]:
        return document_refusals(self, generate(self), kind)

    openapi._tidegate = generate  # type: ignore[attr-defined]
    FastAPI.openapi = openapi  # type: ignore[method-assign]
