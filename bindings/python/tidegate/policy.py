# SPDX-License-Identifier: MIT
"""Policies: what applies to which request, said in one document. No store is asked here.

    faults = tidegate.policy.validate(Path("limits.yaml"))
    answer = tidegate.policy.resolve("limits.yaml", {"method": "GET", "path": "/", "identity": "k"})
    assert [part["limiter"] for part in answer["parts"]] == ["basic"]

A policy is a path, a text (YAML or JSON: it has a line break, or begins with "{"), or a mapping.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from . import _tidegate
from ._documents import Document, PolicyDocument, dumped, pairs_of, text_of

__all__ = ["PolicyDocument", "ignored", "resolve", "validate"]


def validate(policy: PolicyDocument) -> list[dict[str, Any]]:
    """What is wrong with a policy: each fault with "path", "line", "column" and "message". Empty
    where nothing is."""
    return json.loads(_tidegate.validate_policy(text_of(policy)))  # type: ignore[no-any-return]


def resolve(
    policy: PolicyDocument,
    request: Mapping[str, Any],
    live: Document | None = None,
    now_us: int | None = None,
) -> dict[str, Any]:
    """What applies to a request (its attributes) by a policy, and a live document over it.

    The answer has "verdict" ("limits", "exempt", "banned", "error"), "parts" (limiter, rates, mode,
    key, cost) and "rules" (which of the policy's matched). now_us: since the epoch. A faulty policy
    is a ConfigError with code TG_EPOLICY (-18).
    """
    over = "" if live is None else dumped(live)
    at = time.time_ns() // 1000 if now_us is None else now_us
    answer = _tidegate.resolve_policy(text_of(policy), over, pairs_of(request), at)
    return json.loads(answer)  # type: ignore[no-any-return]


def ignored(policy: PolicyDocument, live: Document) -> list[str]:
    """Which limiters and tiers of a live document the policy has not: services share the document,
    so they are left out."""
    return json.loads(_tidegate.ignored_of_policy(text_of(policy), dumped(live)))  # type: ignore[no-any-return]
