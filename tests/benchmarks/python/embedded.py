# SPDX-License-Identifier: MIT
"""consume on the embedded store beside limits and throttled-py; what importing costs."""

from __future__ import annotations

import subprocess
import sys
import time

import limits
import throttled
from common import interleaved, named, row

import tidegate

COUNT = 50_000


def timed(ask, count=COUNT):
    """ns for each of `count` calls of ask(key), the keys in turns."""

    def measure():
        started = time.perf_counter_ns()
        for _ in range(count):
            ask("user:42")
        return (time.perf_counter_ns() - started) / count

    return measure


def embedded():
    gate = tidegate.connect("memory://")
    ours = gate.limiter("1000000000/second").consume
    strategy = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
    rate = limits.parse("1000000000/second")
    other = throttled.Throttled(
        using="token_bucket", quota=throttled.per_sec(10**9, burst=10**9),
        store=throttled.MemoryStore(),
    )  # fmt: skip
    found = interleaved(
        {
            "ours": timed(ours, COUNT * 4),
            "limits": timed(lambda key: strategy.hit(rate, key)),
            "throttled": timed(other.limit),
        }
    )
    gate.close()
    rows = [
        row(f"embedded consume, {name}", found["ours"], found[kind], package, 10, "ns",
            ratio=found[kind] / found["ours"])
        for name, kind, package in (
            ("beside limits MemoryStorage", "limits", named("limits")),
            ("beside throttled-py", "throttled", named("throttled-py")))
    ]  # fmt: skip
    rows.append(row("embedded consume, time", found["ours"], 250, "the target", 1, "ns", "less"))
    return rows


def start(code):
    def measure():
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (time.perf_counter() - started) * 1e3

    return measure


def importing():
    found = interleaved({"empty": start("pass"), "ours": start("import tidegate")}, rounds=11)
    added = found["ours"] - found["empty"]
    return [
        row("import time, added", added, found["empty"], "an empty interpreter", 30, "ms", "less",
            ratio=added)
    ]  # fmt: skip


def rows():
    return embedded() + importing()
