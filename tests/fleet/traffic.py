# SPDX-License-Identifier: MIT
"""Callers in threads, all with one key, who ask every worker again and again and count the answers.

with Traffic(workers, key="caller", threads=2) as traffic:
    traffic.until_denied(10)
print(traffic.total("admitted"))
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from processes import FleetError, Worker, wait_until

# What became of a request. Only an admitted one is known to be charged, and a lost one (sent, and
# never answered) may be; refused: nobody listened; unavailable: the failure policy closed.
OUTCOMES = ("admitted", "denied", "unavailable", "lost", "refused")
ANSWER_SECONDS = 30
STATUSES = {200: "admitted", 429: "denied", 503: "unavailable"}


class Caller:
    """One connection to a worker, made again when that is gone."""

    def __init__(self, worker: Worker, key: str):
        self.worker, self.key, self.port = worker, key, 0

    def ask(self) -> str:
        port = self.worker.port
        if not port:
            return "refused"
        try:
            if port != self.port:
                self.close()
                self.connect(port)
                self.port = port
        except OSError:
            return "refused"
        try:
            return self.answer()
        except (OSError, http.client.HTTPException):
            self.close()
            return "lost"

    def connect(self, port: int) -> None:
        raise NotImplementedError

    def answer(self) -> str:
        raise NotImplementedError

    def close(self) -> None:
        self.port = 0


class HttpCaller(Caller):
    connection: http.client.HTTPConnection | None = None

    def connect(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self.connection.connect()

    def answer(self) -> str:
        assert self.connection and self.worker.path
        self.connection.request("GET", self.worker.path, headers={"x-api-key": self.key})
        response = self.connection.getresponse()
        body = response.read()
        if response.will_close:
            self.close()
        if response.status not in STATUSES:
            raise FleetError(f"{self.worker.name} answered {response.status}: {body[:300]!r}")
        return STATUSES[response.status]

    def close(self) -> None:
        super().close()
        if self.connection:
            self.connection.close()


def read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(1024)
        if not piece:
            raise ConnectionResetError
        line += piece
    return line


class LineCaller(Caller):
    connection: socket.socket | None = None

    def connect(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)

    def answer(self) -> str:
        assert self.connection
        self.connection.sendall(f"method=GET path=/items identity={self.key}\n".encode())
        line = read_line(self.connection)
        word = line.split()[0]
        if word == b"allowed":
            return "admitted"
        if word != b"denied":
            raise FleetError(f"{self.worker.name} answered {line!r}")
        return "unavailable" if line.endswith(b"source=fail_closed\n") else "denied"

    def close(self) -> None:
        super().close()
        if self.connection:
            self.connection.close()


def make_caller(worker: Worker, key: str) -> Caller:
    return HttpCaller(worker, key) if worker.path else LineCaller(worker, key)


class Traffic:
    """All workers under load from the start of the block to its end."""

    def __init__(self, workers: Sequence[Worker], key: str, threads: int = 2, pause: float = 0.002):
        self.workers, self.key, self.pause = workers, key, pause
        self.counts = {worker.name: Counter[str]() for worker in workers}
        self.error: Exception | None = None
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self.call, args=(worker,), daemon=True)
            for worker in workers
            for _ in range(threads)
        ]

    def __enter__(self) -> Traffic:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(ANSWER_SECONDS + 5)
        if self.error:
            raise self.error

    def call(self, worker: Worker) -> None:
        caller = make_caller(worker, self.key)
        try:
            while not self.stopping.is_set():
                outcome = caller.ask()
                with self.lock:
                    self.counts[worker.name][outcome] += 1
                # Who cannot be served does not hammer; nor does who is denied.
                self.stopping.wait(self.pause if outcome == "admitted" else max(self.pause, 0.02))
        except Exception as error:  # noqa: BLE001 told to whoever waits
            self.error = error
        finally:
            with suppress(OSError):
                caller.close()

    def total(self, outcome: str) -> int:
        with self.lock:
            return sum(count[outcome] for count in self.counts.values())

    def snapshot(self) -> dict[str, Counter[str]]:
        with self.lock:
            return {name: Counter(count) for name, count in self.counts.items()}

    def until(self, is_true: Callable[[], object], what: str, seconds: float = 60) -> None:
        def is_done() -> object:
            if self.error:
                raise self.error
            return is_true()

        wait_until(is_done, what, seconds)

    def until_admitted(self, count: int) -> None:
        self.until(lambda: self.total("admitted") >= count, f"{count} are admitted")

    def until_denied(self, times: int) -> None:
        """Every worker has denied so often from now on: there is nothing left anywhere."""
        before = self.snapshot()
        self.until(
            lambda: all(
                count["denied"] >= before[name]["denied"] + times
                for name, count in self.snapshot().items()
            ),
            f"every worker denies {times} times",
        )


def ask_once(worker: Worker, key: str) -> str:
    caller = make_caller(worker, key)
    try:
        return caller.ask()
    finally:
        caller.close()


def until_on_store(workers: Sequence[Worker], knows: Callable[[str], bool], name: str) -> None:
    """Every worker decides in the store again: a key that it alone was asked for is known there."""
    for worker in workers:
        key = f"{name}-{worker.name.replace(' ', '-')}"
        end = time.monotonic() + 90  # a breaker may pause for 30 s
        while ask_once(worker, key) in ("lost", "refused") or not knows(key):
            if time.monotonic() > end:
                raise FleetError(f"{worker.name} does not find the store: {worker.output()[-500:]}")
            time.sleep(0.1)
