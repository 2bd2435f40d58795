# SPDX-License-Identifier: MIT
"""Rounds that take turns, medians, and one row of the table."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROUNDS = int(os.environ.get("ROUNDS", 5))


def interleaved(measures, rounds=ROUNDS):
    """measures: {name: function that returns a number}. Every round runs each once: the medians."""
    found = {name: [] for name in measures}
    for measure in measures.values():
        measure()  # warm
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}


def row(name, ours, peer, peer_version, target, unit, better="more", ratio=None):
    """better: which side of the target is good, of the ratio (ours to the peer's unless given)."""
    ratio = ours / peer if ratio is None else ratio
    sign = ">=" if better == "more" else "<="
    return {
        "row": name,
        "ours": ours,
        "peer": peer,
        "peer_version": peer_version,
        "ratio": ratio,
        "target": f"{sign} {target:.3g}" + (" ms" if unit == "ms" else ""),
        "met": ratio >= target if better == "more" else ratio <= target,
        "unit": unit,
    }


def named(package):
    return f"{package} {version(package)}"


def short(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def markdown(rows):
    lines = [
        "| what | ours | peer | | ratio | to reach | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in rows:
        lines.append(
            f"| {one['row']} | {short(one['ours'])} {one['unit']} | {short(one['peer'])} "
            f"{one['unit']} | {one['peer_version']} | {short(one['ratio'])} | {one['target']} | "
            f"{'met' if one['met'] else 'not met'} |"
        )
    return "\n".join(lines)


def machine():
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} x {model}, {python}, tidegate {version('tidegate')}"


class Server:
    """A store of our own on a unix socket."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        self.socket = f"{self.folder}/s"
        self.process = subprocess.Popen(
            [os.environ["TIDEGATE_BENCH_SERVER"], "--port", "0", "--unixsocket", self.socket,
             "--save", "", "--dir", self.folder],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while not os.path.exists(self.socket):
            assert self.process.poll() is None
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
