# SPDX-License-Identifier: MIT
"""What errors and events say, and what they never show."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from pathlib import Path

import pytest

import tidegate
import tidegate.aio
from tidegate.asgi import RateLimitMiddleware

RAW = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Babbler:
    """A server that greets, and answers whatever else it is asked with one error."""

    def __init__(self, error: bytes):
        self._error = error
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with connection:
            while asked := connection.recv(65536):
                for command in re.findall(rb"\*\d+\r\n\$\d+\r\n([A-Z]+)\r\n", asked):
                    connection.sendall(
                        b"*4\r\n+server\r\n+valkey\r\n+proto\r\n:2\r\n"
                        if command == b"HELLO"
                        else b"-" + self._error + b"\r\n"
                    )

    def close(self):
        self._listener.close()


@pytest.fixture
def babbler():
    server = Babbler(b"ERR \xff\xfe \x1b[2J\x07 \xc2\x85 caf\xc3\xa9")
    yield server
    server.close()


def check_text(text):
    assert not RAW.search(text), text
    assert r"\xff\xfe \x1b[2J\x07 " in text


def test_an_error_of_the_server_that_is_no_text(babbler):
    events = []
    with tidegate.connect(babbler.url) as gate:
        gate.on_event(events.append)
        api = gate.limiter("1/minute", name="api")
        for call in (gate.ping, lambda: api.reset("a"), lambda: api.refund("a")):
            with pytest.raises(tidegate.StoreError) as caught:
                call()
            check_text(str(caught.value))
        assert api.consume("a").source == "fallback"
    assert events
    for event in events:
        assert not RAW.search(event.text)


def test_an_error_of_the_server_that_is_no_text_asynchronously(babbler):
    async def main():
        async with tidegate.aio.connect(babbler.url) as gate:
            api = gate.limiter("1/minute", name="api")
            for call in (gate.ping, lambda: api.reset("a"), lambda: api.refund("a")):
                with pytest.raises(tidegate.StoreError) as caught:
                    await call()
                check_text(str(caught.value))
            assert (await api.consume("a")).source == "fallback"

    asyncio.run(main())


def test_control_characters_of_names_are_not_raw():
    with tidegate.connect() as gate:
        for call in (
            lambda: gate.limiter("5/minute", "a\nb\x1b[2J"),
            lambda: gate.limiter("5/mi\nnute"),
            lambda: gate.limiter("5/minute", mode="sha\ndow"),
            lambda: tidegate.connect(timeout_ms="1\n2"),
        ):
            with pytest.raises(tidegate.ConfigError) as caught:
                call()
            assert not RAW.search(str(caught.value)), str(caught.value)
            assert r"\x0a" in str(caught.value) or r"\n" in str(caught.value)


SECRET = "redis://user:s3cret@store.internal"


class Client:
    """Another library's, whose repr tells all."""

    def __repr__(self):
        return f"<Client {SECRET}>"


@pytest.mark.parametrize(
    "url", [SECRET.encode(), (SECRET,), bytearray(SECRET.encode()), Client(), SECRET + "\ud800"]
)
def test_a_password_is_not_shown_by_what_refuses_it(url):
    app = object()
    for call in (
        lambda: tidegate.connect(url),
        lambda: tidegate.aio.connect(url),
        lambda: RateLimitMiddleware(app, "1/minute", store=url),
        lambda: tidegate.connect("redis://store.internal", tls_key=url),
        lambda: tidegate.connect(SECRET, timeout_ms="\ud800"),
        lambda: tidegate.connect("redis://store.internal", redis_url=url),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        error: BaseException | None = caught.value
        assert isinstance(error, (TypeError, tidegate.ConfigError))
        while error is not None:
            assert "s3cret" not in f"{error} {error!r}", error
            error = None if error.__suppress_context__ else error.__context__


def test_a_path_that_is_no_text_is_an_option(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pem"))
    with tidegate.connect("rediss://127.0.0.1:1", tls_ca=path) as gate:
        with pytest.raises(tidegate.StoreError) as caught:
            gate.ping()
    assert r"caf\xe9.pem" in str(caught.value)
