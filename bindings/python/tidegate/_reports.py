# SPDX-License-Identifier: MIT
"""Figures of a gate: what the core says as JSON, read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from . import _tidegate

LAST = -1  # of events: the last ones


def read(text: str) -> dict[str, Any]:
    import json  # when it is asked for: importing tidegate stays quick

    value: dict[str, Any] = json.loads(text)
    return value


class Figures:
    """What both gates have. No I/O is done: all of it is about this process."""

    _client: _tidegate.Client

    def report(
        self, period: str | None = None, step: str | None = None, limiter: str | None = None
    ) -> dict[str, Any]:
        """All figures of this gate, and of each limiter under "limiters".

        With a period ("1h", 48 h at most) there is "series" too: what was allowed, denied and
        charged, step by step ("1m"; a multiple of 10 s, beyond an hour of a minute), of one
        limiter, or of all together. Any time, also after close.
        """
        report = read(self._client.report())
        if period is not None:
            series = self._client.series(limiter or "", period, step or "")
            report["series"] = read(series)
        return report

    def top(
        self, limiter: str, by: Literal["denied", "cost"] = "denied", n: int = 20
    ) -> list[dict[str, Any]]:
        """The callers that the limiter denied most often, or that cost it most: {"caller",
        "denied" or "cost"}, heaviest first, 128 at most. Callers are shown as the option `labels`
        says."""
        callers: list[dict[str, Any]] = read(self._client.top(limiter, by, n))["callers"]
        return callers

    def limited_now(self, limiter: str, n: int = 256) -> list[dict[str, Any]]:
        """Who was denied last and cannot pass yet: {"caller", "denied", "retry_after_us"}, most
        denials first."""
        text = self._client.limited_now(limiter, n)
        callers: list[dict[str, Any]] = read(text)["callers"]
        return callers

    def events(self, after: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The last events that are kept (1,000), oldest first: {"id", "kind", "text", ...}. after:
        the id of one: those behind it. They may be read any number of times."""
        text = self._client.events(LAST if after is None else after, limit)
        events: list[dict[str, Any]] = read(text)["events"]
        return events

    def metrics(self, *, openmetrics: bool = False) -> str:
        """What Prometheus scrapes: its text format 0.0.4 (text/plain; version=0.0.4), or
        OpenMetrics (application/openmetrics-text; version=1.0.0)."""
        return self._client.metrics(openmetrics)
