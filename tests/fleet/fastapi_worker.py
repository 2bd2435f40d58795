# SPDX-License-Identifier: MIT
"""A FastAPI service behind one limit, whose name and numbers other services can share."""

import argparse
import socket

import uvicorn
from fastapi import FastAPI
from tidegate.fastapi import RateLimitMiddleware

parser = argparse.ArgumentParser()
parser.add_argument("--store", required=True)
parser.add_argument("--limit", required=True)
parser.add_argument("--name", required=True)
options = parser.parse_args()

app = FastAPI()
app.add_middleware(
    RateLimitMiddleware,
    limit=options.limit,
    name=options.name,
    key=lambda request: request.headers.get("x-api-key"),
    store=options.store,
)


@app.get("/")
async def hello() -> dict[str, str]:
    return {"hello": "from Python"}


# asyncio turns Nagle's delay off only where the protocol is named.
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
