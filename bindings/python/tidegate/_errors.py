# SPDX-License-Identifier: MIT
"""What tidegate raises. Being denied is not an error."""

from __future__ import annotations


class Error(Exception):
    """Whatever tidegate raises; the more telling classes are below it."""

    code: int = 0
    """The core's error code (TG_E... in tidegate.h), 0 where the error is not the core's."""
    name: str = ""
    """Its name, such as "TG_ERATE"."""
    kind: str = ""
    """config, handle (a limiter that is gone), closed, canceled, full, store or internal."""
    position: int | None = None
    """Where in a text (a rate, a URL) it went wrong: a byte offset, or None."""


class ConfigError(Error, ValueError):
    """A rate, option, URL, name, key or cost that cannot be. The message shows the value and what
    was expected."""


class StoreError(Error, ConnectionError):
    """The store could not do it. Raised by ping, reset and refund; checks are answered by the
    failure policy."""


class ClosedError(Error):
    """The gate is closed."""


for _class in (Error, ConfigError, StoreError, ClosedError):
    _class.__module__ = "tidegate"
