# SPDX-License-Identifier: MIT
"""Forks, exits, collection, interpreters: what happens around the calls."""

from __future__ import annotations

import gc
import importlib.metadata
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import pytest

import tidegate
from conftest import ROOT


def run_code(code, *arguments, timeout=60):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def in_child(work):
    """Runs work() in a forked child and returns what it returned (a str); a child that hangs is a
    failure."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(work()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    end = time.monotonic() + 30
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, 9)
            os.waitpid(child, 0)
            raise AssertionError("the child hangs")
        time.sleep(0.01)
    with os.fdopen(reading) as answer:
        text = answer.read()
    assert ended[1] == 0, f"the child ended with status {ended[1]}: {text}"
    return text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_goes_on_with_the_same_limits(store):
    with tidegate.connect(store.url()) as gate:
        api = gate.limiter("10/hour", name="api")
        other = gate.limiter("5/hour", name="other")
        api.change("3/hour")
        assert api.consume("a")
        assert (
            in_child(
                lambda: (
                    api.consume("a").remaining,
                    other.consume("a").remaining,
                    gate.ping() >= 0,
                    api.name,
                )
            )
            == "(1, 4, True, 'api')"
        )
        assert api.consume("a").remaining == 0
        assert gate.consume([(other, "a")]).remaining == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_gate_and_its_limiters_look_the_same_in_a_child(url):
    with tidegate.connect(url) as gate:
        api = gate.limiter("10/hour", name="api")
        assert in_child(lambda: (gate, gate.url)) == str((gate, gate.url))
        assert in_child(lambda: (api, api.rates)) == str((api, api.rates))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_embedded_store_starts_empty_in_a_child():
    with tidegate.connect() as gate:
        api = gate.limiter("2/hour", name="api")
        api.consume("a")
        assert in_child(lambda: (api.consume("a").remaining, gate.stats().allowed)) == "(1, 1)"
        assert api.consume("a").remaining == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_threads_are_asking(store):
    with tidegate.connect(store.url()) as gate:
        api = gate.limiter("1000000/hour", name="api")
        stop = threading.Event()

        def work():
            while not stop.is_set():
                api.consume("a")

        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        try:
            for _ in range(10):
                assert in_child(lambda: (api.consume("b").allowed, gate.close())) == "(True, None)"
        finally:
            stop.set()
            [thread.join() for thread in threads]
        assert api.consume("a")


FIRST_NEWS = """
import os, signal, threading, tidegate

gate = tidegate.connect("redis://127.0.0.1:1", connect_timeout_ms=100)
api = gate.limiter("1000000/hour", name="api")
for _ in range(4):
    threading.Thread(target=lambda: [api.consume("a") for _ in range(2_000)], daemon=True).start()
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if api.consume("b").allowed else 1)
os._exit(os.waitpid(child, 0)[1] and 3)
"""


def test_a_fork_while_the_first_news_is_told_does_not_hang_the_child():
    """Another thread is importing logging for it, most of the time."""
    for _ in range(6):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", FIRST_NEWS], timeout=60)
        assert done.returncode == 0, "the child hangs"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_in_the_middle_of_a_call_does_not_hang_the_child():
    """Threads are in a call's own few instructions most of the time where the store is known to be
    away: one of some hundred forks meets one that has a lock."""
    with tidegate.connect("redis://127.0.0.1:1", connect_timeout_ms=100) as gate:
        api = gate.limiter("1000000/hour", name="api")
        stop = threading.Event()

        def work():
            while not stop.is_set():
                api.consume("a")

        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        try:
            for _ in range(100):
                child = os.fork()
                if child == 0:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    signal.alarm(20)
                    os._exit(0 if api.consume("b").allowed else 1)
                assert os.waitpid(child, 0)[1] == 0, "the child hangs"
        finally:
            stop.set()
            [thread.join() for thread in threads]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_a_thread_has_the_shared_gates_lock():
    from tidegate._web import shared

    with shared._lock:
        assert in_child(lambda: shared.get("memory://").url) == "memory://"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_asynchronous_gate_in_a_child(store):
    import asyncio

    import tidegate.aio

    gate = tidegate.aio.connect(store.url())
    api = gate.limiter("3/hour", name="api")

    async def ask():
        return (await api.consume("a")).remaining

    assert asyncio.run(ask()) == 2
    assert in_child(lambda: asyncio.run(ask())) == "1"
    assert asyncio.run(ask()) == 0
    asyncio.run(gate.close())


def work_in_pool(url):
    with tidegate.connect(url, timeout_ms=30_000) as gate:
        return sum(gate.limiter("100/hour", name="api").consume("a").allowed for _ in range(50))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_shares_a_limit(store, method):
    with multiprocessing.get_context(method).Pool(4) as pool:
        assert sum(pool.map(work_in_pool, [store.url()] * 4)) == 100


def test_an_open_gate_at_exit_is_no_trouble(store):
    assert (
        run_code(
            """
        import asyncio, sys, threading
        import tidegate, tidegate.aio
        gate = tidegate.connect(sys.argv[1])
        api = gate.limiter("10/hour", name="api")
        assert api.consume("a")
        async def main():
            other = tidegate.aio.connect(sys.argv[1])
            globals()["kept"] = other
            assert await other.limiter("10/hour", name="api").consume("a")
        asyncio.run(main())
        def busy(): return [api.consume("b") for _ in range(10**6)]
        threading.Thread(target=busy, daemon=True).start()
        print("done")
    """,
            store.url(),
        )
        == "done\n"
    )


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("call", ["api.consume('b')", "gate.consume([(api, 'b')])", "gate.ping()"])
def test_threads_that_ask_for_ever_do_not_disturb_the_end(store, call, away):
    url = "redis://127.0.0.1:1" if away else store.url(timeout_ms=5000)
    code = f"""
        import atexit, sys, threading, time
        import logging, tidegate
        logging.disable()
        gate = tidegate.connect(sys.argv[1])
        api = gate.limiter("10/hour", name="api")
        atexit.register(lambda: print(bool(gate.peek([(api, "other")]))))
        def busy():
            while True:
                try: {call}
                except tidegate.StoreError: pass
        for _ in range(4): threading.Thread(target=busy, daemon=True).start()
        time.sleep(0.1)
        print("done")
    """
    for _ in range(5):
        assert run_code(code, url) == "done\nTrue\n"


def test_a_limiter_is_made_by_a_gate_only():
    code = """
        import tidegate, tidegate.aio
        for kind in (tidegate.Limiter, tidegate.aio.Limiter):
            for arguments in ((), ("100/minute",), (None, "1/minute"), (None,) * 7, (1, "1/minute"),
                              (tidegate.connect(), "1/minute", *[None] * 5)):
                try: kind(*arguments)
                except TypeError as error: assert "made by a gate" in str(error), error
                else: print(kind, arguments)
            try: kind(None, rates="1/minute")
            except TypeError as error: assert "made by a gate" in str(error), error
        print("alive")
    """
    assert run_code(
        "import warnings; warnings.simplefilter('ignore')\n" + textwrap.dedent(code)
    ) == ("alive\n")


def test_importing_again():
    code = """
        import importlib, sys
        import tidegate, tidegate.aio
        kept = tidegate.connect()
        api = kept.limiter("2/minute")
        first = tidegate
        for name in [name for name in sys.modules if name.startswith("tidegate")]:
            del sys.modules[name]
        import tidegate
        assert tidegate is not first
        importlib.reload(tidegate._tidegate)
        importlib.reload(tidegate)
        with tidegate.connect() as gate:
            assert gate.limiter("1/minute").consume("a")
            try: gate.limiter("5/fortnight")
            except tidegate.ConfigError: print("ok")
        assert api.consume("a").remaining == 1 and isinstance(api.consume("a"), tidegate.Decision)
        kept.close()
    """
    assert run_code(code) == "ok\n"


def test_an_unclosed_gate_warns_when_it_is_collected(url):
    with pytest.warns(ResourceWarning, match="unclosed <tidegate.Gate"):
        gate = tidegate.connect(url)
        gate.limiter("1/hour").consume("a")
        gate.on_event(gate.on_event)  # a cycle
        del gate
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tidegate.connect(url) as closed:
            closed.ping()
        del closed
        gc.collect()


def test_a_gate_lives_as_long_as_its_limiters(url):
    api = tidegate.connect(url).limiter("2/hour")
    gc.collect()
    decision = api.consume("a")
    assert decision
    api.gate.close()
    del api
    gc.collect()
    assert decision.name == "2-per-3600s" and decision.headers()


def test_sub_interpreters_are_refused():
    script = """if True:
        try:
            import tidegate
        except ImportError as error:
            print("refused:", error, flush=True)
        else:
            print("imported", flush=True)
    """
    code = f"""
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        import tidegate
        gate = tidegate.connect()
        sub = interpreters.create()
        interpreters.run_string(sub, {script!r})
        interpreters.destroy(sub)
        print("still here", bool(gate.limiter("1/hour").consume("a")))
        gate.close()
    """
    out = run_code(code)
    assert "refused:" in out and "imported" not in out and "still here True" in out


def test_importing_is_quick_and_lazy():
    loaded = run_code("""
        import sys, tidegate
        print([name for name in ("asyncio", "fastapi", "starlette", "trio") if name in sys.modules])
    """)
    assert loaded == "[]\n"


def test_the_licences_of_what_is_linked_in_come_along():
    brought = [
        file.read_text()
        for file in importlib.metadata.files("tidegate")
        if file.name == "THIRD_PARTY_LICENSES" and file.parent.name == "licenses"
    ]
    assert brought == [(ROOT / "packaging/THIRD_PARTY_LICENSES").read_text()]
    for project in ("hiredis", "libyaml", "xxHash", "OpenSSL", "pybind11"):
        assert re.search(rf"^{project}\n=+\n\n", brought[0], re.M), project


def test_nothing_but_the_init_function_is_visible():
    module = Path(tidegate._tidegate.__file__)
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", str(module)], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert [line.split()[-1] for line in symbols if line] == ["PyInit__tidegate"]
    needed = subprocess.run(
        ["readelf", "-d", str(module)], capture_output=True, text=True, check=True
    ).stdout
    libraries = [
        line.rsplit("[", 1)[1].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line
    ]
    assert libraries and all(
        name.startswith(("libc.", "libm.", "libpthread.", "libdl.", "ld-linux"))
        for name in libraries
    ), libraries


def test_the_package_and_the_core_are_of_one_version():
    from importlib.metadata import version

    assert version("tidegate") == tidegate.__version__ == tidegate._tidegate.version


def test_memory_is_given_back():
    out = run_code("""
        import gc, resource, tidegate
        gate = tidegate.connect(max_keys=1000)
        api = gate.limiter("10/second; 100/minute", name="api")
        def work(count):
            for i in range(count):
                decision = api.consume("a%d" % (i % 500))
                decision.parts, decision.headers(), repr(decision), decision.problem()
                try: api.consume("")
                except tidegate.ConfigError: pass
        work(20000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work(60000)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        gate.close()
    """)
    assert int(out) < 4096  # kB
