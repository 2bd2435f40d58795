# SPDX-License-Identifier: MIT
"""The live policy: one worker changes it, and all are watched until they go by it.

live = Live(fleet.workers)
seconds = live.follow("somebody", lambda seen: seen.status == 403,
                      lambda: live.change("PUT", "callers/somebody", {"ban": True}))
assert max(seconds.values()) < 1    # of each worker, by its name
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from processes import FleetError, Worker
from traffic import ANSWER_SECONDS, read_line

ADMINS = ("python", "node")  # whose examples have an admin side
PROMISED_SECONDS = 1.0
POLICY_ITEM = re.compile(r'"([^"]+)";q=(\d+)')


class Seen(NamedTuple):
    """What a worker answered: its status, and the numbers of the limits that it went by."""

    status: int
    limits: dict[str, int]


def seen_of(status: object, policy: str) -> Seen:
    return Seen(
        int(str(status)), {name: int(number) for name, number in POLICY_ITEM.findall(policy)}
    )


def report(worker: Worker, key: str) -> Seen:
    """POST /report; denied or not, the answer says by which limits."""
    if worker.path is None:
        with socket.create_connection(("127.0.0.1", worker.port), ANSWER_SECONDS) as connection:
            connection.sendall(f"method=POST path=/report identity={key}\n".encode())
            line = read_line(connection).decode()
        status = re.search(r" status=(\d+)", line)
        if not status:
            raise FleetError(f"{worker.name} answered {line!r}")
        return seen_of(status[1], line)
    answer = request(worker, "POST", "/report", {"x-api-key": key})
    return seen_of(answer.status, answer.getheader("ratelimit-policy") or "")


def request(
    worker: Worker, method: str, path: str, fields: dict[str, str], body: str = ""
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body or None, fields)
        response = connection.getresponse()
        response.text = response.read().decode()  # type: ignore[attr-defined]
        return response
    finally:
        connection.close()


class Live:
    def __init__(self, workers: Sequence[Worker]):
        self.workers = workers
        self.admin = next((one for one in workers if one.language in ADMINS), None)

    def change(self, method: str, what: str, body: object = None) -> None:
        """Asks the worker that has an admin side; it answers when the store has the change."""
        if self.admin is None:
            raise FleetError(f"no worker has an admin side: expected one of {', '.join(ADMINS)}")
        fields = {"x-admin-token": "let-me-in", "content-type": "application/json"}
        text = "" if body is None else json.dumps(body)
        answer = request(self.admin, method, f"/admin/{what}", fields, text)
        if answer.status != 200:
            raise FleetError(
                f"{self.admin.name}: {method} {what}: {answer.status} {answer.text}"  # type: ignore[attr-defined]
            )

    def follow(
        self,
        key: str,
        is_new: Callable[[Seen], bool],
        change: Callable[[], object],
        seconds: float = 20,
    ) -> dict[str, float]:
        """How long after the change each worker still went by what was there before: until it was
        last asked a question that it answered so. Nobody may before the change."""
        early = [one.name for one in self.workers if is_new(report(one, key))]
        if early:
            raise FleetError(f"before the change: {', '.join(early)} go by it")
        asked_last: dict[str, float] = {}
        failures: list[Exception] = []
        end = time.monotonic() + seconds

        def watch(worker: Worker) -> None:
            try:
                asked = time.monotonic()
                while not is_new(report(worker, key)):
                    asked_last[worker.name] = asked
                    if asked > end:
                        raise FleetError(f"{worker.name} does not follow within {seconds:.0f} s")
                    time.sleep(0.01)
                    asked = time.monotonic()
            except Exception as error:  # noqa: BLE001 told to whoever waits
                failures.append(error)

        threads = [threading.Thread(target=watch, args=(one,), daemon=True) for one in self.workers]
        for thread in threads:
            thread.start()
        change()
        changed = time.monotonic()
        for thread in threads:
            thread.join(seconds + ANSWER_SECONDS)
        if failures:
            raise failures[0]
        return {
            one.name: max(0.0, asked_last.get(one.name, changed) - changed) for one in self.workers
        }
