# SPDX-License-Identifier: MIT
"""What a policy would have done to an access log: each request is checked at the log's own time,
on the embedded store."""

from __future__ import annotations

import functools
import re
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import tidegate
from tidegate.testing import FakeClock

LINE = re.compile(
    rb"(?P<address>\S+) \S+ (?P<identity>\S+) \[(?P<at>[^\]]+)\] "
    rb'"(?P<method>[A-Za-z]+) (?P<path>\S+)[^"]*" \d{3} '
)
COLUMNS, ROWS = 72, 8
BLOCKS = " ▁▂▃▄▅▆▇█"
EVERY = 10_000  # lines between two updates of the progress


@functools.lru_cache(maxsize=4096)
def moment(text: bytes) -> int:
    """Microseconds since the epoch of "10/Oct/2000:13:55:36 -0700"."""
    return int(datetime.strptime(text.decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp()) * 1_000_000


class Replay:
    def __init__(self, policy: Path, *, progress: bool = False):
        self._clock = FakeClock()
        self._gate = tidegate.connect("memory://", policy=policy, clock=self._clock)
        self._progress = progress
        self.lines = self.unread = 0
        self.verdicts: Counter[str] = Counter()
        self.callers: Counter[str] = Counter()  # by denials
        self.limits: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()  # denials by time

    def read(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.lines += 1
            found = LINE.match(line)
            try:
                at_us = moment(found["at"]) if found else None
            except ValueError:
                at_us = None
            if found is None or at_us is None:
                self.unread += 1
                continue
            self._clock.now_us = at_us
            self._check(found, at_us)
            if self._progress and self.lines % EVERY == 0:
                print(f"\r{self.lines:,} lines", end="", file=sys.stderr, flush=True)
        if self._progress:
            print("\r\033[K", end="", file=sys.stderr)

    def _check(self, found: re.Match[bytes], at_us: int) -> None:
        said = {
            "method": found["method"].decode("ascii"),
            "path": found["path"].decode("utf-8", "surrogateescape").partition("?")[0],
            "address": found["address"].decode("utf-8", "surrogateescape"),
        }
        if found["identity"] != b"-":
            said["identity"] = found["identity"].decode("utf-8", "surrogateescape")
        decision = self._gate.check(said)
        verdict: str = decision.verdict
        if verdict == "limits":
            verdict = "passed" if decision.allowed else "denied"
        self.verdicts[verdict] += 1
        if decision.would_deny:
            self.verdicts["would be denied by a dry run"] += 1
        if verdict in ("denied", "banned"):
            self.callers[decision.caller or "?"] += 1
            self.seconds[at_us // 1_000_000] += 1
        if verdict == "denied" and decision.name:
            self.limits[decision.name] += 1

    def report(self) -> str:
        out = [
            f"{self.lines:,} lines" + (f", {self.unread:,} not understood" if self.unread else "")
        ]
        checked = max(1, self.lines - self.unread)
        for verdict, count in self.verdicts.most_common():
            out.append(f"{count:>12,}  {100 * count / checked:5.1f} %  {verdict}")
        for title, counts in (("limits that denied", self.limits), ("denied most", self.callers)):
            if counts:
                out += ["", title]
                out += [f"{count:>12,}  {name}" for name, count in counts.most_common(10)]
        return "\n".join([*out, *self._picture()])

    def _columns(self, columns: int) -> tuple[int, int, list[int]]:
        """(first second, seconds a column, denials by column)."""
        first, last = min(self.seconds), max(self.seconds)
        wide = max(1, -(-(last - first + 1) // columns))
        heights = [0] * (-(-(last - first + 1) // wide))
        for second, count in self.seconds.items():
            heights[(second - first) // wide] += count
        return first, wide, heights

    def _picture(self) -> list[str]:
        if not self.seconds:
            return []
        first, wide, heights = self._columns(COLUMNS)
        most = max(heights)
        out = ["", f"denials over time: {wide} s a column, {most:,} at most"]
        steps = [round(height * ROWS * 8 / most) for height in heights]
        for row in range(ROWS - 1, -1, -1):
            out.append("".join(BLOCKS[max(0, min(8, step - 8 * row))] for step in steps).rstrip())
        return [*out, "-" * len(heights), stamp(first)]

    def svg(self) -> str:
        """The same picture, to be looked at in a browser."""
        width, height = 720, 160
        bars = []
        if self.seconds:
            first, wide, heights = self._columns(width // 4)
            most, step = max(heights), width / len(heights)
            for i, count in enumerate(heights):
                tall = height * count / most
                said = f"{stamp(first + i * wide)}: {count:,}"
                bars.append(
                    f'<rect x="{i * step:.1f}" y="{height - tall:.1f}" width="{step * 0.9:.1f}" '
                    f'height="{tall:.1f}"><title>{said}</title></rect>'
                )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'fill="#c2410c"><title>denials over time</title>{"".join(bars)}</svg>\n'
        )


def stamp(second: int) -> str:
    return datetime.fromtimestamp(second).astimezone().isoformat(sep=" ", timespec="seconds")
