# SPDX-License-Identifier: MIT
"""What the middleware adds to a request of a FastAPI application, through uvicorn: p50 under wrk
(one connection: latency, not queueing), each application in a process of its own.

    python web.py [URL]: serves the application, limited by a gate on URL, and prints its port.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys

from common import Server, interleaved, named, row

MS = {"us": 1e-3, "ms": 1, "s": 1e3}


def serve(url=None):
    import uvicorn
    from fastapi import FastAPI

    from tidegate.fastapi import RateLimitMiddleware

    app = FastAPI()

    @app.get("/")
    async def root():
        return {"ok": True}

    if url:
        app.add_middleware(RateLimitMiddleware, limit="1000000/second", store=url)
    # Said to be TCP, or asyncio leaves Nagle's algorithm on.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])


class Web:
    def __init__(self, *url):
        self.process = subprocess.Popen(
            [sys.executable, __file__, *url], stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/"

    def p50_ms(self):
        wrk = ["wrk", "-t1", "-c1", "-d2s", "--latency", self.url]
        out = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
        assert "Non-2xx" not in out and "Socket errors" not in out, out
        value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * MS[unit]

    def close(self):
        self.process.terminate()
        self.process.wait()


def rows():
    with Server() as server:
        store = f"unix://{server.socket}?timeout_ms=5000"
        webs = {"bare": Web(), "embedded": Web("memory://"), "store": Web(store)}
        try:
            found = interleaved({name: web.p50_ms for name, web in webs.items()})
        finally:
            for web in webs.values():
                web.close()
    return [
        row(f"FastAPI middleware, added p50, {where}", found[name] - found["bare"], found["bare"],
            f"a whole request without it, {named('fastapi')}", target, "ms", "less",
            ratio=found[name] - found["bare"])
        for name, where, target in (("embedded", "embedded", 0.05), ("store", "Valkey", 0.2))
    ]  # fmt: skip


if __name__ == "__main__":
    serve(*sys.argv[1:])
