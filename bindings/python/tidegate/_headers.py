# SPDX-License-Identifier: MIT
"""Header fields of a decision: the core writes them, this hands them out as Python likes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ._errors import ConfigError
from ._tidegate import Decision

Style = Literal["standard", "legacy", "legacy-delta"]
STYLES: dict[str, int] = {"standard": 1, "legacy": 2, "legacy-delta": 4}


def style_flags(styles: Iterable[Style] | Style) -> int:
    """The core's flags for a list of styles."""
    flags = 0
    for style in (styles,) if isinstance(styles, str) else styles:
        if style not in STYLES:
            raise ConfigError(f"headers {style!r}: expected any of {', '.join(map(repr, STYLES))}")
        flags |= STYLES[style]
    return flags


def headers(decision: Decision, styles: Iterable[Style] | Style | None = None) -> dict[str, str]:
    """Decision.headers(): those that a policy's check was told, else of these styles."""
    found = decision._fields(None, 0, False) if styles is None else []
    if styles is not None or decision.verdict == "limits" and not found:
        found = decision._fields(style_flags(styles or ("standard", "legacy")), 0, False)
    return {name.decode(): value.decode() for name, value in found}
