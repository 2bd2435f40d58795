# SPDX-License-Identifier: MIT
"""Starts app.py on a free port, sends it traffic of three tiers, and shows who got what.

usage: python examples/fastapi/demo.py [--check] [--store URL] [--seconds N]

Without --check the application is left running, with commands to try, until Ctrl-C. With --check
the numbers are verified against what the limits say, little is printed, and the exit status says
how it went.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
# caller: (requests a second that it sends, rate per second and burst of its tier)
CALLERS = {
    "basic-1": (8, 100 / 60, 20),
    "basic-2": (1, 100 / 60, 20),
    "pro-1": (40, 500 / 60, 100),
    "enterprise-1": (60, 1000 / 60, 200),
}


class Tally:
    """What one caller sent, and what became of it."""

    def __init__(self) -> None:
        self.allowed = self.denied = self.other = 0
        self.first = self.last = 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int, store: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TIDEGATE_URL": store}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"],
        cwd=HERE,
        env=environment,
    )
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                sys.exit("fastapi demo: the application did not start")
            time.sleep(0.05)


def send(port: int, caller: str, rate: float, tally: Tally, until: float) -> None:
    """`rate` requests a second over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    due = time.monotonic()
    while (now := time.monotonic()) < until:
        if due > now:
            time.sleep(min(due - now, until - now))
            continue
        due = max(due + 1 / rate, now - 1)
        began = time.monotonic()
        connection.request("GET", "/items", headers={"X-Api-Key": caller})
        response = connection.getresponse()
        response.read()
        tally.first, tally.last = tally.first or began, time.monotonic()
        if response.status == 200:
            tally.allowed += 1
        elif response.status == 429 and int(response.headers["Retry-After"]) >= 1:
            tally.denied += 1
        else:
            tally.other += 1
    connection.close()


def table(tallies: dict[str, Tally]) -> list[str]:
    lines = [f"  {'caller':<14}{'tier':<28}{'sends':>7}{'admitted':>10}{'denied':>8}"]
    tiers = {
        "basic": "100/minute burst 20",
        "pro": "500/minute burst 100",
        "enterprise": "1000/minute burst 200",
    }
    for caller, tally in tallies.items():
        sends = f"{CALLERS[caller][0]}/s"
        lines.append(
            f"  {caller:<14}{tiers[caller.split('-')[0]]:<28}{sends:>7}"
            f"{tally.allowed:>10}{tally.denied:>8}"
        )
    return lines


def watch(tallies: dict[str, Tally], threads: list[threading.Thread], live: bool) -> None:
    drawn = False
    while any(thread.is_alive() for thread in threads):
        if live:
            if drawn:
                print(f"\033[{len(tallies) + 1}A", end="")
            print("\n".join(table(tallies)), flush=True)
            drawn = True
        time.sleep(0.25)
    if drawn:
        print(f"\033[{len(tallies) + 1}A", end="")
    print("\n".join(table(tallies)), flush=True)


def problems(tallies: dict[str, Tally]) -> list[str]:
    """A token bucket admits its burst, and then its rate: no more, and no less of a caller who
    asks for more."""
    found = []
    for caller, tally in tallies.items():
        _, rate, burst = CALLERS[caller]
        most = burst + rate * (tally.last - tally.first) + 1
        sent = tally.allowed + tally.denied
        least = min(sent, burst + rate * (tally.last - tally.first) - 2 - rate)
        if tally.other:
            found.append(
                f"{caller}: {tally.other} answers that were neither 200 nor 429 with Retry-After"
            )
        if not least <= tally.allowed <= most:
            found.append(
                f"{caller}: {tally.allowed} admitted of {sent}, expected {least:.0f} to {most:.0f}"
            )
    if not tallies["basic-1"].denied or tallies["basic-2"].denied:
        found.append("the caller who asks too much was to be denied, the other one not")
    return found


def ask(
    port: int, method: str, path: str, headers: dict[str, str], body: object = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    if text is not body:
        headers = {**headers, "Content-Type": "application/json"}
    connection.request(method, path, text, headers)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def check_the_rest(port: int) -> list[str]:
    """Health, the expensive endpoint and the admin pages."""
    found = []
    if any(ask(port, "GET", "/health", {})[0] != 200 for _ in range(50)):
        found.append("/health is limited")
    key, admin = {"X-Api-Key": "basic-2"}, {"X-Admin-Token": "let-me-in"}
    reports = [ask(port, "POST", "/report", key)[0] for _ in range(6)]
    if reports != [200] * 5 + [429]:
        found.append(f"/report answered {reports}, expected five times 200 and 429")
    return found + check_the_live_policy(port, admin)


def check_the_live_policy(port: int, admin: dict[str, str]) -> list[str]:
    """Another tier, a ban and other numbers, while it runs."""
    found = []

    def change(method: str, what: str, body: object = None) -> None:
        status, answer = ask(port, method, f"/admin/{what}", admin, body)
        if status != 200:
            found.append(f"{method} /admin/{what} answered {status}: {answer!r}")

    def items(caller: str) -> int:
        return ask(port, "GET", "/items", {"X-Api-Key": caller})[0]

    if json.loads(ask(port, "GET", "/admin/callers/basic-1", admin)[1])["tier"] != "basic":
        found.append("/admin/callers/basic-1 does not say its tier")
    change("PUT", "callers/basic-1", {"tier": "pro"})
    if items("basic-1") != 200:
        found.append("a caller of a higher tier was to be admitted at once")
    change("PUT", "callers/basic-1", {"ban": "1h", "reason": "shown"})
    if items("basic-1") != 403 or items("pro-1") == 403:
        found.append("who is banned was to be refused with 403, and nobody else")
    change("DELETE", "callers/basic-1")
    change("PUT", "limits/report", {"rate": "2/minute"})
    reports = [ask(port, "POST", "/report", {"X-Api-Key": "fresh"})[0] for _ in range(3)]
    if reports != [200, 200, 429]:
        found.append(f"/report, two a minute: answered {reports}")
    change("DELETE", "limits/report")
    if ask(port, "PUT", "/admin/limits/nothing", admin, {"rate": "2/minute"})[0] != 400:
        found.append("a limit that the policy has not was to be refused")
    return found


def check_generations(port: int) -> list[str]:
    """Two at once for each caller; an estimate is settled by what was used."""
    found, answers = [], []

    def generate(most: int = 2990) -> int:
        path = f"/generate?max_tokens={most}"
        return ask(port, "POST", path, {"X-Api-Key": "basic-2"}, "one two three")[0]

    def generate_soon() -> bool:
        """What the one before did not use, and its place, are given back behind its answer."""
        end = time.monotonic() + 10
        while (status := generate()) == 429 and time.monotonic() < end:
            time.sleep(0.05)
        return status == 200

    threads = [threading.Thread(target=lambda: answers.append(generate())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sorted(answers) != [200, 200, 429, 429]:
        found.append(f"/generate, four at once: {answers}, expected two times 200 and 429")
    # Four times 2,990 tokens would be more than there are: but each used 6.
    if not (generate_soon() and generate_soon()):
        found.append("/generate, settled: expected two times 200")
    if generate(7000) != 429:
        found.append("/generate reserved more tokens than there are")
    return found


def commands(port: int) -> str:
    url = f"http://127.0.0.1:{port}"
    return f"""
It is still running; Ctrl-C ends it. To try:

  curl -i -H 'X-Api-Key: pro-1' {url}/items
  for i in $(seq 8); do curl -s -o /dev/null -w '%{{http_code}}\\n' -X POST {url}/report; done
  curl -H 'X-Api-Key: pro-1' -d 'a long story' '{url}/generate?max_tokens=100'
  curl -H 'X-Admin-Token: let-me-in' {url}/admin/callers/basic-1
  curl -X PUT -H 'X-Admin-Token: let-me-in' --json '{{"ban": "1m"}}' {url}/admin/callers/pro-1
  curl -X PUT -H 'X-Admin-Token: let-me-in' --json '{{"rate": "2/minute"}}' \\
    {url}/admin/limits/report
  curl -X DELETE -H 'X-Admin-Token: let-me-in' {url}/admin/callers/pro-1
  curl -H 'X-Admin-Token: let-me-in' {url}/admin/stats
  open {url}/docs
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="FastAPI behind limits, shown with real traffic")
    parser.add_argument("--check", action="store_true", help="verify the numbers and exit")
    parser.add_argument("--store", default="memory://", help="a store URL (default: memory://)")
    parser.add_argument("--seconds", type=float, default=10, help="how long the traffic runs")
    arguments = parser.parse_args()
    store = arguments.store
    if (
        not store.startswith("memory:") and "namespace=" not in store
    ):  # a run starts with fresh callers
        store += ("&" if "?" in store else "?") + f"namespace=demo-{uuid.uuid4().hex[:8]}"
    port = free_port()
    process = start(port, store)
    try:
        print(
            f"{arguments.seconds:g} seconds of traffic to http://127.0.0.1:{port}"
            f" (store: {arguments.store.split('@')[-1]})"
        )
        tallies = {caller: Tally() for caller in CALLERS}
        until = time.monotonic() + arguments.seconds
        threads = [
            threading.Thread(target=send, args=(port, caller, CALLERS[caller][0], tally, until))
            for caller, tally in tallies.items()
        ]
        for thread in threads:
            thread.start()
        watch(tallies, threads, live=sys.stdout.isatty() and not arguments.check)
        if arguments.check:
            found = problems(tallies) + check_the_rest(port) + check_generations(port)
            print("\n".join(f"wrong: {one}" for one in found) or "the numbers are right")
            return 1 if found else 0
        print(commands(port), flush=True)
        process.wait()
    except KeyboardInterrupt:
        pass
    finally:
        process.terminate()
        process.wait(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
