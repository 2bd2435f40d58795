# SPDX-License-Identifier: MIT
"""Properties of the policy model: what a policy promises whatever it says, and that no text breaks it.

python3 check_policy.py [--rounds N] [--seed S]
"""

import argparse
import copy
import json
import random
import re
from pathlib import Path

from generate_policy import (FAULTS, HOUR, SPARE, algorithm_of, fault, random_caller, random_live, random_now, random_policy, random_rates, random_request,
                             respell, stamp)
from http_model import caller_key, default_name
from model import EXACT
from policy_model import MODES, Node, Policy, PolicyError, Rule, compile, compile_live, normal, normal_path, resolve

JUNK = ["", "@", "@@", "/", "//", "..", "%", "%2", "%zz", "%00", "\0", "\n", "|", "\\", "*", "**", "[", "[::1", "::", "1.2.3.4", "::ffff:1.2.3.4", "1.2.3.4/64",
        "fe80::1%x", "9" * 5000, "0" * 5000, "\u00e9", "\u0661", "\u2028", "\U0001f600", "\udc80", "{tenant}", "x" * 70000, "tier", "basic", " ",
        "\u00e9/../%2e%2E", "unknown", "everyone"]
THINGS = [None, True, False, 0, 1, -1, 1.5, "", "x", "basic", "tier", "{x}", "1/s", "/x", [], ["basic"], {}, {"x": "y"}, {"basic": "1/s"},
          "2026-12-01T00:00:00Z", 10**400, float("nan"), {5: 5}, ("a",)]


class World:
    """A random policy, a live document over it, and a request."""

    def __init__(self, rng: random.Random):
        self.document = random_policy(rng)
        self.live = random_live(rng, self.document)
        self.request, self.now = random_request(rng, self.document), random_now(rng)

    def ask(self, request: dict | None = None, now: int | None = None, document: dict | None = None, live: dict | None = None) -> dict:
        policy = compile(self.document if document is None else document)
        over = compile_live(self.live if live is None else live, policy)
        return resolve(policy, over, self.request if request is None else request, self.now if now is None else now)


def check_answer(rng: random.Random) -> str:
    """An answer is what its shape says."""
    world = World(rng)
    answer, document = world.ask(), world.document
    assert answer["rules"] == sorted(set(answer["rules"])) and all(0 <= index < len(document["rules"]) for index in answer["rules"])
    assert set(answer) - {"verdict", "parts", "rules"} == {"banned": {"until_us", "reason", "retry_after_us"}, "error": {"error"}}.get(answer["verdict"], set())
    assert not answer["parts"] or answer["verdict"] == "limits"
    assert len({(part["limiter"], part["key"]) for part in answer["parts"]}) == len(answer["parts"]) <= 16
    for part in answer["parts"]:
        assert part["limiter"] in document["limiters"] and part["mode"] in MODES and 0 <= part["cost"] < EXACT and part["key"]
        assert MODES.index(part["mode"]) >= MODES.index(document.get("mode", "enforce"))
    exempting = [index for index in answer["rules"] if document["rules"][index].get("exempt")]
    assert exempting in ([], answer["rules"][-1:])                       # it ends the scan
    return answer["verdict"]


def check_spelling(rng: random.Random) -> None:
    """No spelling escapes, and the order of attributes says nothing."""
    world = World(rng)
    for _ in range(3):
        assert world.ask(respell(rng, world.request)) == world.ask(), world.request


def shuffled(rng: random.Random, document: dict) -> dict:
    items = [(name, shuffled(rng, value) if isinstance(value, dict) else value) for name, value in document.items()]
    return dict(rng.sample(items, len(items)))


def check_order(rng: random.Random) -> None:
    """Limiters, tiers and callers stand in no order; rules that do not match say nothing."""
    world = World(rng)
    answer = world.ask()
    assert world.ask(document=shuffled(rng, world.document), live=shuffled(rng, world.live)) == answer
    left = [rule for index, rule in enumerate(world.document["rules"]) if index in answer["rules"]]
    if answer["verdict"] in ("limits", "error", "exempt") and answer["rules"]:
        again = world.ask(document={**world.document, "rules": left})
        assert again == {**answer, "rules": list(range(len(left)))}


def check_strangers(rng: random.Random) -> None:
    """A caller who does not ask changes nothing, in the file or live."""
    world = World(rng)
    answer = world.ask()
    for name in ["somebody", "@@k_1", "192.0.2.1", "@192.0.2.2", "192.0.2.0/24", "2001:db8:1:3::1", "2001:db8:ffff::/48", "10.1.2.4/30", "10.1.2.3x"]:
        entry = random_caller(rng, world.document, list(world.document["limiters"]))
        for documents in ({"document": {**world.document, "callers": {**world.document["callers"], name: entry}}},
                          {"live": {**world.live, "callers": {**world.live.get("callers", {}), name: entry}}}):
            assert world.ask(**documents) == answer, name


def own_entry(world: World, rng: random.Random) -> tuple[str, dict]:
    """The name of whoever asks, who from now on is k_1 or nobody; and the live document without his entry."""
    world.request["identity"] = rng.choice(["k_1", ""])
    attributes = normal(world.request)
    name = caller_key(attributes.get("identity"), attributes.get("address", "unknown"))
    others = {other: entry for other, entry in world.live.get("callers", {}).items() if Node("", None).caller_name(other) != name}
    return name, {**world.live, "callers": others}


def check_ban(rng: random.Random) -> None:
    """A ban of whoever asks wins, and ends when it says, not a microsecond sooner or later."""
    world = World(rng)
    name, live = own_entry(world, rng)
    until = world.now + rng.choice([1, 2, HOUR])
    live["callers"][name] = {"ban": True, "reason": "this", "until": stamp(until, rng)}
    answer = world.ask(live=live)
    assert answer["verdict"] == "banned" and answer["reason"] == "this" and answer["parts"] == answer["rules"] == []
    assert answer["until_us"] is None or answer["until_us"] >= until
    for asked in ({"live": live}, {}):
        answer = world.ask(**asked)
        if answer["verdict"] == "banned" and answer["until_us"] is not None:
            assert answer["retry_after_us"] == answer["until_us"] - world.now > 0
            for now in (answer["until_us"] - 1, rng.randrange(world.now, answer["until_us"])):
                assert world.ask(now=now, **asked)["verdict"] == "banned"
            assert world.ask(now=answer["until_us"], **asked)["verdict"] != "banned"
        elif answer["verdict"] == "banned":
            assert world.ask(now=10**18, **asked)["verdict"] == "banned"


def without(document: dict, test) -> dict:
    """The document without the entries and `until`s that `test` takes."""
    out = copy.deepcopy(document)
    for kind in ("limiters", "tiers", "callers"):
        for name, entry in list(out.get(kind, {}).items()):
            if isinstance(entry, dict) and "until" in entry and test(Node("", entry["until"]).until()):
                del out[kind][name]
    return out


def check_ends(rng: random.Random) -> None:
    """What has ended is as if it had never been; nothing live is as an empty document."""
    world = World(rng)
    ended = lambda until: until <= world.now
    assert world.ask(document=without(world.document, ended), live=without(world.live, ended)) == world.ask()
    policy = compile(world.document)
    assert resolve(policy, Policy(policy), world.request, world.now) == world.ask(live={}) == world.ask(live={"limiters": {}, "tiers": {}, "callers": {}})


def check_live(rng: random.Random) -> None:
    """A live document says what a file would that has it written in, member by member."""
    world = World(rng)
    never = lambda until: True
    document, live = without(world.document, never), without(world.live, never)
    one, other = world.ask(document=document, live=live), world.ask(document=written_in(document, live), live={})
    assert {**one, "reason": None} == {**other, "reason": None}          # a reason is that of the entry that bans


def written_in(document: dict, live: dict) -> dict:
    out = copy.deepcopy(document)
    spec = lambda value: value if isinstance(value, dict) else {"rate": value}
    for name, value in live.get("limiters", {}).items():
        if name in out["limiters"]:
            out["limiters"][name] = {**spec(out["limiters"][name]), **spec(value)}
    for name, value in live.get("tiers", {}).items():
        names = value["limiters"] if isinstance(value, dict) else value
        if name in out["tiers"] and set(names) <= set(out["limiters"]):
            out["tiers"][name] = names
    for name, entry in live.get("callers", {}).items():
        limits = {limiter: rate for limiter, rate in entry.get("limits", {}).items() if limiter in out["limiters"]}
        entry = {member: value for member, value in entry.items() if member != "tier" or value in out["tiers"]}
        old = out["callers"].get(name, {})
        out["callers"][name] = {**old, **entry, "limits": {**old.get("limits", {}), **limits}}
    return out


def check_dry_run(rng: random.Random) -> None:
    """What is only tried changes nothing that is enforced. A dry run of the whole policy enforces nothing, and sees the same."""
    world = World(rng)
    answer = world.ask()
    real = {**world.document, "rules": [rule for rule in world.document["rules"] if rule.get("mode", "enforce") == "enforce"]}
    enforced = lambda answer: [part for part in answer["parts"] if part["mode"] == "enforce"]
    if "error" not in (answer["verdict"], world.ask(document=real)["verdict"]):
        assert sorted(enforced(answer), key=str) == sorted(enforced(world.ask(document=real)), key=str)
    plain = {name: value for name, value in world.document.items() if name != "mode"}
    tried = world.ask(document={**plain, "mode": "shadow"})
    assert not enforced(tried)
    numbers = lambda answer: [(part["limiter"], part["key"], part["rates"]) for part in answer["parts"]]
    assert {**world.ask(document=plain), "parts": numbers(world.ask(document=plain))} == {**tried, "parts": numbers(tried)}


def check_numbers(rng: random.Random) -> None:
    """A caller's own numbers change the numbers of his parts, and nothing else."""
    world = World(rng)
    limits = {name: random_rates(rng, algorithm_of(world.document, name)) for name in world.document["limiters"]}
    callers = {name: {**entry, "limits": limits} for name, entry in world.document["callers"].items()}
    before, after = world.ask(), world.ask(document={**world.document, "callers": callers})
    for part in before["parts"] + after["parts"]:
        del part["rates"]
    assert before == after


def check_own(rng: random.Random) -> None:
    """A caller's own entry gives all of his parts its numbers, and his tier is as good as one in the request."""
    world = World(rng)
    name, live = own_entry(world, rng)
    tier = rng.choice(list(world.document["tiers"]))
    entry = {"tier": tier, "limits": {limiter: random_rates(rng, algorithm_of(world.document, limiter)) for limiter in world.document["limiters"]}}
    policy = compile(world.document)
    numbers = compile_live({"callers": {name: entry}}, policy).callers[Node("", None).caller_name(name)]["limits"]
    live["callers"][name] = entry
    answer = world.ask(live=live)
    assert all(part["rates"] == default_name(numbers[part["limiter"]]) for part in answer["parts"])
    bare = copy.deepcopy(world.document)
    for other in [*bare["callers"].values(), *live["callers"].values()]:
        other.pop("tier", None)
    assert world.ask({**world.request, "tier": tier}, document=bare, live=live) == answer
    request = {attribute: text for attribute, text in world.request.items() if attribute != "tier"}
    assert world.ask(request, document={**bare, "default_tier": tier}, live=live) == answer


def check_above(rng: random.Random) -> None:
    """A rule takes nothing away from those above it."""
    world = World(rng)
    some = world.ask(document={**world.document, "rules": world.document["rules"][:rng.randrange(1, len(world.document["rules"]) + 1)]})
    answer = world.ask()
    if answer["verdict"] != "error":
        assert [(part["limiter"], part["key"]) for part in some["parts"]] == [(part["limiter"], part["key"]) for part in answer["parts"]][:len(some["parts"])]
        for old, new in zip(some["parts"], answer["parts"]):
            assert MODES.index(new["mode"]) < MODES.index(old["mode"]) or new["mode"] == old["mode"] and new["cost"] >= old["cost"]
    else:
        assert some["verdict"] in ("limits", "error") or some == answer


def check_total(rng: random.Random) -> None:
    """Any texts are a request."""
    world = World(rng)
    names = ["method", "path", "host", "route", "address", "identity", "tier", "tenant", "model", "cost", "nothing", "", "\udc80", "a b"]
    request = {name: "".join(rng.choices(JUNK, k=rng.choice([1, 1, 2, 3]))) for name in rng.sample(names, rng.randrange(len(names)))}
    answer = world.ask(request)
    assert answer["verdict"] in ("banned", "exempt", "limits", "error") and json.dumps(answer)


def places(value: object, path: tuple = ()) -> list[tuple]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [place for name, child in children for place in places(child, (*path, name))]


def check_faults(rng: random.Random) -> None:
    """Whatever stands in a document, it is taken or refused, and a refusal names a place that is there, or where a member is missing."""
    world = World(rng)
    document, live = copy.deepcopy(world.document), copy.deepcopy(world.live)
    broken = rng.choice([document, live])
    *parents, last = rng.choice(places(broken)[1:] or [("rules",)])
    for step in parents:
        broken = broken[step]
    if rng.random() < 0.2 and isinstance(broken, dict):
        broken[rng.choice(["", "x", "a b", "tier", "until"])] = rng.choice(THINGS)
    else:
        broken[last] = rng.choice(THINGS)
    try:
        policy = compile(document)
        over = compile_live(live, policy)
    except PolicyError as error:
        paths = set()
        for whole in (document, live):
            for place in places(whole):
                node = Node("", whole)
                for step in place:
                    node = node.at(step) if isinstance(step, str) else Node(f"{node.path}[{step}]", node.value[step] if isinstance(node.value, list) else None)
                paths.add(node.path)
        missing = {f"{path}.{name}".removeprefix(".") for path in paths for name in ("version", "rate", "limiters", "limit")}
        assert error.path in paths | missing and error.message, error.path
    else:
        assert resolve(policy, over, world.request, world.now)["verdict"]


def check_keys(rng: random.Random) -> None:
    """Different lists have different keys, and none is a caller's."""
    texts = ["".join(rng.choices("|\\@a", k=rng.randrange(4))) for _ in range(6)]
    lists = [tuple(rng.choices(texts, k=rng.randrange(1, 4))) for _ in range(20)]
    keys = {}
    for values in lists:
        names = [f"a{i}" for i in range(len(values))]
        key = Rule({}, per=names).key(normal(dict(zip(names, values))))
        assert keys.setdefault(key, values) == values
        assert key not in ("@everyone", caller_key(None, rng.choice(texts)[:1].replace("|", "")), *(caller_key(text, "x") for text in texts))


def fits(pattern: str, text: str) -> bool:
    """`*` and `**` by their definition."""
    if pattern.startswith("**"):
        return any(fits(pattern[2:], text[i:]) for i in range(len(text) + 1))
    if pattern.startswith("*"):
        return any(fits(pattern[1:], text[i:]) for i in range(len(text) + 1) if "/" not in text[:i])
    return text == pattern or bool(pattern and text) and pattern[0] == text[0] and fits(pattern[1:], text[1:])


def fits_path(segments: list[str], path: list[str]) -> bool:
    if not segments:
        return not path
    head, rest = segments[0], segments[1:]
    if head == "**":
        return any(fits_path(rest, path[i:]) for i in range(len(path) + 1))
    most = len(path) if "**" in head else min(1, len(path))             # `**` inside a segment may cover several
    return any(fits(head, "/".join(path[:i])) and fits_path(rest, path[i:]) for i in range(1, most + 1))


def check_patterns(rng: random.Random) -> None:
    """A pattern matches what its definition says."""
    pieces = ["a", "b", "ab", "*", "**", "/", "/", "."]
    pattern, text = ("/" + "".join(rng.choices(pieces[:n], k=rng.randrange(9))) for n in (8, 3))
    text = "/" + "".join(rng.choices(["a", "b", "ab", "/", "."], k=rng.randrange(9)))
    if "***" in pattern:
        return
    assert bool(Node("", pattern).pattern("tenant").fullmatch(text)) == fits(pattern, text), (pattern, text)
    segments, path = ([one for one in normal_path(either).split("/") if one] for either in (pattern, text))
    if "***" not in normal_path(pattern):
        assert bool(Node("", pattern).pattern("path").fullmatch(normal_path(text))) == fits_path(segments, path), (pattern, text)


def check_paths(rng: random.Random) -> None:
    """The normal form of a path, by hand."""
    pieces = ["/", "/", ".", "..", "a", "%61", "%2F", "%2f", "%", "%2", "%2e", "%25", "\u00e9", "%c3%a9", " ", "?", "*", ":", ";", "\udc80"]
    text = "".join(rng.choices(pieces, k=rng.randrange(9)))
    done, data, i = "", text.encode("utf-8", "surrogatepass"), 0
    while i < len(data):
        escape = re.match(rb"%[0-9A-Fa-f]{2}", data[i:])
        byte = int(escape[0][1:], 16) if escape else data[i]
        keep = SPARE if escape else SPARE + "!$&'()*+,;=:@/"
        done += chr(byte) if chr(byte) in keep else f"%{byte:02X}"
        i += 3 if escape else 1
    stack: list[str] = []
    for segment in done.split("/"):
        stack = stack[:-1] if segment == ".." else stack if segment in ("", ".") else [*stack, segment]
    assert normal_path(text) == "/" + "/".join(stack) == normal_path(normal_path(text)), text


def check_rates(rng: random.Random) -> None:
    """Rates have one canonical text however they are spelt."""
    rates = Node("", random_rates(rng, "token_bucket")).rates("token_bucket")
    again = "; ".join(f"{rate.limit}/{rate.window_us}us" + (f" burst {rate.burst}" if rate.burst else "") for rate in rates)
    assert Node("", again).rates("gcra") == rates and default_name(rates)


def check_bounds() -> None:
    """The largest of everything is taken, one more is refused."""
    callers = lambda count: {"version": 1, "callers": {f"k{i}": {} for i in range(count)}}
    assert len(compile(callers(100_000)).callers) == 100_000
    for document, path in ((callers(100_001), "callers"), ({"version": 1, "limiters": {f"l{i}": "1/s" for i in range(1001)}}, "limiters")):
        try:
            compile(document)
            raise AssertionError(path)
        except PolicyError as error:
            assert error.path == path


def check_vectors() -> int:
    """What is in policy.jsonl is what the model says."""
    count = 0
    for line in Path(__file__).with_name("policy.jsonl").read_text().splitlines():
        vector, path = json.loads(line), None
        try:
            policy = compile(vector["policy"])
            over = compile_live(vector.get("live", {}), policy)
        except PolicyError as error:
            path = error.path
        assert path == vector.get("error_path", vector.get("live_error_path")), vector["id"]
        for case in vector.get("cases", ()):
            assert over.ignored == vector["ignored"] and resolve(policy, over, case["request"], case["now_us"]) == case["expect"], vector["id"]
            count += 1
    return count


CHECKS = [check_spelling, check_order, check_strangers, check_ban, check_ends, check_live, check_dry_run, check_numbers, check_own, check_above, check_total,
          check_faults, check_keys, check_patterns, check_paths, check_rates]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    verdicts = {"banned": 0, "exempt": 0, "limits": 0, "error": 0}
    for i in range(args.rounds):
        verdicts[check_answer(random.Random(args.seed * 1_000_003 + i))] += 1
        for check in CHECKS:
            check(random.Random(args.seed * 1_000_003 + i))
    for i, row in enumerate(FAULTS):
        fault("fault", random.Random(args.seed * 1_000_003 + i), *row)
    check_bounds()
    assert check_vectors() and min(verdicts.values()) > args.rounds // 50, verdicts
    print(f"{args.rounds} passed, 0 failed")


if __name__ == "__main__":
    main()
