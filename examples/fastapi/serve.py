# SPDX-License-Identifier: MIT
"""Serves app.py and prints where.

usage: python serve.py [--store URL] [--policy FILE] [--listen HOST:PORT]
"""

import argparse
import os
import socket

import uvicorn


def main() -> None:
    parser = argparse.ArgumentParser(description="app.py under a policy")
    parser.add_argument("--store", metavar="URL", help="default: $TIDEGATE_URL, or this process")
    parser.add_argument("--policy", metavar="FILE", help="default: examples/policy.yaml")
    parser.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:8000")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        parser.error(f"--listen {options.listen}: expected HOST:PORT")
    for name, value in {"TIDEGATE_URL": options.store, "POLICY": options.policy}.items():
        if value is not None:
            os.environ[name] = value

    from app import app  # reads both

    # asyncio turns Nagle's delay off only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(128)
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
