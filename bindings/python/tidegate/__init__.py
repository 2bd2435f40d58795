# SPDX-License-Identifier: MIT
"""Rate limits that are exact across workers, over Valkey/Redis or embedded in the process.

    import tidegate

    gate = tidegate.connect("redis://localhost")   # tidegate.connect() is the embedded store
    api = gate.limiter("100/minute burst 20", name="api")
    decision = api.consume("user:42")
    if not decision:
        print(decision.retry_after)                         # seconds

tidegate.aio has the same for event loops, tidegate.fastapi, tidegate.asgi and tidegate.wsgi the
middleware, tidegate.limited a decorator, tidegate.policy what policies say, tidegate.testing a
clock for tests. Times are float seconds, math.inf is never,
unknown figures are None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, overload

from . import _tidegate
from ._callers import identity_of
from ._base import Algorithm, Event, Mode, OnFailure, Rate, Stats
from ._errors import ClosedError, ConfigError, Error, StoreError
from ._held import Reservation, Slot
from ._sync import Gate, Limiter, connect
from ._terms import Settled
from ._tidegate import Decision, Part

if TYPE_CHECKING:
    from ._limited import RateLimitExceeded as RateLimitExceeded, limited as limited
    from . import aio as aio, fastapi as fastapi, policy as policy, testing as testing

__all__ = [
    "Algorithm",
    "ClosedError",
    "ConfigError",
    "Decision",
    "Error",
    "Event",
    "Gate",
    "Limiter",
    "Mode",
    "OnFailure",
    "Part",
    "Rate",
    "RateLimitExceeded",
    "Reservation",
    "Settled",
    "Slot",
    "Stats",
    "StoreError",
    "caller_key",
    "connect",
    "limited",
    "options",
]
__version__: str = _tidegate.version

_default_caller_key = _tidegate.CallerKey([])


class OptionInfo(NamedTuple):
    """One option of connect."""

    name: str
    type: str
    range: str
    default: str
    meaning: str


def options() -> list[OptionInfo]:
    """The options that connect and store URLs take."""
    return [OptionInfo(*line.split("\t")) for line in _tidegate.describe_options().splitlines()]


@overload
def caller_key(identity: str | int | None, address: str) -> str: ...
@overload
def caller_key(identity: bytes, address: str) -> str | bytes: ...
def caller_key(identity: str | bytes | int | None, address: str) -> str | bytes:
    """The key of a caller, as the middleware makes it: the identity, or without one "@" and the
    address.

    For admin pages that look a caller up: limiter.peek(caller_key(None, "203.0.113.7")). It is
    bytes where the identity is no text of UTF-8.
    """
    return _default_caller_key(identity_of(identity), address, "")


def __getattr__(name: str) -> Any:
    if name in ("limited", "RateLimitExceeded"):  # rarely needed, so not imported with the rest
        from . import _limited

        return getattr(_limited, name)
    if name in ("aio", "fastapi", "policy", "testing"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _class in (Event, Rate, Settled, Stats, Gate, Limiter, OptionInfo):
    _class.__module__ = __name__
del _class
