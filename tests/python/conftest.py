# SPDX-License-Identifier: MIT
"""Servers, uvicorn and the like for the tests of the installed package."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))


def server_paths() -> list[tuple[str, str]]:
    listed = os.environ.get("TIDEGATE_SERVERS", "")
    found = [tuple(one.split("=", 1)) for one in listed.split(":") if "=" in one]
    return found or [("redis", "/usr/bin/redis-server")]  # type: ignore[return-value]


class StoreServer:
    """A Valkey or Redis of our own on a free port."""

    def __init__(self, path: str, folder: Path, *arguments: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [
            path,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(folder),
            *arguments,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, **options: object) -> str:
        options.setdefault("namespace", f"t{uuid.uuid4().hex[:12]}")
        return f"redis://{self.address}?" + "&".join(f"{k}={v}" for k, v in options.items())

    def start(self) -> StoreServer:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_for(lambda: self.answers(), f"a server on {self.address}")
        return self

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(1)
                connection.sendall(b"PING\r\n")
                return connection.recv(7).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def pause(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def wait_for(condition, what: str, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Iterator[dict[str, StoreServer]]:
    """Every server version, started when first asked for, once per session."""

    class Servers(dict):
        def __missing__(self, name):
            folder = tmp_path_factory.mktemp("store")
            self[name] = StoreServer(dict(server_paths())[name], folder).start()
            return self[name]

    found = Servers()
    yield found
    for server in found.values():
        server.kill()


@pytest.fixture(params=[name for name, _ in server_paths()])
def store(request, servers) -> StoreServer:
    """Each server version; tests use namespaces of their own."""
    return servers[request.param]


@pytest.fixture
def own_store(tmp_path) -> Iterator[StoreServer]:
    """A server that the test may stop and kill; not started."""
    server = StoreServer(server_paths()[-1][1], tmp_path)
    yield server
    if server.process:
        server.resume()
    server.kill()


@pytest.fixture(params=["memory"] + [name for name, _ in server_paths()])
def url(request, servers) -> str:
    """The embedded store, and each server."""
    return "memory://" if request.param == "memory" else servers[request.param].url(timeout_ms=5000)
