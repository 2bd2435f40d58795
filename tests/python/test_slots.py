# SPDX-License-Identifier: MIT
"""Slots: held, renewed, lost, and given back, by the lease where nobody else can."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import trio
from conftest import wait_for

import tidegate
import tidegate.aio
from tidegate import _keeper
from tidegate.testing import FakeClock


@pytest.fixture
def gate(url):
    with tidegate.connect(url) as gate:
        yield gate


def free(limiter, key="k"):
    return limiter.peek(key, 0).remaining


def test_slots_are_held_for_the_block(gate):
    limiter = gate.limiter("2 at once", "s", lease="30s")
    rate = limiter.rates[0]
    assert (rate.limit, rate.window, rate.algorithm) == (2, 30.0, "concurrency")
    with limiter.slot("k") as one, limiter.slot("k") as two:
        assert one and two and free(limiter) == 0 and one.id != two.id and len(one.id) == 16
        with limiter.slot("k") as none:
            assert not none and 0 < none.decision.retry_after <= 30
        assert not none.lost
        two.release()
        two.release()
        assert free(limiter) == 1
    with pytest.raises(KeyError), limiter.slot("k", 2):
        raise KeyError
    assert free(limiter) == 2


def test_the_low_level_calls_and_ids_of_parts(gate):
    limiter, api = gate.limiter("2 at once", "s"), gate.limiter("10/hour", "api")
    assert not limiter.acquire("k", b"a").parts[0].renewed
    assert limiter.renew("k", b"a").parts[0].renewed and free(limiter) == 1
    assert gate.consume([(api, "k", 4), (limiter, "k", 1, b"b")]) and free(limiter) == 0
    assert not limiter.acquire("k", id=b"c", cost=1)
    limiter.release("k", b"a")
    limiter.release("k", b"a")
    gate.refund([(limiter, "k", 1, b"b"), (api, "k", 4)])
    assert free(limiter) == 2 and free(api) == 10
    with pytest.raises(tidegate.ConfigError, match="taken under an id: expected 1 to 16") as error:
        limiter.consume("k")
    assert (error.value.name, error.value.kind) == ("TG_EID", "config")
    for wrong in (b"", bytes(4), bytes(17)):
        with pytest.raises(tidegate.ConfigError, match="1 to 16"):
            limiter.acquire("k", wrong)
    with pytest.raises(TypeError, match="id: expected bytes"):
        limiter.acquire("k", "text")
    with pytest.raises(TypeError, match="misses its argument 'id'"):
        limiter.acquire("k")
    with pytest.raises(tidegate.ConfigError, match="slots only"):
        api.slot("k")
    with pytest.raises(tidegate.ConfigError, match="1 or more"):
        limiter.slot("k", 0)


def test_a_held_slot_outlives_its_lease_and_a_dropped_one_goes(gate):
    limiter = gate.limiter("1 at once", "s", lease="300ms")
    slot = limiter.slot("k")
    assert slot
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert free(limiter) == 0
        time.sleep(0.02)
    assert not slot.lost
    del slot
    gc.collect()
    wait_for(lambda: free(limiter) == 1, "a dropped slot", 0.28)


def test_waiting_for_a_slot(gate):
    limiter = gate.limiter("1 at once", "s", lease="30s")
    held = limiter.slot("k")
    began = time.monotonic()
    assert not limiter.slot("k", timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 3
    assert not limiter.slot("k", 2, timeout=math.inf)  # more than there are: never
    threading.Timer(0.2, held.release).start()
    with limiter.slot("k", timeout=math.inf) as slot:
        assert slot
    with pytest.raises(tidegate.ConfigError):
        limiter.slot("k", timeout=-1)


def test_one_thread_renews_all_of_a_process():
    with tidegate.connect() as gate:
        limiter = gate.limiter("50 at once", "s", lease="150ms")
        slots = [limiter.slot("k") for _ in range(50)]
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("tidegate-slots") == 1
        time.sleep(0.6)
        assert free(limiter) == 0 and not any(slot.lost for slot in slots)
        for slot in slots:
            slot.release()
        assert free(limiter) == 50 and not _keeper.keeper._terms


def test_a_slot_that_is_gone_is_lost(gate):
    limiter = gate.limiter("1 at once", "s", lease="300ms")
    told = []
    with limiter.slot("k", on_lost=lambda: told.append(1)) as slot:
        limiter.release("k", slot.id)
        assert limiter.acquire("k", b"thief")
        wait_for(lambda: slot.lost, "the renewal", 5)
        wait_for(lambda: told, "the callback", 5)
    with limiter.slot("k", timeout=5) as slot:  # the thief's lease ends
        assert slot
        limiter.reset("k")
        wait_for(lambda: slot.lost, "the renewal", 5)
        assert free(limiter) == 0  # taken anew
    assert free(limiter) == 1 and told == [1]


def test_who_holds_stays_when_the_number_is_lowered_to_one(gate):
    limiter = gate.limiter("3 at once", "s", lease="300ms")
    with limiter.slot("k") as one, limiter.slot("k") as two:
        limiter.change("1 at once")
        time.sleep(0.8)
        assert not one.lost and not two.lost and not limiter.slot("k")
    with limiter.slot("k") as slot:
        assert slot and not limiter.slot("k")


def test_a_clock_of_tests_drives_the_renewals():
    clock = FakeClock()
    with tidegate.connect(clock=clock) as gate:
        limiter = gate.limiter("1 at once", "s", lease="30s")
        with limiter.slot("k") as slot:
            for _ in range(10):
                before = slot._term.due
                clock.advance(10)
                wait_for(lambda: slot._term.due > before, "a renewal")
            assert free(limiter) == 0 and not slot.lost


def test_a_slot_of_the_fallback_is_renewed_and_released_there(own_store):
    url = own_store.url(timeout_ms=200, breaker_failures=1)
    with tidegate.connect(url) as gate:
        limiter = gate.limiter("1 at once", "s", lease="600ms")
        is_open = gate.limiter("1 at once", "o", on_failure="open")
        slot, nothing = limiter.slot("k"), is_open.slot("k")
        assert slot.decision.source == "fallback" and nothing
        assert nothing.decision.source == "fail_open" and not nothing._term.held
        time.sleep(1.5)
        assert not limiter.slot("k") and not slot.lost
        slot.release()
        nothing.release()
        assert free(limiter) == 1


def test_renewals_go_on_trying_until_the_lease_is_over(own_store):
    own_store.start()
    with tidegate.connect(own_store.url(timeout_ms=100, breaker_failures=1000)) as gate:
        limiter = gate.limiter("1 at once", "s", lease="3s", on_failure="closed")
        slot = limiter.slot("k")
        assert slot.decision.source == "store"
        own_store.pause()
        time.sleep(1.6)
        own_store.resume()
        time.sleep(2.5)
        assert not slot.lost and free(limiter) == 0
        own_store.pause()
        began = time.monotonic()
        wait_for(lambda: slot.lost, "the end of the lease", 10)
        assert time.monotonic() - began > 1.5
        slot.release()  # does not raise


WORKER = """
import sys, time, tidegate
gate = tidegate.connect(sys.argv[1])
limiter = gate.limiter("2 at once", "s", lease="1500ms")
slots = [limiter.slot("k"), limiter.slot("k")]
assert all(slots)
time.sleep(float(sys.argv[2]))      # renewed meanwhile
print("held", flush=True)
if sys.argv[3] == "stay":
    time.sleep(60)
"""


def worker(url, seconds, then):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url, str(seconds), then], stdout=subprocess.PIPE
    )


def test_the_slots_of_a_killed_worker_are_free_after_its_lease_not_before(store):
    url = store.url(timeout_ms=5000)
    with tidegate.connect(url) as gate:
        limiter = gate.limiter("2 at once", "s", lease="1500ms")
        process = worker(url, 2, "stay")
        assert process.stdout.readline() == b"held\n"
        lease_left = limiter.peek("k", 1).retry_after
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        process.wait()
        process.stdout.close()
        with limiter.slot("k", timeout=10) as slot:
            waited = time.monotonic() - killed
            assert slot and lease_left - 0.05 <= waited
            assert waited < 4
        wait_for(lambda: free(limiter) == 2, "the other one")


def test_a_process_that_ends_with_slots_held_does_not_hang(store):
    for _ in range(4):
        process = worker(store.url(timeout_ms=5000), 0, "end")
        try:
            assert process.communicate(timeout=30)[0] == b"held\n" and process.returncode == 0
        finally:
            process.kill()


def test_a_forked_child_holds_nothing_and_may_take_its_own(store):
    with tidegate.connect(store.url(timeout_ms=5000)) as gate:
        limiter = gate.limiter("2 at once", "s", lease="1s")
        with limiter.slot("k") as slot:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    slot.release()  # the parent's: nothing happens
                    with limiter.slot("k") as own:
                        time.sleep(1.5)
                        code = 0 if own and not own.lost and free(limiter) == 0 else 2
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
            assert free(limiter) == 1 and not slot.lost
        assert free(limiter) == 2


def play(run, main):
    return run(main) if run is trio.run else run(main())


LOOPS = pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
sleep = tidegate.aio._loops.sleep


@LOOPS
def test_slots_of_an_event_loop(url, run):
    async def main():
        async with tidegate.aio.connect(url) as gate:
            limiter = gate.limiter("1 at once", "s", lease="300ms")

            async def free():
                return (await limiter.peek("k", 0)).remaining

            async with limiter.slot("k") as slot:
                assert slot and slot.decision.allowed
                await sleep(1)
                assert await free() == 0 and not slot.lost
                async with limiter.slot("k", timeout=0.1) as none:
                    assert not none
                limiter_id = slot.id
                await limiter.release("k", limiter_id)
                await limiter.acquire("k", b"thief")
                for _ in range(200):
                    if slot.lost:
                        break
                    await sleep(0.01)
                assert slot.lost
            await limiter.release("k", b"thief")
            assert await free() == 1
            with pytest.raises(KeyError):
                async with limiter.slot("k"):
                    raise KeyError
            assert await free() == 1
            slot = await limiter.slot("k")
            await slot.release()
            assert await free() == 1
            slot = await limiter.slot("k")
            assert await free() == 0
            del slot
            gc.collect()
            for _ in range(20):
                if await free() == 1:
                    break
                await sleep(0.01)
            assert await free() == 1
            with pytest.raises(TypeError, match="was not awaited"):
                bool(limiter.slot("k"))

    play(run, main)


@pytest.mark.parametrize("pauses", range(6))
def test_who_is_cancelled_holds_nothing(url, pauses):
    async def holder(limiter):
        async with limiter.slot("k", timeout=60):
            await asyncio.sleep(60)

    async def main():
        async with tidegate.aio.connect(url) as gate:
            limiter = gate.limiter("1 at once", "s", lease="60s")
            tasks = [asyncio.ensure_future(holder(limiter)) for _ in range(3)]
            for _ in range(pauses):
                await asyncio.sleep(0 if pauses < 5 else 0.03)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            for _ in range(300):
                if (await limiter.peek("k", 0)).remaining == 1:
                    break
                await asyncio.sleep(0.01)
            assert (await limiter.peek("k", 0)).remaining == 1
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

    asyncio.run(main())


@pytest.mark.parametrize("after", [0, 0.001, 0.05])
def test_who_is_cancelled_in_trio_holds_nothing(url, after):
    async def main():
        async with tidegate.aio.connect(url) as gate:
            limiter = gate.limiter("1 at once", "s", lease="60s")

            async def holder():
                async with limiter.slot("k", timeout=60):
                    await trio.sleep(60)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(holder)
                nursery.start_soon(holder)
                await trio.sleep(after)
                nursery.cancel_scope.cancel()
            with trio.move_on_after(3):
                while (await limiter.peek("k", 0)).remaining != 1:
                    await trio.sleep(0.01)
            assert (await limiter.peek("k", 0)).remaining == 1

    trio.run(main)


def test_a_loop_that_ends_with_slots_held_does_not_hang(store):
    url = store.url(timeout_ms=5000)

    async def main():
        gate = tidegate.aio.connect(url)
        limiter = gate.limiter("1 at once", "s", lease="500ms")
        kept.append((gate, await limiter.slot("k")))

    for run in (asyncio.run, trio.run):
        kept = []
        began = time.monotonic()
        play(run, main)
        assert time.monotonic() - began < 5 and kept[0][1]
        kept[0][0]._close()
        kept.clear()
        time.sleep(0.6)
