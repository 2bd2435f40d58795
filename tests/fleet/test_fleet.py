# SPDX-License-Identifier: MIT
"""One policy, five languages. Act one: together they admit exactly the quota, and follow what is
said while they run. Act two: workers are killed and the store forgets everything; the published
bounds hold, and then it is exact again.

TIDEGATE_FLEET_LANGUAGES chooses among the languages; the default is all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fleet import Fleet  # noqa: E402
from languages import WORKERS, Languages, names_of  # noqa: E402
from live import ADMINS, PROMISED_SECONDS, Live, Seen, report  # noqa: E402
from processes import Worker  # noqa: E402
from traffic import Traffic, until_on_store  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
QUOTA = 240
NAMES = names_of(os.environ.get("TIDEGATE_FLEET_LANGUAGES") or ",".join(WORKERS))
COUNT = sum(WORKERS[name] for name in NAMES)
with_admin = pytest.mark.skipif(
    not set(NAMES) & set(ADMINS), reason=f"none of {', '.join(ADMINS)} is among the languages"
)

Commands = dict[str, tuple[list[object], "str | None"]]


@pytest.fixture(scope="module")
def commands() -> Commands:
    """A language that cannot take part is a failure, not a skip."""
    build = (ROOT / os.environ.get("TIDEGATE_BUILD", "build")).resolve()
    languages = Languages(ROOT, build)
    return {name: languages.prepare(name) for name in NAMES}


@pytest.fixture(scope="module")
def closed_fleet(commands: Commands) -> Iterator[Fleet]:
    with Fleet(commands, QUOTA, on_failure="closed") as fleet:
        yield fleet


def assert_exact(fleet: Fleet, key: str) -> None:
    with Traffic(fleet.workers, key) as traffic:
        traffic.until_denied(5)
    counts = traffic.snapshot()
    unanswered = [traffic.total(outcome) for outcome in ("unavailable", "lost", "refused")]
    assert unanswered == [0, 0, 0], counts
    assert traffic.total("admitted") == fleet.quota, counts


def kill_two(fleet: Fleet, traffic: Traffic, spread: int) -> list[Worker]:
    """Two workers of different languages, while their callers ask them."""
    victims = [fleet.workers[(spread + offset) % COUNT] for offset in (0, COUNT // 2)]
    assert victims[0] is not victims[1]
    for worker in victims:
        worker.kill()
    traffic.until(
        lambda: all(traffic.snapshot()[worker.name]["refused"] for worker in victims),
        "the callers of the killed workers notice",
    )
    return victims


def outage(fleet: Fleet, spread: int, without_store: str) -> tuple[Traffic, int, int]:
    """Part of the quota is spent, two workers die, then the store, which forgets everything. The
    workers come back without it, and later it does. The traffic; what was admitted before the
    store died; what from then until it was started again."""
    name = f"outage-{without_store}"
    with Traffic(fleet.workers, f"{name}-caller") as traffic:
        traffic.until_admitted(fleet.quota // 4)
        victims = kill_two(fleet, traffic, spread)
        before = traffic.total("admitted")
        fleet.valkey.kill()
        seen = traffic.snapshot()
        fleet.launch(victims)
        # Two callers each: a third such answer was asked for when the store was gone.
        traffic.until(
            lambda: all(
                count[without_store] >= seen[worker][without_store] + 3
                for worker, count in traffic.snapshot().items()
            ),
            f"without the store every worker says {without_store}",
        )
        during = traffic.total("admitted") - before
        fleet.valkey.start()
        until_on_store(fleet.workers, fleet.valkey.knows, f"{name}-probe")
        traffic.until_denied(5)
    return traffic, before, during


def assert_bound(fleet: Fleet, traffic: Traffic, before: int, fallback: int) -> None:
    """limiter.md, the bounds we publish. A store that forgets all admits its capacity once more;
    without it the fallback admits its own. What was admitted before it died stays admitted, and
    what came back with it is a whole budget, less what was charged for answers nobody got."""
    capacity = fleet.quota
    admitted, lost = traffic.total("admitted"), traffic.total("lost")
    assert admitted <= capacity + capacity + fallback, traffic.snapshot()
    assert admitted >= before + capacity - lost, traffic.snapshot()


def test_five_languages_admit_exactly_the_quota(closed_fleet: Fleet) -> None:
    assert_exact(closed_fleet, "act-one")


def test_the_demo_verifies_the_same() -> None:
    done = subprocess.run(
        [ROOT / "packaging/demos/fleet", "--check", "--languages", ",".join(NAMES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok  {COUNT} workers admitted 600 of 600" in done.stdout, done.stdout
    if set(NAMES) & set(ADMINS):
        assert f"ok  {len(NAMES)} language" in done.stdout, done.stdout
        assert "followed a limit and a ban within" in done.stdout, done.stdout


def assert_all_follow(seconds: dict[str, float]) -> None:
    assert len(seconds) == COUNT and max(seconds.values()) < PROMISED_SECONDS, seconds


@with_admin
def test_all_follow_a_limit_that_one_changes(closed_fleet: Fleet) -> None:
    live = Live(closed_fleet.workers)
    key = "followed"

    def goes_by(number: int) -> Callable[[Seen], bool]:
        return lambda seen: seen.limits.get("report") == number

    change = {"rate": "3/minute"}
    assert_all_follow(
        live.follow(key, goes_by(3), lambda: live.change("PUT", "limits/report", change))
    )
    again = live.follow(key, goes_by(5), lambda: live.change("DELETE", "limits/report"))
    assert_all_follow(again)
    # The numbers are enforced, not only told: the three of them are one budget for all.
    live.follow("x", goes_by(3), lambda: live.change("PUT", "limits/report", change))
    answers = [report(worker, "fresh").status for worker in closed_fleet.workers]
    assert sorted(answers) == sorted([200] * 3 + [429] * (COUNT - 3)), answers
    live.follow("x", goes_by(5), lambda: live.change("DELETE", "limits/report"))


@with_admin
def test_all_refuse_whom_one_bans(closed_fleet: Fleet) -> None:
    live = Live(closed_fleet.workers)
    ban = {"ban": "1h", "reason": "scraping"}
    assert_all_follow(
        live.follow(
            "scraper",
            lambda seen: seen.status == 403,
            lambda: live.change("PUT", "callers/scraper", ban),
        )
    )
    assert all(report(worker, "another").status != 403 for worker in closed_fleet.workers)
    assert_all_follow(
        live.follow(
            "scraper",
            lambda seen: seen.status != 403,
            lambda: live.change("DELETE", "callers/scraper"),
        )
    )


def test_all_follow_the_file(closed_fleet: Fleet) -> None:
    live, file = Live(closed_fleet.workers), closed_fleet.policy
    text = file.read_text()
    other = text.replace("5/minute", "4/minute")
    assert other != text
    try:
        assert_all_follow(
            live.follow(
                "file", lambda seen: seen.limits.get("report") == 4, lambda: replace(file, other)
            )
        )
    finally:
        assert_all_follow(
            live.follow(
                "file", lambda seen: seen.limits.get("report") == 5, lambda: replace(file, text)
            )
        )


def replace(file: Path, text: str) -> None:
    """At once, so that nobody reads half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


@pytest.mark.skipif("c" not in NAMES, reason="C is not among the languages")
def test_gate_answers_lines_by_a_limit_and_by_a_policy(commands: Commands, tmp_path: Path) -> None:
    program = commands["c"][0][0]

    def answers(lines: str, *options: str) -> list[str]:
        done = subprocess.run(
            [program, "--store", "memory://", *options],
            input=lines,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.splitlines()

    first, second, third = answers("k\nk 2\n\n", "--limit", "2/hour", "--name", "x")
    assert first == "allowed remaining=1 retry_after=0.000 source=memory"
    assert second.startswith("denied remaining=1 retry_after=") and second.endswith("=memory")
    assert third == "error expected KEY [COST]"
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nlimiters: {report: 1/hour}\n"
        "rules: [{when: {path: /health}, exempt: true}, {limit: report}]\n"
        "callers: {evil: {ban: true}}\n"
    )
    asked = "path=/a identity=k\npath=/a identity=k\npath=/health\npath=/a identity=evil\nk\n"
    allowed, denied, exempt, banned, unknown = answers(asked, "--policy", str(policy))
    assert allowed.startswith('allowed status=200 policy="report";q=1;w=3600 remaining=0 '), allowed
    assert denied.startswith('denied status=429 policy="report";q=1;w=3600 remaining=0 '), denied
    assert exempt.startswith("allowed status=200 ") and exempt.endswith("source=policy"), exempt
    assert banned.startswith("denied status=403 ") and banned.endswith("source=policy"), banned
    assert unknown == "error expected NAME=VALUE ..., such as path=/report"
    both = [program, "--policy", str(policy), "--limit", "1/minute"]
    refused = subprocess.run(both, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "expected no --limit" in refused.stderr, refused


def test_workers_killed_under_traffic_admit_nothing_twice(closed_fleet: Fleet) -> None:
    with Traffic(closed_fleet.workers, "killed") as traffic:
        traffic.until_admitted(QUOTA // 4)
        closed_fleet.launch(kill_two(closed_fleet, traffic, 1))
        traffic.until_denied(5)
    admitted, lost = traffic.total("admitted"), traffic.total("lost")
    assert traffic.total("unavailable") == 0
    assert QUOTA - lost <= admitted <= QUOTA, traffic.snapshot()


def test_a_forgetful_store_admits_one_capacity_more_where_failures_close(
    closed_fleet: Fleet,
) -> None:
    traffic, before, _ = outage(closed_fleet, 0, "unavailable")
    assert_bound(closed_fleet, traffic, before, fallback=0)
    assert_exact(closed_fleet, "closed-again")


@pytest.mark.parametrize("share", [1, COUNT])
def test_the_fallback_admits_no_more_than_its_bound(commands: Commands, share: int) -> None:
    with Fleet(commands, QUOTA, on_failure="local", fallback_share=share) as fleet:
        traffic, before, during = outage(fleet, share + 2, "denied")
        fallback = COUNT * QUOTA if share == 1 else max(COUNT, QUOTA)
        # The bound was aimed at: each worker spent all that it may admit without the store.
        spent = COUNT * max(1, QUOTA // share) - traffic.total("lost")
        assert spent <= during and before + during <= QUOTA + fallback, traffic.snapshot()
        assert_bound(fleet, traffic, before, fallback)
        assert_exact(fleet, "local-again")
