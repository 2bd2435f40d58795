# SPDX-License-Identifier: MIT
"""What the synchronous and the asynchronous gate share: opening, closing, statistics and news."""

from __future__ import annotations

import math
import os
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union

from . import _tidegate
from ._errors import ClosedError, ConfigError
from ._documents import PolicyDocument, source_of
from ._reports import Figures

if TYPE_CHECKING:
    from .testing import FakeClock

INFO, WARNING, ERROR = 20, 30, 40  # logging's; logging itself is imported when there is news
LEVELS = {1: INFO, 2: WARNING, 3: ERROR}

Key = Union[str, bytes, int]
Option = Union[str, int, bool, "os.PathLike[str]"]
Algorithm = Literal[
    "token_bucket",
    "gcra",
    "leaky_bucket",
    "fixed_window",
    "sliding_window",
    "sliding_log",
    "concurrency",
]
Mode = Literal["enforce", "shadow", "off"]
OnFailure = Literal["local", "open", "closed"]


class Event(NamedTuple):
    """A change of state: the store was lost, the breaker opened, the store is back, names
    disagree."""

    level: int
    """As in logging: logging.INFO, WARNING or ERROR."""
    code: int
    """The core's error code behind it, or 0."""
    time: float
    """Seconds since the epoch."""
    text: str
    """One line, without secrets and callers' keys."""


class Rate(NamedTuple):
    """One rate of a limiter."""

    limit: int
    """Tokens per window, or slots."""
    window: float
    """Seconds; of slots: their lease."""
    burst: int | None
    """The token bucket's capacity where it was given."""
    capacity: int
    """The largest cost that can ever be allowed at once."""
    algorithm: Algorithm
    mode: Mode
    on_failure: OnFailure
    overdraft: int = 0
    """Tokens beyond the capacity that debits may leave owing."""


class Stats(NamedTuple):
    """Counters since the gate was opened; keys, bytes and breaker_open are gauges."""

    allowed: int
    denied: int
    would_deny: int
    by_memory: int
    by_store: int
    by_fallback: int
    by_fail_open: int
    by_fail_closed: int
    keys: int
    bytes: int
    evicted_idle: int
    evicted_harmless: int
    evicted_owing: int
    round_trips: int
    batches: int
    merged: int
    script_loads: int
    connects: int
    breaker_opened: int
    breaker_open: int
    late_replies: int
    timeouts: int
    connect_errors: int
    auth_errors: int
    tls_errors: int
    protocol_errors: int
    cluster_errors: int
    oom_errors: int
    readonly_errors: int
    loading_errors: int
    busy_errors: int
    noperm_errors: int
    wrongtype_errors: int
    other_errors: int
    name_conflicts: int
    events_dropped: int


def option_text(name: str, value: object) -> str | bytes:
    """An option's value as the core reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return said_in_utf8(name, value)
    if isinstance(value, os.PathLike):
        return os.fsencode(value)
    shown = f"={value!r}" if isinstance(value, float) else ""  # others may hold a password
    raise ConfigError(
        f"{name}{shown}: expected a str, an int, a bool or a path, not {type(value).__name__}"
    )


def said_in_utf8(what: str, text: str) -> str:
    """The text; it may be a secret, so an error does not show it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{what} at {error.start}: expected text that UTF-8 can say, not a lone surrogate"
        ) from None
    return text


def open_client(
    url: str | None, clock: FakeClock | str | None, options: dict[str, Any]
) -> _tidegate.Client:
    """The native client. No I/O is done."""
    if url is not None and not isinstance(url, str):  # not shown: there may be a password in it
        shown = f" {url!r}" if isinstance(url, (int, float)) else ""
        raise TypeError(
            f"url{shown}: expected a str such as 'redis://localhost', not {type(url).__name__}"
        )
    if url is not None:
        said_in_utf8("url", url)
    from_clock: dict[str, Any] = {}
    if isinstance(clock, str):
        from_clock = {"clock": clock}
    elif clock is not None:
        from_clock = {"clock": "manual", "testing": 1}
    given = {**from_clock, **options}
    texts = [(name, option_text(name, value)) for name, value in given.items() if value is not None]
    return _tidegate.Client(url, texts)


def _before_fork() -> None:
    """A thread that imports logging, for the first news, at the moment of a fork would leave the
    child a lock that nobody opens."""
    import logging  # noqa: F401


os.register_at_fork(before=_before_fork)


class BaseGate(Figures):
    """Opened by connect(); see tidegate.Gate and tidegate.aio.Gate."""

    def __init__(
        self,
        url: str | None = None,
        *,
        policy: PolicyDocument | None = None,
        clock: FakeClock | str | None = None,
        **options: Option | None,
    ):
        source = None if policy is None else source_of(policy)
        self._client = open_client(url, clock, options)
        self._pid = os.getpid()
        self._policy_source = source
        self._told_whom_to_trust = "trusted_proxies" in options or (
            "trusted_proxies=" in (url or os.environ.get("TIDEGATE_URL") or "")
        )
        self._own_guard: _tidegate.Guard | None = None
        self._guards: weakref.WeakSet[_tidegate.Guard] = weakref.WeakSet()  # of its policy
        self._clock = None if isinstance(clock, str) else clock
        self._listeners: list[Callable[[Event], object]] = []
        if self._clock is not None:
            self._clock._attach(self._client)
        this = weakref.ref(self)

        def deliver() -> None:
            gate = this()
            if gate is not None:
                gate._deliver()

        self._client.on_events(deliver)
        if policy is not None:
            try:
                self._guard()  # a faulty policy fails now
            except BaseException:
                self._client.close()
                raise

    def _open_guard(
        self,
        policy: tuple[str, str] | None = None,
        headers: str = "",
        trusted_proxies: str = "",
        ipv6_prefix: int = 0,
    ) -> _tidegate.Guard:
        """A guard of a policy, or of the gate's (as long as that lives: another one that is loaded
        is its too)."""
        self._require_open()
        text, file = policy or self._policy_source or ("", "")
        guard = _tidegate.Guard(self._client, text, file, headers, trusted_proxies, ipv6_prefix)
        if policy is None:
            self._guards.add(guard)
        return guard

    def _guard(self) -> _tidegate.Guard:
        """What Gate.check asks."""
        if self._own_guard is None:
            self._own_guard = self._open_guard()
        return self._own_guard

    def _load_policy(self, text: str | bytes) -> None:
        said = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
        self._guard()
        for guard in list(self._guards):
            guard.load(said)
        self._policy_source = said, ""

    @property
    def url(self) -> str:
        """The store's URL, its password replaced."""
        return self._client.url

    @property
    def closed(self) -> bool:
        """Whether close was called."""
        return self._client.closed

    def stats(self) -> Stats:
        """Counters since the gate was opened. Any time, also after close."""
        return Stats(**self._client.stats())

    def on_event(self, callback: Callable[[Event], object]) -> None:
        """Calls `callback(event)` for each change of state from now on, on the thread that noticed.

        The same events go to the logger "tidegate". An exception of a callback is logged and goes
        no further.
        """
        if not callable(callback):
            raise TypeError(f"on_event({callback!r}): expected a callable")
        self._listeners.append(callback)

    def _deliver(self) -> None:
        import logging

        logger = logging.getLogger("tidegate")
        for level, code, wall_us, text in self._client.take_events():
            event = Event(LEVELS.get(level, INFO), code, wall_us / 1e6, text)
            logger.log(event.level, "%s", event.text)
            for callback in list(self._listeners):
                try:
                    callback(event)
                except Exception:
                    logger.exception("an on_event callback failed")

    def _close(self) -> None:
        self._client.close()

    def _require_open(self) -> None:
        if self._client.closed:
            raise ClosedError("the gate is closed")

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<{type(self).__module__}.{type(self).__name__} {self.url}{state}>"

    def __del__(self) -> None:
        client = getattr(self, "_client", None)
        if client is None or client.closed or sys.is_finalizing() or os.getpid() != self._pid:
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        client.close()


def rates_of(limiter: _tidegate.SyncLimiter | _tidegate.AsyncLimiter) -> tuple[Rate, ...]:
    return tuple(
        Rate(rate[0], rate[1] / 1e6, rate[2] or None, *rate[3:]) for rate in limiter._rates()
    )


def rates_shown(limiter: _tidegate.SyncLimiter | _tidegate.AsyncLimiter) -> str:
    """Rates as one would write them, for repr."""
    texts = []
    try:
        rates = rates_of(limiter)
    except ClosedError:
        return "closed"
    for rate in rates:
        if rate.algorithm == "concurrency":
            texts.append(f"{rate.limit} at once")
            continue
        text = f"{rate.limit}/{rate.window:g}s" + (f" burst {rate.burst}" if rate.burst else "")
        texts.append(text + (f" overdraft {rate.overdraft}" if rate.overdraft else ""))
    return repr("; ".join(texts))


def check_timeout(timeout: float | None) -> float | None:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
        raise TypeError(f"timeout {timeout!r}: expected seconds, not {type(timeout).__name__}")
    if timeout is not None and not timeout >= 0:
        raise ConfigError(f"timeout {timeout!r}: expected 0 seconds or more")
    return timeout


def next_pause(decision: _tidegate.Decision, left: float | None) -> float | None:
    """How long to wait before asking again; None: answer with this decision."""
    if decision.allowed:
        return None
    pause = decision.retry_after
    if pause is None or pause == math.inf or (left is not None and pause > left):
        return None
    return pause
