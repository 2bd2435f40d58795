# SPDX-License-Identifier: MIT
"""Valkey on a unix socket: one caller, an event loop with 64 in flight, 16 threads, one hot key."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import threading
import time

import limits
import limits.aio
import redis
import uvloop
from common import Server, interleaved, named, row

import tidegate
import tidegate.aio

RATE = "1000000000/second"
SCRIPT = """
local n = redis.call('INCRBY', KEYS[1], ARGV[1])
if n == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return n
"""


def words_we_send(server, path):
    """Writes the command that we send, as MONITOR shows it, for a blocking client to repeat."""
    client = redis.Redis(unix_socket_path=server.socket)
    with tidegate.connect(f"unix://{server.socket}", timeout_ms=5000) as gate:
        api = gate.limiter(RATE)
        api.consume("user:raw")
        with client.monitor() as monitor:
            api.consume("user:raw")
            while True:
                line = monitor.connection.read_response(disable_decoding=True).decode("latin-1")
                if "EVALSHA" in line.upper() and "lua" not in line.split("]")[0]:
                    break
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', line.split("]", 1)[1])
    with open(path, "wb") as out:
        for word in words:
            data = word.encode("latin-1").decode("unicode_escape").encode("latin-1")
            out.write(b"%d\n%s\n" % (len(data), data))


def p50_us(ask, count=3000):
    times = []
    for _ in range(count):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def one_caller(server):
    path = f"{server.folder}/words"
    words_we_send(server, path)
    gate = tidegate.connect(f"unix://{server.socket}", timeout_ms=5000)
    api = gate.limiter(RATE)

    def raw():
        command = [os.environ["TIDEGATE_BENCH_RAW"], server.socket, path, "4000"]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)

    def on(loop_factory):
        async def main():
            async with tidegate.aio.connect(f"unix://{server.socket}", timeout_ms=5000) as other:
                ask = other.limiter(RATE).consume
                times = []
                for _ in range(3000):
                    started = time.perf_counter()
                    await ask("user:raw")
                    times.append(time.perf_counter() - started)
                return statistics.median(times) * 1e6

        return lambda: run(loop_factory, main)[0]

    found = interleaved(
        {
            "raw": raw,
            "blocking": lambda: p50_us(lambda: api.consume("user:raw")),
            "asyncio": on(asyncio.new_event_loop),
            "uvloop": on(uvloop.new_event_loop),
        }
    )
    gate.close()
    peer = "a raw hiredis EVALSHA"
    return [
        row("one blocking caller, p50", found["blocking"], found["raw"], peer, 0.6, "us", "less"),
        row("one caller on asyncio, p50", found["asyncio"], found["raw"], peer, 1.15, "us", "less"),
        row("one caller on uvloop, p50", found["uvloop"], found["raw"], peer, 1.15, "us", "less"),
    ]


def run(loop_factory, main):
    """What main() returned, and the CPU seconds of this process meanwhile."""
    loop = loop_factory()
    try:
        started = time.process_time()
        return loop.run_until_complete(main()), time.process_time() - started
    finally:
        loop.close()


async def sixty_four(ask, each):
    """64 tasks, `each` decisions one after another: decisions a second."""

    async def caller(number):
        for i in range(each):
            await ask(f"user:{number}.{i % 500}")

    started = time.perf_counter()
    await asyncio.gather(*[caller(number) for number in range(64)])
    return 64 * each / (time.perf_counter() - started)


def on_a_loop(server, loop_factory, name):
    cpu = {}

    def ours(hot=False):
        async def main():
            async with tidegate.aio.connect(f"unix://{server.socket}", timeout_ms=5000) as gate:
                ask = gate.limiter(RATE).consume
                return await sixty_four((lambda key: ask("hot")) if hot else ask, 1500)

        speed, seconds = run(loop_factory, main)
        cpu.setdefault("hot" if hot else "ours", []).append(seconds / (64 * 1500) * 1e6)
        return speed

    def theirs():
        async def main():
            storage = limits.aio.storage.RedisStorage(
                f"async+redis+unix://{server.socket}", implementation="redispy"
            )
            strategy = limits.aio.strategies.FixedWindowRateLimiter(storage)
            rate = limits.parse(RATE)
            return await sixty_four(lambda key: strategy.hit(rate, key), 60)

        speed, seconds = run(loop_factory, main)
        cpu.setdefault("limits", []).append(seconds / (64 * 60) * 1e6)
        return speed

    def script():
        async def main():
            client = redis.asyncio.Redis(unix_socket_path=server.socket)
            ask = client.register_script(SCRIPT)
            speed = await sixty_four(lambda key: ask(keys=[key], args=[1, 1]), 60)
            await client.aclose()
            return speed

        return run(loop_factory, main)[0]

    found = interleaved(
        {"ours": ours, "hot": lambda: ours(True), "limits": theirs, "script": script}
    )
    mine, other = (statistics.median(cpu[kind]) for kind in ("ours", "limits"))
    package = f"{named('limits')}, {named('redis')}"
    return [
        row(f"{name}, 64 in flight", found["ours"], found["limits"], package, 10, "/s"),
        row(f"{name}, 64 in flight, beside a script", found["ours"], found["script"],
            named("redis"), 10, "/s"),
        row(f"{name}, client CPU per decision", mine, other, package, 1 / 15, "us", "less"),
        row(f"{name}, one hot key, 64 in flight", found["hot"], found["ours"],
            "our distinct keys", 2, "/s"),
    ]  # fmt: skip


def threads(server):
    gate = tidegate.connect(f"unix://{server.socket}", timeout_ms=5000)
    api = gate.limiter(RATE)
    storage = limits.storage.RedisStorage(f"redis+unix://{server.socket}")
    strategy = limits.strategies.FixedWindowRateLimiter(storage)
    rate = limits.parse(RATE)

    def speed(ask, each):
        def work(number):
            for i in range(each):
                ask(f"user:{number}.{i}")

        def measure():
            workers = [threading.Thread(target=work, args=(number,)) for number in range(16)]
            started = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return 16 * each / (time.perf_counter() - started)

        return measure

    found = interleaved(
        {
            "ours": speed(api.consume, 2000),
            "limits": speed(lambda key: strategy.hit(rate, key), 200),
        }
    )
    gate.close()
    package = f"{named('limits')}, {named('redis')}"
    return [row("16 threads", found["ours"], found["limits"], package, 5, "/s")]


def rows():
    with Server() as server:
        return [
            *one_caller(server),
            *on_a_loop(server, asyncio.new_event_loop, "asyncio"),
            *on_a_loop(server, uvloop.new_event_loop, "uvloop"),
            *threads(server),
        ]
