# SPDX-License-Identifier: MIT
"""Real HTTP: an application under uvicorn, in a thread or in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import wsgiref.simple_server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.fields = response.getheaders()
        self.body = response.read()

    def __getitem__(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None


class Web:
    def __init__(self, port: int):
        self.port = port

    def ask(
        self,
        path: str = "/",
        method: str = "GET",
        headers: Any = (),
        body: bytes | None = None,
        timeout: float = 20,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in dict(headers).items() if isinstance(headers, dict) else headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return Answer(connection.getresponse())
        finally:
            connection.close()


@contextlib.contextmanager
def serving(app: Any, **config: Any) -> Iterator[Web]:
    """`app` under uvicorn in a thread; its lifespan has ended when this returns."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config.setdefault(
        "proxy_headers", False
    )  # or uvicorn would believe X-Forwarded-For before we are asked
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", **config))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the application did not start"
        time.sleep(0.01)
    try:
        yield Web(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "uvicorn did not stop"


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving_wsgi(app: Any) -> Iterator[Web]:
    """`app` under the standard library's server: one request after the other, each with all that
    happens behind its answer."""
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Web(server.server_port)
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@contextlib.contextmanager
def serving_process(
    folder: Path, app: str, environment: dict[str, str], *arguments: str
) -> Iterator[Web]:
    """`module:app` of a folder under uvicorn in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            app,
            "--port",
            str(port),
            "--log-level",
            "error",
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, **environment},
    )
    try:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, f"{app} did not start"
                assert time.monotonic() < end, f"{app} does not listen"
                time.sleep(0.05)
        yield Web(port)
    finally:
        process.terminate()
        assert process.wait(20) is not None
