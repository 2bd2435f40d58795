# SPDX-License-Identifier: MIT
"""Decision.as_dict, Part.as_dict and Decision.as_json."""

from __future__ import annotations

import json
import math
from typing import Any

from ._tidegate import Decision, Part

TIMES = ("retry_after", "next_after", "reset_after")
OF_PART = ("allowed", "would_deny", "shadow", "name", "limit", "remaining", *TIMES, "shortfall")
OF_DECISION = tuple(name for name in OF_PART if name not in ("shadow", "next_after", "shortfall"))


def fields(of: Decision | Part, names: tuple[str, ...], never: object) -> dict[str, Any]:
    values = {name: getattr(of, name) for name in names}
    for name in TIMES:
        if values.get(name) == math.inf:
            values[name] = never
    if values["remaining"] is None and values["retry_after"] == 0.0:
        values["retry_after"] = None  # allowed, but nobody was asked: not even "no wait" is known
    return values


def part_as_dict(part: Part, *, never: object = math.inf) -> dict[str, Any]:
    return fields(part, OF_PART, never)


def as_dict(decision: Decision, *, never: object = math.inf) -> dict[str, Any]:
    out = fields(decision, OF_DECISION, never)
    out["source"] = decision.source
    out["parts"] = [part_as_dict(part, never=never) for part in decision.parts]
    return out


def as_json(decision: Decision) -> str:
    # JSON has no infinity, and null is taken: it means unknown.
    return json.dumps(as_dict(decision, never="never"), allow_nan=False)
