# SPDX-License-Identifier: MIT
"""Policies through the Python API: what applies to a request, gate.check, the live document."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from datetime import datetime, timedelta, timezone

import pytest
from conftest import ROOT, wait_for

import tidegate
import tidegate.aio
import tidegate.policy
from tidegate.testing import FakeClock

ROWS = [json.loads(line) for line in (ROOT / "tests/conformance/policy.jsonl").open()]
EPOLICY, EATTRIBUTE = -18, -19
POLICY = """
version: 1
limiters:
  basic: 3/minute
  pro: 100/minute
  images: {rate: 10/minute, mode: shadow}
tiers: {basic: [basic], pro: [pro]}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /v1/images/*}, limit: images, cost: "{images}"}
  - limit: tier
callers:
  k_pro: {tier: pro}
  k_evil: {ban: true, reason: scraping}
"""


def rows(member):
    return [pytest.param(row, id=row["id"]) for row in ROWS if member in row]


@pytest.mark.parametrize("row", rows("cases"))
def test_what_applies_is_what_the_model_says(row):
    text = json.dumps(row["policy"])
    assert tidegate.policy.validate(text) == []
    if "live_error_path" in row:
        with pytest.raises(tidegate.ConfigError) as caught:
            tidegate.policy.resolve(text, {}, json.dumps(row["live"]))
        assert caught.value.code == EPOLICY and caught.value.name == "TG_EPOLICY"
        assert f"{row['live_error_path'] or 'live'}: " in str(caught.value)
        return
    assert tidegate.policy.ignored(row["policy"], row["live"]) == row["ignored"]
    for case in row["cases"]:
        answer = tidegate.policy.resolve(text, case["request"], row["live"], case["now_us"])
        assert answer == case["expect"], case["request"]


@pytest.mark.parametrize("row", rows("error_path"))
def test_a_faulty_policy_is_refused_with_its_place(row):
    text = json.dumps(row["policy"]) + "\n"  # also what is no mapping
    faults = tidegate.policy.validate(text)
    assert [fault["path"] for fault in faults] == [row["error_path"]]
    assert set(faults[0]) >= {"path", "line", "column", "message"}
    with pytest.raises(tidegate.ConfigError) as caught:
        tidegate.connect(policy=text)
    assert caught.value.code == EPOLICY
    assert str(caught.value).startswith(f"line {faults[0]['line']}, column {faults[0]['column']}")


# ---- what a policy may be ----


def test_a_policy_is_a_path_a_text_or_a_mapping(tmp_path):
    file = tmp_path / "limits.yaml"
    file.write_text(POLICY)
    mapping = {"version": 1, "limiters": {"basic": "3/minute"}, "rules": [{"limit": "basic"}]}
    for policy in (file, str(file), POLICY, mapping, json.dumps(mapping)):
        with tidegate.connect(policy=policy, clock=FakeClock()) as gate:
            decision = gate.check(method="GET", path="/", identity="k")
            assert (decision.name, decision.remaining) == ("basic", 2), policy
    for wrong, kind in ((5, TypeError), ([], TypeError), ("", tidegate.ConfigError)):
        with pytest.raises(kind, match="policy"):
            tidegate.connect(policy=wrong)
    for wrong in (tmp_path / "nowhere.yaml", tmp_path, "limits-that-are-nowhere.yaml"):
        with pytest.raises(tidegate.Error) as caught:
            tidegate.connect(policy=wrong)
        assert str(wrong) in str(caught.value)


def test_a_mistake_in_a_policy_shows_line_and_place():
    with pytest.raises(tidegate.ConfigError, match=r"line 4.*rules\[0\].limit") as caught:
        tidegate.connect(policy="version: 1\nlimiters: {a: 1/s}\nrules:\n  - {limit: b}\n")
    assert caught.value.kind == "config" and isinstance(caught.value, ValueError)


# ---- checks ----


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def gate(url, clock):
    with tidegate.connect(url, policy=POLICY, clock=clock) as gate:
        yield gate


def test_a_check_is_a_decision_that_says_what_to_answer(gate):
    for left in (2, 1, 0):
        decision = gate.check(method="GET", path="/", identity="k_1")
        assert decision and decision.status == 200 and decision.verdict == "limits"
        assert (decision.name, decision.limit, decision.remaining) == ("basic", 3, left)
        assert decision.caller == "k_1" and decision.problem() == b""
    denied = gate.check(method="GET", path="/", identity="k_1")
    assert not denied and (denied.status, denied.retry_after) == (429, 20.0)
    assert denied.headers()["Retry-After"] == "20"
    assert denied.headers()["RateLimit-Policy"] == '"basic";q=3;w=60'
    assert json.loads(denied.problem())["violated-policies"] == ["basic"]
    assert gate.check(method="GET", path="/", identity="k_pro").limit == 100
    assert gate.check(method="GET", path="/", address="203.0.113.7").caller == "@203.0.113.7"


def test_bans_and_exemptions_ask_nobody(gate):
    banned = gate.check(method="GET", path="/", identity="k_evil")
    assert (banned.status, banned.verdict, banned.source) == (403, "banned", "policy")
    assert not banned and banned.reason == "scraping" and banned.retry_after == math.inf
    assert json.loads(banned.problem())["detail"] == "This caller is banned."
    exempt = gate.check(method="GET", path="/health", identity="k_1")
    assert (bool(exempt), exempt.verdict, exempt.headers(), exempt.parts) == (
        True,
        "exempt",
        {},
        (),
    )
    assert gate.stats().allowed == 0


def test_attributes_are_texts_numbers_and_booleans(gate):
    images = {"method": "POST", "path": "/v1/images/x", "identity": b"k_1"}
    assert gate.check(images, images=4).parts[0].remaining == 6
    assert gate.check(images, images="4").parts[0].remaining == 2
    assert gate.check({"x-any": True}, method="GET", path="/", tier=None, identity=7).caller == "7"
    for wrong in ([4], {"a": 1}, 4.5, object()):
        with pytest.raises(TypeError, match="attribute 'images': expected"):
            gate.check(images, images=wrong)
    with pytest.raises(TypeError, match="attributes: expected a mapping"):
        gate.check([("method", "GET")])


def test_mistakes_of_the_application_are_errors_and_charge_nothing(gate):
    for attributes, about in (
        ({"path": "/v1/images/x"}, "cost"),
        ({"path": "/v1/images/x", "images": "many"}, "cost"),
        ({"path": "/", "tier": "gold"}, "gold"),
    ):
        with pytest.raises(tidegate.ConfigError, match=about) as caught:
            gate.check(method="GET", identity="k", **attributes)
        assert caught.value.code == EATTRIBUTE
    assert gate.check(method="GET", path="/", identity="k").remaining == 2


def test_checks_of_one_request_charge_once(gate):
    asked = {"method": "GET", "path": "/", "identity": "k"}
    first = gate.check(asked)
    again = gate.check(asked, first)
    assert again and again.parts == () and again.headers()["X-RateLimit-Remaining"] == "2"
    assert gate.check(asked).remaining == 1


SETTLED = """
version: 1
limiters: {logins: 5/minute, tokens: 1000/minute overdraft 1000, jobs: {rate: 1 at once}}
rules:
  - {when: {path: /login}, limit: logins, count: failed}
  - {when: {path: /chat}, limit: tokens, cost: 100, settle: "{used}"}
  - {when: {path: /job}, limit: jobs}
"""


def test_the_response_settles(url, clock):
    with tidegate.connect(url, policy=SETTLED, clock=clock) as gate:

        def ask(path):
            return gate.check(method="POST", path=path, identity="k")

        for status in (200, 401):
            login = ask("/login")
            assert login.finish
            gate.finish(login, status)
        assert ask("/login").remaining == 3
        gate.finish(ask("/chat"), 200, used=350)
        assert ask("/chat").remaining == 550
        job = ask("/job")
        assert job.renew_after == 15.0 and not ask("/job")
        gate.renew(job)
        assert not ask("/job")
        gate.finish(job, 200)
        assert ask("/job")


def test_on_an_event_loop(url, clock):
    async def main():
        async with tidegate.aio.connect(url, policy=SETTLED, clock=clock) as gate:
            asked = {"method": "POST", "identity": "k"}
            login = await gate.check(asked, path="/login")
            assert login.remaining == 4 and login.finish
            gate.finish(login, 200)
            job = await gate.check(asked, path="/job")
            gate.renew(job)
            assert not await gate.check(asked, path="/job")
            gate.finish(job)
            many = [gate.check(asked, path="/chat") for _ in range(12)]
            assert [bool(one) for one in await asyncio.gather(*many)] == [True] * 10 + [False] * 2
            assert (await gate.check(asked, path="/login")).remaining == 4
            assert (await gate.policy.explain(asked, path="/job"))["verdict"] == "limits"
            assert await gate.policy.set_caller("k", ban=True) == 1
            assert (await gate.check(asked, path="/job")).status == 403
            assert gate.policy.live() == {"version": 1, "live": {"callers": {"k": {"ban": True}}}}
            with pytest.raises(tidegate.ConfigError):
                await gate.policy.set_limit("unheard", "1/minute")

    asyncio.run(main())


def test_in_trio(store):
    import trio

    async def main():
        async with tidegate.aio.connect(store.url(timeout_ms=5000), policy=SETTLED) as gate:
            decision = await gate.check(method="POST", path="/login", identity="k")
            gate.finish(decision, 200)
            assert await gate.policy.set_limit("logins", "50/minute") == 1
            assert (await gate.check(method="POST", path="/login", identity="k")).limit == 50

    trio.run(main)


@pytest.mark.heavy
def test_checks_that_wait_for_room_are_kept_whole():
    """A ring takes 65,536; the others are copied, attributes and all."""

    async def main():
        url = "redis://127.0.0.1:1?connect_timeout_ms=200"
        async with tidegate.aio.connect(url, policy=POLICY) as gate:
            asked = [
                gate.check(method="GET", path="/", identity=f"k{i}", tier="pro")
                for i in range(65_536 + 500)
            ]
            decisions = await asyncio.gather(*asked)
            assert {one.source for one in decisions} == {"fallback"}
            assert [one.caller for one in decisions] == [f"k{i}" for i in range(len(asked))]

    asyncio.run(main())


# ---- the live document ----


def test_a_live_document_over_the_policy(gate, clock):
    policy = gate.policy
    assert policy.live() == {"version": 0, "live": {}}
    assert policy.set_caller("k_1", ban="1h", reason="now", who="a test") == 1
    banned = gate.check(method="GET", path="/", identity="k_1")
    assert (banned.status, banned.reason, banned.retry_after) == (403, "now", 3600.0)
    assert banned.headers()["Retry-After"] == "3600"
    assert policy.clear("k_1") == 2
    assert policy.set_limit("basic", "7/minute", until=timedelta(minutes=5)) == 3
    assert gate.check(method="GET", path="/", identity="j").limit == 7
    assert policy.set_tier("basic", ["pro"]) == 4
    assert gate.check(method="GET", path="/", identity="j").limit == 100
    assert policy.set_tier("basic", None) == 5
    assert policy.live()["live"] == {
        "limiters": {"basic": {"rate": "7/minute", "until": "2025-11-21T00:05:00.000000Z"}}
    }
    clock.advance(300)
    assert gate.check(method="GET", path="/", identity="j").limit == 3
    assert policy.set_caller("203.0.113.0/24", exempt=True) == 6
    assert gate.check(method="GET", path="/", address="203.0.113.9").verdict == "exempt"
    assert policy.replace({}) == 7 and policy.live()["live"] == {}


def test_ends_are_moments_or_spans(gate):
    moment = datetime(2025, 11, 21, 1, tzinfo=timezone(timedelta(hours=1)))
    for until, said in (
        (moment, "2025-11-21T00:00:00.000000Z"),
        ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("30m", "2025-11-21T00:30:00.000000Z"),
        ("7 d", "2025-11-28T00:00:00.000000Z"),
        (1.5, "2025-11-21T00:00:01.500000Z"),
    ):
        gate.policy.set_caller("k", tier="pro", until=until)
        assert gate.policy.live()["live"]["callers"]["k"]["until"] == said
    for wrong, kind in (
        ("tomorrow", tidegate.ConfigError),
        (datetime(2025, 1, 1), tidegate.ConfigError),
        (True, TypeError),
        ([], TypeError),
    ):
        with pytest.raises(kind, match="until"):
            gate.policy.set_caller("k", tier="pro", until=wrong)
    with pytest.raises(tidegate.ConfigError, match="one end"):
        gate.policy.set_caller("k", ban="1h", until="2h")


def test_what_cannot_be_changes_nothing(gate):
    for change in (
        lambda: gate.policy.set_limit("unheard", "1/minute"),
        lambda: gate.policy.set_limit("basic", "1/fortnight"),
        lambda: gate.policy.set_tier("gold", ["basic"]),
        lambda: gate.policy.replace({"rules": []}),
        lambda: gate.policy.replace("{"),
    ):
        with pytest.raises(tidegate.ConfigError) as caught:
            change()
        assert caught.value.code == EPOLICY
    assert gate.policy.live() == {"version": 0, "live": {}}


def test_other_processes_follow(store):
    url = store.url(timeout_ms=5000)
    with tidegate.connect(url, policy=POLICY) as one, tidegate.connect(url, policy=POLICY) as two:
        asked = {"method": "GET", "path": "/", "identity": "k"}
        assert two.check(asked).status == 200
        one.policy.set_caller("k", ban=True)
        assert one.check(asked).status == 403
        wait_for(lambda: two.check(asked).status == 403, "the ban", 2)
        one.policy.clear("k")
        wait_for(lambda: two.check(asked).status != 403, "the ban's end", 2)


def test_explain_takes_nothing(gate):
    asked = {"method": "GET", "path": "/", "identity": "k_pro"}
    for _ in range(2):
        told = gate.policy.explain(asked)
    assert told["verdict"] == "limits" and told["rules"] == [2] and told["caller"] == "k_pro"
    assert [part["limiter"] for part in told["parts"]] == ["pro"]
    assert gate.check(asked).remaining == 99


def test_another_policy_is_loaded_for_the_states_that_are_there(gate):
    asked = {"method": "GET", "path": "/", "identity": "k"}
    gate.check(asked)
    gate.policy.load(POLICY.replace("basic: 3/minute", "basic: 5/minute"))
    assert (gate.check(asked).limit, gate.check(asked).remaining) == (5, 2)
    with pytest.raises(tidegate.ConfigError, match="line 3"):
        gate.policy.load("version: 1\nlimiters:\n  basic: 5/fortnight\n")
    assert gate.check(asked).limit == 5


def test_a_file_that_changes_is_read_again(tmp_path):
    file = tmp_path / "limits.yaml"
    file.write_text(POLICY)
    with tidegate.connect(policy=file) as gate:
        asked = {"method": "GET", "path": "/", "identity": "k"}
        assert gate.check(asked).limit == 3
        time.sleep(0.02)
        file.write_text(POLICY.replace("basic: 3/minute", "basic: 9/minute"))
        wait_for(lambda: gate.check(asked).limit == 9, "the new text", 3)


# ---- life ----


def test_a_forked_child_has_the_policy_too(url):
    with tidegate.connect(url, policy=POLICY) as gate:
        asked = {"method": "GET", "path": "/", "identity": "k"}
        gate.check(asked)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                good = gate.check(asked).limit == 3
                good = good and gate.check(identity="k_evil").status == 403
                good = good and gate.policy.explain(asked)["verdict"] == "limits"
                code = 0 if good else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert gate.check(asked).limit == 3


def test_a_closed_gate_says_so():
    gate = tidegate.connect(policy=POLICY)
    decision = gate.check(method="GET", path="/", identity="k")
    gate.close()
    for call in (
        lambda: gate.check(method="GET", path="/"),
        lambda: gate.policy.explain(method="GET"),
        lambda: gate.policy.set_caller("k", ban=True),
        lambda: tidegate.connect().__exit__(None, None, None) or gate.check(),
    ):
        with pytest.raises(tidegate.ClosedError):
            call()
    gate.finish(decision)


def test_a_gate_without_a_policy_has_no_limits():
    with tidegate.connect() as gate:
        assert gate.check(method="GET", path="/", identity="k").headers() == {}
        gate.policy.set_caller("k", ban=True)
        assert gate.check(method="GET", path="/", identity="k").status == 403


@pytest.mark.parametrize("text", ["\ud800", "\0", "x" * 100_000, "\n", "|\\", "é"])
def test_any_text_is_an_attribute(gate, text):
    decision = gate.check(method="GET", path="/" + text, identity="k", tenant=text)
    assert decision.status == 200 and decision.name == "basic"
    assert gate.check(method="GET", path="/", identity=text).status == 200
