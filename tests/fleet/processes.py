# SPDX-License-Identifier: MIT
"""Processes of our own: a Valkey and the workers. What is started here ends with whoever started
it, also if that is killed, and every wait has a deadline.

    with Valkey(folder) as valkey:
        worker = Worker("go 1", ["./service", "--store", valkey.url()], folder)
        worker.start()
        worker.kill()
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
START_SECONDS = 60  # a machine may be busy


class FleetError(Exception):
    """What went wrong, in words for whoever runs the fleet."""


def wait_until(is_true: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise FleetError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)


def die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One child, its output in a file. Started by the main thread, with which it would die."""

    def __init__(
        self,
        name: str,
        command: Sequence[object],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ):
        self.name, self.command = name, [str(word) for word in command]
        self.log = folder / f"{name.replace(' ', '-')}.log"
        self.environment = dict(environment or os.environ)
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self.child.pid if self.child else 0

    def spawn(self) -> None:
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                preexec_fn=die_with_parent,
            )

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def check_alive(self) -> None:
        if self.child and self.child.poll() is not None:
            text = self.output().strip()[-2000:]
            raise FleetError(f"{self.name} ended with status {self.child.returncode}: {text}")

    def kill(self) -> None:
        """SIGKILL: nothing is told to anybody."""
        if self.child:
            self.child.kill()
            self.child.wait(START_SECONDS)
            self.child = None


class Worker(Process):
    """A service under the policy; it says where it listens in a line with 127.0.0.1:PORT."""

    # Not after a scheme of a store: a worker may name its store in the same line.
    LISTENS = re.compile(r"(?:^|[\s]|http://)127\.0\.0\.1:(\d+)")

    def __init__(
        self,
        name: str,
        language: str,
        path: str | None,
        command: Sequence[object],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ):
        super().__init__(name, command, folder, environment)
        self.language = language
        self.path = path  # None: lines instead of HTTP
        self.port = 0
        self.starts = 0

    def start(self) -> None:
        self.spawn()
        self.starts += 1

    def find_port(self) -> None:
        found: list[re.Match[str]] = []

        def says_where() -> bool:
            self.check_alive()
            found[:] = filter(None, [self.LISTENS.search(self.output())])
            return bool(found)

        wait_until(says_where, f"{self.name} listens")
        self.port = int(found[0][1])

    def kill(self) -> None:
        super().kill()
        self.port = 0


class Valkey(Process):
    """A server on a socket in a folder, without persistence: killed, it forgets everything."""

    def __init__(self, folder: Path):
        self.socket = folder / "valkey.sock"
        super().__init__(
            "valkey",
            [
                server_program(),
                "--port",
                "0",
                "--unixsocket",
                self.socket,
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                folder,
                "--maxmemory-policy",
                "noeviction",
            ],
            folder,
        )

    def __enter__(self) -> Valkey:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.spawn()
        wait_until(self.answers, "the Valkey answers")

    def answers(self) -> bool:
        self.check_alive()
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def ask(self, *words: str) -> bytes:
        """The first bytes of the reply, as they come."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self.socket))
            parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{parts}".encode())
            return connection.recv(65536)

    def knows(self, key: str) -> bool:
        """Whether a state of this caller is there."""
        return not self.ask("KEYS", f"*{{{key}}}").startswith(b"*0")

    def url(self, **options: object) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"unix://{self.socket}?{query}"


def server_program() -> str:
    """A Valkey of packaging/setup if there is one, else its Redis."""
    listed = os.environ.get("TIDEGATE_SERVERS", "")
    pairs = [entry.split("=", 1) for entry in listed.split(":") if "=" in entry]
    if not pairs:
        raise FleetError("TIDEGATE_SERVERS names no server: packaging/setup servers makes it")
    valkeys = [path for name, path in pairs if name.startswith("valkey")]
    return [*valkeys, pairs[0][1]][0]
