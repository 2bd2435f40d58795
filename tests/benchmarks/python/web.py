# SPDX-License-Identifier: MIT
"""What the middleware adds to a request of a FastAPI application, through uvicorn."""

from __future__ import annotations

import http.client
import socket
import statistics
import threading
import time

import uvicorn
from common import Server, interleaved, named, row
from fastapi import FastAPI

import tidegate.aio
from tidegate.fastapi import RateLimitMiddleware


def make_app(store):
    app = FastAPI()

    @app.get("/")
    async def root():
        return {"ok": True}

    if store is not None:
        app.add_middleware(RateLimitMiddleware, limit="1000000/second", store=store)
    return app


class Web:
    def __init__(self, app):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.connection = http.client.HTTPConnection(*self.listener.getsockname())

    def p50_ms(self):
        times = []
        for _ in range(1000):
            started = time.perf_counter()
            self.connection.request("GET", "/")
            response = self.connection.getresponse()
            response.read()
            times.append(time.perf_counter() - started)
            assert response.status == 200
        return statistics.median(times) * 1e3

    def close(self):
        self.connection.close()
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()


def rows():
    with Server() as server:
        gates = [tidegate.aio.connect("memory://"),
                 tidegate.aio.connect(f"unix://{server.socket}", timeout_ms=5000)]  # fmt: skip
        webs = {name: Web(make_app(gate))
                for name, gate in zip(("bare", "embedded", "store"), [None, *gates])}  # fmt: skip
        try:
            found = interleaved({name: web.p50_ms for name, web in webs.items()}, rounds=9)
        finally:
            for web in webs.values():
                web.close()
            for gate in gates:
                gate._close()
    return [
        row(f"FastAPI middleware, added p50, {where}", found[name], found["bare"],
            f"without it, {named('fastapi')}", target, "ms", "less",
            ratio=found[name] - found["bare"])
        for name, where, target in (("embedded", "embedded", 0.05), ("store", "Valkey", 0.2))
    ]  # fmt: skip
