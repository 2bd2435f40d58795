# SPDX-License-Identifier: MIT
"""Every scenario of the reference model through the Python API, embedded and on every server."""

from __future__ import annotations

import asyncio
import json
import math

import pytest
from conftest import ROOT

import tidegate
from tidegate.testing import FakeClock

CASES = [json.loads(line) for line in (ROOT / "tests/conformance/vectors.jsonl").open()]
SLOTS = [json.loads(line) for line in (ROOT / "tests/conformance/slots.jsonl").open()]
HTTP = [json.loads(line) for line in (ROOT / "tests/conformance/http.jsonl").open()]


def seconds(us):
    return math.inf if us == -1 else us / 1e6


def rate_text(limit):
    if limit["algorithm"] == "concurrency":
        return f"{limit['limit']} at once"
    burst = f" burst {limit['burst']}" if limit["burst"] is not None else ""
    overdraft = f" overdraft {limit['overdraft']}" if limit.get("overdraft") else ""
    return f"{limit['limit']}/{limit['window_us']}us{burst}{overdraft}"


def lease_text(limit):
    return f"{limit['window_us']}us" if limit["algorithm"] == "concurrency" else None


def open_limit(gate, name, limit):
    return gate.limiter(
        rate_text(limit),
        name,
        algorithm=limit["algorithm"],
        mode="shadow" if limit["shadow"] else "enforce",
        lease=lease_text(limit),
    )


def figures(decision):
    return [
        (part.allowed, part.remaining, part.retry_after, part.next_after, part.reset_after)
        for part in decision.parts
    ]


def expected_figures(answers):
    return [
        (
            one["allowed"],
            one["remaining"],
            seconds(one["retry_after_us"]),
            seconds(one["next_us"]),
            seconds(one["reset_after_us"]),
        )
        for one in answers
    ]


async def finished(value):
    return await value if hasattr(value, "__await__") else value


async def play(case, gate, clock):
    limiters = [open_limit(gate, f"l{i}", limit) for i, limit in enumerate(case["limits"])]
    for number, step in enumerate(case["steps"]):
        clock.now_us = step["at"]
        where = f"{case['id']} step {number}"
        if step["op"] == "change":
            limit = step["to"]
            limiters[step["limit"]].change(
                rate_text(limit), algorithm=limit["algorithm"], lease=lease_text(limit)
            )
            continue
        parts = [
            (limiters[p["limit"]], p["key"], p["cost"]) + ((p["id"].encode(),) if "id" in p else ())
            for p in step["parts"]
        ]
        if step["op"] in ("consume", "peek", "debit"):
            decision = await finished(getattr(gate, step["op"])(parts))
            expect = step["expect"]
            assert decision.allowed == expect["allowed"], where
            assert figures(decision) == expected_figures(expect["parts"]), where
            short = [one.get("short", 0) for one in expect["parts"]]
            assert [part.shortfall for part in decision.parts] == short, where
            assert decision.source in ("memory", "store"), where
            speaks = decision.parts[expect["binding"]]
            assert (decision.retry_after, decision.remaining, decision.limit) == (
                speaks.retry_after,
                speaks.remaining,
                speaks.limit,
            ), where
            if len(parts) == 1 and len(parts[0]) == 3:
                again = await finished(limiters[step["parts"][0]["limit"]].peek(*parts[0][1:]))
                assert len(again.parts) == 1
        else:
            if step["op"] == "reset":
                await finished(gate.reset([part[:2] for part in parts]))
            else:
                await finished(gate.refund(parts))


@pytest.mark.parametrize("kind", ["sync", "aio"])
@pytest.mark.parametrize("cases", [CASES, SLOTS], ids=["rates", "slots"])
def test_the_scenarios_of_the_model(url, kind, cases):
    async def main():
        for number, case in enumerate(cases):
            clock = FakeClock(case["steps"][0]["at"])
            options = (
                {} if url == "memory://" else {"namespace": f"{namespace_of(url)}.{kind}{number}"}
            )
            connect = tidegate.connect if kind == "sync" else tidegate.aio.connect
            gate = connect(url, clock=clock, **options)
            try:
                await play(case, gate, clock)
            finally:
                await finished(gate.close() or 0)

    asyncio.run(main())


def namespace_of(url):
    return url.partition("namespace=")[2].partition("&")[0]


def test_who_the_caller_is():
    from tidegate import _tidegate

    checked = 0
    for case in HTTP:
        if "caller" not in case:
            continue
        asked, expect = case["caller"], case["expect"]
        trusted = asked["trusted"]
        key_of = _tidegate.CallerKey(
            [
                (
                    "trusted_proxies",
                    ",".join(trusted) if isinstance(trusted, list) else str(trusted),
                ),
                ("ipv6_prefix", str(asked["ipv6_prefix"])),
            ]
        )
        assert (
            key_of(asked["identity"] or "", asked["peer"], ",".join(asked["forwarded_for"]))
            == expect["key"]
        ), case
        checked += 1
    assert checked >= 100


def test_headers_bodies_and_status(url):
    """The header cases that a gate can be brought into: one consume each on a fresh gate."""
    import sys

    sys.path.insert(0, str(ROOT / "tests/conformance"))
    from http_model import Policy, headers, problem, status
    from model import Limit, Part, Store

    checked = 0
    for number, case in enumerate(HTTP):
        if "headers" not in case or number % 3:
            continue
        policies = case["headers"]["policies"]
        limits = [
            Limit(p["algorithm"], p["limit"], p["window_us"], p["burst"], p["shadow"])
            for p in policies
        ]
        names = [f"p{i}" for i in range(len(limits))]
        clock = FakeClock()
        options = {} if url == "memory://" else {"namespace": f"{namespace_of(url)}.h{number}"}
        model = Store(limits)
        with tidegate.connect(url, clock=clock, **options) as gate:
            limiters = [open_limit(gate, name, p) for name, p in zip(names, policies)]
            for cost in (1, limits[0].capacity, 1, limits[0].capacity + 1):
                decision = gate.consume([(limiter, "k", cost) for limiter in limiters])
                expect = model.consume(
                    clock.now_us, [Part(i, "k", cost) for i in range(len(limits))]
                )
                seen = [
                    (Policy(name, limit), answer)
                    for name, limit, answer in zip(names, limits, expect.parts)
                ]
                style = ["standard", "legacy-delta"]
                assert list(decision.headers(style).items()) == headers(
                    seen, expect.allowed, expect.binding, decision.source, style, 0
                ), case
                assert decision.status == status(expect.allowed, decision.source)
                body = (
                    b""
                    if expect.allowed
                    else problem(seen, expect.binding, decision.source).encode()
                )
                assert decision.problem() == body, case
                checked += 1
    assert checked > 100
