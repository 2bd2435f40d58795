# SPDX-License-Identifier: MIT
"""What a limit that was given no name is called."""

from __future__ import annotations

import functools

from . import _tidegate

UNMATCHED = "unmatched"
"""Where the framework does not tell the route's template. A path as it came would let every caller
choose the name."""


@functools.cache
def _probe() -> _tidegate.Client:
    return _tidegate.Client("memory://", [])


@functools.lru_cache(maxsize=1024)
def numbers_of(rates: str, algorithm: str) -> str:
    """The numbers of a rate as a name: "100-per-60s". Raises ConfigError."""
    limiter = _tidegate.SyncLimiter(_probe(), rates, None, algorithm, None, None, None)
    limiter._close_with_it()
    return limiter.name


def short_name(text: str) -> str:
    """A limiter's name made of any text: readable, at most 64 characters, and another one for
    another text."""
    import hashlib

    name = "".join(
        c
        if c.isascii() and (c.isalnum() or c in "_.-")
        else {"/": ".", "{": "-", "}": "-"}.get(c, "_")
        for c in text
    )
    lossy = any(c not in "/{}_.-" and not (c.isascii() and c.isalnum()) for c in text)
    if lossy or len(name) > 64:
        return f"{name[:55]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return name


def place_name(mount: str, method: str, template: str) -> str:
    """A route's: "POST.login", in an application that is mounted "v1.POST.login"."""
    inside = mount.strip("/")
    return short_name((inside + "." if inside else "") + method + template)
