# SPDX-License-Identifier: MIT
"""The real programs, and lines for them.

TIDEGATE_BIN says where they are (default build/release/bin).
"""

import datetime
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TIDEGATE_BIN", ROOT / "build/release/bin"))
START = 1_767_571_200  # 2026-01-05T00:00:00Z


def load_model():
    spec = importlib.util.spec_from_file_location("model", ROOT / "tests/conformance/model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["model"] = module
    spec.loader.exec_module(module)
    return module


model = load_model()


def run(program, *arguments, text=b""):
    command = [BIN / program, *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, timeout=120)


def line(address="10.0.0.1", second=0, user="-", path="/", zone=0):
    at = datetime.datetime.fromtimestamp(START + second + zone * 60, datetime.timezone.utc)
    when = at.strftime("%d/%b/%Y:%H:%M:%S")
    offset = f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}{abs(zone) % 60:02}"
    return f'{address} - {user} [{when} {offset}] "GET {path} HTTP/1.1" 200 5\n'.encode()


def replay(lines, *arguments):
    text = lines if isinstance(lines, bytes) else b"".join(lines)
    done = run("replay", "--json", *arguments, "-", text=text)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    report = json.loads(done.stdout)
    assert report["lines"] == report["passed"] + report["denied"] + report["malformed"]
    return report


def denied_by_caller(report):
    return {row["caller"]: row["denied"] for row in report["top"]}
