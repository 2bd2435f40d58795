# SPDX-License-Identifier: MIT
"""report, top, limited_now, look_up, events, metrics: of both gates, embedded and on a server."""

from __future__ import annotations

import asyncio
import os

import pytest

import tidegate
import tidegate.aio
from tidegate.testing import FakeClock


@pytest.fixture
def busy():
    gate = tidegate.connect("memory://", clock=FakeClock(), labels="clear")
    api = gate.limiter("5/minute", name="api")
    gate.limiter("2 at once", name="slots")
    for i in range(4):
        for _ in range(6 + i):
            api.consume(f"user:{i}")
    return gate


def test_a_report_has_the_limiters_and_the_series_that_were_asked_for(busy):
    report = busy.report()
    assert "series" not in report
    assert report["limiters"]["api"]["denied"] == 1 + 2 + 3 + 4
    assert report["limiters"]["api"]["cost"] == report["allowed"] == 20
    series = busy.report(period="10m", step="1m", limiter="api")["series"]
    assert len(series["allowed"]) == 10
    assert series["allowed"][-1] == 20
    assert len(busy.report("1h")["series"]["denied"]) == 60
    with pytest.raises(tidegate.Error, match="10 s"):
        busy.report("1h", "7s")


def test_callers_are_shown_as_the_option_says(busy):
    assert busy.top("api", n=2) == [
        {"caller": "user:3", "denied": 4},
        {"caller": "user:2", "denied": 3},
    ]
    assert {"caller", "cost"} == set(busy.top("api", by="cost")[0])
    limited = busy.limited_now("api")
    assert [one["denied"] for one in limited] == [4, 3, 2, 1]
    assert limited[0]["retry_after_us"] == 12_000_000
    masked = tidegate.connect("memory://")
    api = masked.limiter("1/day", name="api")
    for _ in range(3):
        api.consume("user:42")
    assert masked.top("api")[0]["caller"].startswith("use~")
    assert "user:42" not in str(masked.report()) + str(masked.events()) + masked.metrics()
    with pytest.raises(tidegate.Error, match='"nobody"'):
        masked.top("nobody")
    with pytest.raises(tidegate.Error, match="expected .denied. or .cost."):
        masked.top("api", by="weight")


def test_a_caller_is_looked_up_by_any_key(busy):
    found = busy.look_up("user:3")["limiters"]
    assert found["api"]["allowed"] is False
    assert found["api"]["denied"] == 4
    assert found["slots"]["rates"][0]["remaining"] == 2
    assert busy.look_up(42)["limiters"]["api"]["allowed"] is True
    assert busy.look_up(b"\xff")["caller"] == "\ufffd"
    with pytest.raises(tidegate.Error):
        busy.look_up("")
    busy.close()
    with pytest.raises(tidegate.ClosedError):
        busy.look_up("user:3")
    assert busy.report()["denied"] == 10, "figures are still to be had"


def test_events_go_on_behind_an_id(busy):
    events = busy.events()
    assert [event["kind"] for event in events] == ["denied"] * 4
    assert busy.events(after=events[1]["id"]) == events[2:]
    assert busy.events(limit=1) == events[3:]


def test_metrics_in_both_formats(busy):
    line = 'tidegate_decisions_total{limiter="api",outcome="denied",source="memory"} 10\n'
    assert line in busy.metrics()
    assert busy.metrics(openmetrics=True).endswith("# EOF\n")


def test_the_asynchronous_gate_has_the_same():
    async def main():
        gate = tidegate.aio.connect("memory://")
        api = gate.limiter("1/day", name="api")
        await api.consume("user:42")
        await api.consume("user:42")
        assert gate.report()["limiters"]["api"]["denied"] == 1
        assert gate.top("api")[0]["denied"] == 1
        assert (await gate.look_up("user:42"))["limiters"]["api"]["allowed"] is False

    asyncio.run(main())


def test_a_server_is_asked_without_the_loop_and_its_time_is_measured(own_store):
    url = own_store.start().url(timeout_ms=2000)
    with tidegate.connect(url) as gate:
        api = gate.limiter("1/day", name="api")
        assert api.consume("user:42").allowed
        assert not api.consume("user:42").allowed
        its = gate.look_up("user:42")["limiters"]["api"]
        assert (its["allowed"], its["source"]) == (False, "store")
        report = gate.report()
        assert report["limiters"]["api"]["decisions"]["store"]["denied"] == 1
        assert report["durations"]["decisions"]["count"] == 2
        assert report["durations"]["round_trips"]["count"] >= 3
        assert report["durations"]["decisions"]["p50_us"] > 0

    async def main():
        async with tidegate.aio.connect(url) as other:
            other.limiter("1/day", name="api")
            its = (await other.look_up("user:42"))["limiters"]["api"]
            assert (its["allowed"], its["source"]) == (False, "store")

    asyncio.run(main())


def test_a_forked_child_begins_with_figures_of_its_own(busy):
    child = os.fork()
    if child == 0:
        os._exit(0 if busy.report()["denied"] == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert busy.report()["denied"] == 10
