# SPDX-License-Identifier: MIT
"""Conformance vectors from the policy model: one JSON object a line, the same line for the same seed.

python3 generate_policy.py --count 250 --seed 7 > policy.jsonl

{"id": "7.100", "policy": {...}, "live": {...}, "ignored": ["callers.k_1.tier"],
 "cases": [{"now_us": 1763683200000000, "request": {"method": "GET", "path": "/v1/x", "identity": "k_1"},
            "expect": {"verdict": "limits", "rules": [1],
                       "parts": [{"limiter": "basic", "rates": "100-per-60s-burst-20", "mode": "enforce", "key": "k_1", "cost": 1}]}}]}
{"id": "7.fault.3", "policy": {...}, "error_path": "rules[1].limit"}                       a policy that is refused, and where
{"id": "7.fault.4", "policy": {...}, "live": {...}, "live_error_path": "callers.k_1.until", "cases": []}      a live document that is

First come `count` vectors: those written by hand (EDGES), then random ones. A third as many faults follow, one in each policy.
"""

import argparse
import json
import random
import re
from datetime import datetime, timedelta, timezone

from http_model import default_name
from model import EXACT
from policy_model import Node, Policy, PolicyError, compile, compile_live, resolve

NOW = 1_763_683_200_000_000
HOUR = 3_600_000_000


def stamp(us: int, rng: random.Random | None = None) -> str:
    """A time as a policy writes it; with `rng` in any zone, and with digits that it does not need."""
    zone = timezone(timedelta(hours=rng.choice([0, 0, 0, 1, -8, 5.5]) if rng else 0))
    at = (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=us)).astimezone(zone)
    text = at.isoformat(timespec="microseconds" if us % 10**6 or rng and rng.random() < 0.2 else "seconds")
    return text.replace("+00:00", "Z") if not rng or rng.random() < 0.8 else text


# Written by hand: (id, policy without its version, live document, cases). A case is a request and what `brief` makes of the answer, with a
# number in front that moves the clock. A request is a dict, or "METHOD path name=value ...".

BASE = {
    "limiters": {"basic": "100/minute burst 20", "pro": "500/minute burst 100", "tokens": {"rate": "90000/minute", "on_failure": "closed"},
                 "images": {"rate": "10/minute", "algorithm": "sliding_window", "mode": "shadow"}, "everybody": "20000/minute"},
    "tiers": {"basic": ["basic"], "pro": ["pro"], "enterprise": []}, "default_tier": "basic",
    "rules": [{"when": {"path": ["/health", "/metrics"]}, "exempt": True},
              {"when": {"path": "/v1/images/*", "method": "POST"}, "limit": "images", "cost": "{images}"},
              {"when": {"path": "/v1/chat/completions"}, "limit": "tokens", "per": ["{tenant}", "{model}"], "cost": "{tokens}"},
              {"limit": "tier"}, {"limit": "everybody", "per": "everyone"}],
    "callers": {"k_123": {"tier": "enterprise"}, "k_456": {"limits": {"images": "100/minute"}}, "203.0.113.0/24": {"exempt": True},
                "k_evil": {"ban": True, "until": stamp(NOW + HOUR), "reason": "scraping"}}}
ALL = "everybody @everyone 1"
TWO = {"limiters": {"a": "10/s", "b": "5/m"}}


def only(when: dict | None = None, **more) -> dict:
    """A policy of one rule."""
    return {**TWO, "rules": [{**({"when": when} if when else {}), "limit": "a", "per": "everyone", **more}]}


def when(name: str, pattern: str | list[str], yes: list[str], no: list[str]) -> tuple:
    cases = [({name: text}, "a @everyone 1") for text in yes] + [({name: text}, "nothing") for text in [*no, ""]]
    return f"when.{name}={pattern}", only({name: pattern}), {}, [*cases, ({"else": "x"}, "nothing")]


EDGES = [
    ("design", BASE, {}, [
        ("GET /health identity=k_1", "exempt"),
        ("GET /healthy identity=k_1", f"basic k_1 1, {ALL}"),
        ("POST /v1/images/generations identity=k_1 images=4", f"images k_1 4 shadow, basic k_1 1, {ALL}"),
        ("POST /v1/images/x identity=k_456 images=0", f"images k_456 0 shadow 100-per-60s-sliding_window, basic k_456 1, {ALL}"),
        ("POST /v1/images/generations identity=k_1", "error cost"),
        ("GET /v1/images/generations identity=k_1", f"basic k_1 1, {ALL}"),
        ("POST /v1/chat/completions identity=k_123 tenant=t model=m tokens=77", f"tokens @|t|m 77, {ALL}"),
        ("POST /v1/chat/completions identity=k_1 tokens=1", f"tokens @|| 1, basic k_1 1, {ALL}"),
        ("GET / identity=k_1 tier=pro", f"pro k_1 1, {ALL}"),
        ("GET / identity=k_1 tier=gold", "error tier"),
        ("GET /health identity=k_1 tier=gold", "exempt"),
        ("GET / identity=k_123 tier=gold", ALL),
        ("GET / address=203.0.113.9", "exempt"),
        ("GET / address=203.0.114.9", f"basic @203.0.114.9 1, {ALL}"),
        ("GET /health identity=k_evil", f"banned {HOUR} scraping"),
        (HOUR - 1, "GET / identity=k_evil", "banned 1 scraping"),
        (HOUR, "GET / identity=k_evil", f"basic k_evil 1, {ALL}")]),
    ("empty", {}, {}, [("GET /", "nothing"), ({}, "nothing")]),
    ("empty-sections", {**TWO, "tiers": {"none": []}, "default_tier": "none", "rules": [], "callers": {}},
     {"limiters": {}, "tiers": {}, "callers": {}}, [("GET /", "nothing")]),
    when("path", "/a/b", ["/a/b", "/a/b/", "//a//b", "/a/./b", "/a/x/../b", "/%61/b", "/a/%62", "a/b", "/../a/b", "/a/b/.", "/a/b/c/.."],
         ["/a", "/a/b/c", "/A/b", "/a%2Fb", "/a/b%2f", "/a/..%2Fb", "/a%5Cb", "/a/b?c", "/a/b;c"]),
    when("path", "/a%2fb/%7eme", ["/a%2Fb/~me", "/a%2fb/%7Eme", "/a%2Fb/%7E%6d%65"], ["/a/b/~me", "/a%252Fb/~me"]),
    when("path", "/caf\u00e9/\u2603", ["/caf%C3%A9/%e2%98%83", "/caf\u00e9/\u2603"], ["/cafe/\u2603", "/caf%E9/\u2603"]),
    when("path", "/a b", ["/a b", "/a%20b"], ["/a+b", "/a%2520b"]),
    when("path", "/v1/models:run", ["/v1/models:run"], ["/v1/models%3Arun", "/v1/models;run"]),
    when("path", "/100%", ["/100%", "/100%25"], ["/100", "/100%2"]),
    when("path", "/%2561", ["/%2561"], ["/a", "/%61"]),
    when("path", "/", ["/", "//", "/.", "/..", "/a/..", "/%2e"], ["/a", "/%2F"]),
    when("path", "/*", ["/a", "/a/", "/%2F", "/a?b"], ["/", "/a/b"]),
    when("path", "/**", ["/", "/a", "/a/b/c/"], []),
    when("path", "/v1/*/items", ["/v1/x/items", "/v1//x/items/"], ["/v1/items", "/v1/x/y/items"]),
    when("path", "/v1/**/items", ["/v1/items", "/v1/x/items", "/v1/x/y/items"], ["/v1/x", "/v1items", "/v1/x/items/y"]),
    when("path", "/v1/**", ["/v1", "/v1/", "/v1/x", "/v1/x/y"], ["/v10", "/v", "/V1/x"]),
    when("path", "/v1/../*/./x//", ["/a/x"], ["/v1/x/y", "/v1/a/x"]),
    when("path", "/f/*.json", ["/f/a.json", "/f/.json", "/f/a.b.json"], ["/f/a/b.json", "/f/a.jsonx", "/f/ajson"]),
    when("path", "/f**.json", ["/f.json", "/f/a.json", "/fa/b.json"], ["/g/f.json", "/f/a.json/b"]),
    when("path", ["/x", "/y/*"], ["/x", "/y/z"], ["/y", "/x/z"]),
    when("method", "get", ["GET", "get", "HEAD", "head"], ["POST", "OPTIONS", "GETX"]),
    when("method", ["HEAD", "put"], ["HEAD", "PUT"], ["GET", "post"]),
    when("method", "P*", ["POST", "patch", "P"], ["GET", "HEAD"]),
    when("host", "API.example.com", ["api.example.com", "api.example.com:8443", "Api.Example.Com.", "api.example.com.:80"],
         ["example.com", "xapi.example.com", "api.example.com.evil", ":80"]),
    when("host", "*.example.com", ["a.example.com", "a.b.example.com", ".example.com"], ["example.com", "a.example.org"]),
    when("host", "[::1]", ["[::1]", "[::1]:8080"], ["[::2]", "::1"]),
    when("address", ["::ffff:198.51.100.4", "2001:db8::1"], ["198.51.100.4", "198.51.100.4:99", "::ffff:198.51.100.4", "2001:db8::2",
         "[2001:db8::3]:1", "2001:db8::/64"], ["198.51.100.5", "2001:db8:0:1::1", "unknown", "x"]),
    when("address", "10.*", ["10.1.2.3", "::ffff:10.0.0.1"], ["110.1.2.3"]),
    when("address", "unknown", ["unknown", "nobody", "1.2.3", "unix:"], ["10.0.0.1"]),
    when("route", "/items/{id}", ["/items/{id}"], ["/items/7", "/items/%7Bid%7D", "/items/{id}/"]),
    when("model", "gpt-4*", ["gpt-4", "gpt-4-turbo"], ["gpt-4/x", "GPT-4", "xgpt-4"]),
    when("model", "meta/**", ["meta/", "meta/a/b"], ["meta", "xmeta/a"]),
    when("tenant", ["acme.inc", "a+b", "(x|y)", "\\d"], ["acme.inc", "a+b", "(x|y)", "\\d"], ["acmexinc", "aab", "x", "5"]),
    ("when.all", only({"method": "GET", "path": "/a", "tenant": "*"}), {}, [
        ("GET /a tenant=t", "a @everyone 1"), ("GET /a", "nothing"), ("GET /a tenant=t/u", "nothing"), ("POST /a tenant=t", "nothing"),
        ("GET /b tenant=t", "nothing")]),
    ("when.identity", only({"identity": "*"}, per="identity"), {}, [
        ("GET / identity=k", "a k 1"), ("GET /", "nothing"), ("GET / identity=", "nothing"), ("GET / identity=@k", "a @@k 1")]),
    ("when.tier", {**TWO, "tiers": {"pro": ["b"], "free": []}, "default_tier": "free", "callers": {"k": {"tier": "pro"}},
                   "rules": [{"when": {"tier": "pro"}, "limit": "a"}]}, {"callers": {"k": {"tier": "free", "until": stamp(NOW + 1)}}}, [
        ("GET / identity=k", "nothing"), (1, "GET / identity=k", "a k 1"), ("GET / identity=x tier=pro", "a x 1"),
        ("GET / identity=x", "nothing"), ("GET / identity=x tier=gold", "nothing")]),
    ("tier.none", {**TWO, "tiers": {"t": ["a"]}, "rules": [{"limit": ["tier", "b"]}]}, {}, [
        ("GET / identity=k", "b k 1"), ("GET / identity=k tier=t", "a k 1, b k 1"), ("GET / identity=k tier=", "b k 1"),
        ("GET / identity=k tier=T", "error tier")]),
    ("rules.add-up", {**TWO, "rules": [{"limit": ["a", "b"]}, {"limit": "b", "cost": 3}, {"limit": "a", "per": "address", "cost": 0}]}, {}, [
        ("GET / identity=k address=10.0.0.1", "a k 1, b k 3, a @10.0.0.1 0"), ("GET / address=10.0.0.1", "a @10.0.0.1 1, b @10.0.0.1 3")]),
    ("rules.dry-run-changes-nothing", {**TWO, "rules": [{"limit": "a", "cost": 2}, {"limit": "a", "cost": 9, "mode": "shadow"},
                                                         {"limit": "b", "mode": "off", "cost": 7}, {"limit": "b", "mode": "shadow"}]}, {}, [
        ("GET / identity=k", "a k 2, b k 1 shadow")]),
    ("rules.exempt", {**TWO, "tiers": {"none": []}, "rules": [{"when": {"tenant": "t"}, "limit": "b"}, {"limit": "tier"},
                                                              {"when": {"path": "/free/**"}, "exempt": True}, {"limit": "a"}]}, {}, [
        ("GET /free identity=k", "exempt"), ("GET /free identity=k tenant=t", "b k 1"), ("GET /x identity=k tenant=t", "b k 1, a k 1"),
        ("GET /free identity=k tier=none", "exempt")]),
    ("rules.exempt-all", {**TWO, "rules": [{"when": {"path": "/a"}, "limit": "a"}, {"exempt": True}]}, {}, [
        ("GET /a identity=k", "a k 1"), ("GET /b identity=k", "exempt")]),
    ("mode.policy", {**BASE, "mode": "shadow"}, {}, [
        ("GET / identity=k", f"basic k 1 shadow, {ALL} shadow"), ("GET / identity=k_evil", f"banned {HOUR} scraping")]),
    ("mode.weakest", {"limiters": {"a": {"rate": "1/s", "mode": "off"}, "b": {"rate": "1/s", "mode": "enforce"}},
                      "rules": [{"limit": ["a", "b"], "mode": "shadow"}]}, {"limiters": {"b": {"mode": "off", "until": stamp(NOW + 5)}}}, [
        ("GET / identity=k", "a k 1 off, b k 1 off"), (5, "GET / identity=k", "a k 1 off, b k 1 shadow")]),
    ("per.identity", only(per="identity"), {}, [
        ("GET / identity=k address=10.0.0.1", "a k 1"), ("GET / address=10.0.0.1", "a @10.0.0.1 1"), ("GET / identity=@10.0.0.1", "a @@10.0.0.1 1"),
        ("GET /", "a @unknown 1"), ("GET / address=2001:DB8:1:2:3::4", "a @2001:db8:1:2::/64 1"), ("GET / identity=everyone", "a everyone 1")]),
    ("per.address", only(per="address"), {}, [
        ("GET / identity=k address=10.0.0.1", "a @10.0.0.1 1"), ("GET / identity=k", "a @unknown 1"),
        ("GET / identity=k address=::ffff:10.0.0.1", "a @10.0.0.1 1"), ("GET / identity=k address=fe80::1%eth0", "a @fe80::/64 1")]),
    ("per.everyone", only(), {}, [("GET / identity=k address=10.0.0.1", "a @everyone 1"), ({}, "a @everyone 1")]),
    ("per.one", only(per="{tenant}"), {}, [
        ("GET / identity=k tenant=t", "a @|t 1"), ("GET / identity=k", "a @| 1"), ("GET / tenant=a|b", "a @|a\\|b 1"),
        ("GET / tenant=\\", "a @|\\\\ 1"), ("GET / tenant=\\|", "a @|\\\\\\| 1")]),
    ("per.two", only(per=["{tenant}", "{model}"]), {}, [
        ("GET / tenant=a model=b", "a @|a|b 1"), ("GET / tenant=a|b", "a @|a\\|b| 1"), ("GET / model=a", "a @||a 1"),
        ("GET / tenant=a\\ model=b", "a @|a\\\\|b 1"), ("GET / tenant=a model=|b", "a @|a|\\|b 1")]),
    ("per.known", only(per=["{identity}", "{address}", "{method}", "{path}", "{host}", "{tier}", "{route}"]), {}, [
        ("post //a/%62/ identity=k address=::ffff:10.0.0.1 host=X.Y:80 route=/a/{b}", "a @|k|10.0.0.1|POST|/a/b|x.y||/a/{b} 1"),
        ("GET /a address=10.0.0.1", "a @|@10.0.0.1|10.0.0.1|GET|/a||| 1")]),
    ("cost", only(cost="{n}"), {}, [
        *(({"n": text}, f"a @everyone {int(text)}") for text in ["0", "1", "007", str(EXACT - 1), "0" * 40 + str(EXACT - 1)]),
        *(({"n": text}, "error cost") for text in [
            str(EXACT), "18446744073709551616", "-1", "+1", "1.0", "1e3", "0x10", "", " 1", "1\n", "\u0661", "1_0"]),
        ({}, "error cost")]),
    ("cost.largest", only(cost=EXACT - 1), {}, [("GET /", f"a @everyone {EXACT - 1}")]),
    ("parts", {"limiters": {f"l{i}": "1/s" for i in range(16)}, "rules": [
        {"limit": [f"l{i}" for i in range(16)]}, {"when": {"path": "/more"}, "limit": "l0", "per": "everyone"}, {"limit": "l1"}]}, {}, [
        ("GET / identity=k", ", ".join(f"l{i} k 1" for i in range(16))), ("GET /more identity=k", "error parts"),
        ("GET /more identity=everyone", "error parts")]),
    ("after", {**TWO, "rules": [{"limit": "a", "count": "failed"}, {"limit": "a", "cost": 9, "settle": "{used}"}, {"limit": "b", "count": [401, 403]}]}, {}, [
        ("GET / identity=k", "a k 9 {used}, b k 1 [401, 403]")]),
    ("callers.names", {**TWO, "rules": [{"limit": "a"}], "callers": {
        "@198.51.100.4": {"ban": True}, "10.0.0.1": {"exempt": True}, "@@at": {"exempt": True}, "@unknown": {"ban": True, "reason": "socket"},
        "4711": {"exempt": True}, "a/b": {"exempt": True}, "caf\u00e9": {"exempt": True}, "10.0.1": {"exempt": True}}}, {}, [
        ("GET / identity=k address=198.51.100.4", "banned None None"), ("GET / identity=10.0.0.1 address=1.1.1.1", "a 10.0.0.1 1"),
        ("GET / identity=@10.0.0.1 address=1.1.1.1", "a @@10.0.0.1 1"), ("GET / address=10.0.0.1", "exempt"),
        ("GET / identity=@at address=1.1.1.1", "exempt"), ("GET / identity=@@at address=1.1.1.1", "a @@@at 1"),
        ("GET /", "banned None socket"), ("GET / identity=4711 address=1.1.1.1", "exempt"), ("GET / identity=a/b address=1.1.1.1", "exempt"),
        ("GET / identity=caf\u00e9 address=1.1.1.1", "exempt"), ("GET / identity=K address=::ffff:10.0.0.1", "exempt"),
        ("GET / identity=10.0.1 address=1.1.1.1", "exempt")]),
    ("callers.networks", {**TWO, "rules": [{"limit": "a"}], "tiers": {"t": []}, "callers": {
        "10.0.0.0/8": {"ban": True, "reason": "eight"}, "10.1.0.0/16": {"tier": "t"}, "10.1.2.0/24": {"exempt": True}, "0.0.0.0/0": {"reason": "all"},
        "2001:db8::/32": {"exempt": True}, "2001:db8:5::1": {"ban": True}, "2001:db8:6:0:8000::/65": {"ban": True}}}, {}, [
        ("GET / address=10.9.9.9", "banned None eight"), ("GET / address=10.1.9.9", "a @10.1.9.9 1"), ("GET / address=10.1.2.9", "exempt"),
        ("GET / address=2001:db8:1::9", "exempt"), ("GET / address=2001:db8:5::2", "banned None None"),
        ("GET / address=2001:db8:5:0:1::2", "banned None None"), ("GET / address=2001:db8:5:1::2", "exempt"),
        ("GET / address=2001:db8:6::/64", "banned None None"), ("GET / address=2001:db9::", "a @2001:db9::/64 1"), ("GET / address=9.9.9.9", "a @9.9.9.9 1")]),
    ("callers.member-by-member", {**TWO, "tiers": {"x": ["a"], "y": ["b"]}, "rules": [{"limit": "tier"}, {"limit": "a", "per": "everyone"}], "callers": {
        "k": {"tier": "x"}, "w": {"ban": False, "exempt": False}, "10.0.0.1": {"tier": "y", "limits": {"a": "7/s"}},
        "10.0.0.0/24": {"exempt": True}, "10.0.1.0/24": {"ban": True}, "10.0.2.0/24": {"tier": "y", "limits": {"a": "9/s", "b": "9/m"}}}}, {}, [
        ("GET / identity=k address=10.0.0.1", "exempt"), ("GET / identity=w address=10.0.0.1", "b w 1, a @everyone 1 7-per-1s"),
        ("GET / identity=k address=10.0.1.1", "banned None None"), ("GET / identity=w address=10.0.1.1", "a @everyone 1"),
        ("GET / identity=k address=10.0.2.1", "a k 1 9-per-1s, a @everyone 1 9-per-1s"),
        ("GET / identity=z address=10.0.2.1", "b z 1 9-per-60s, a @everyone 1 9-per-1s")]),
    ("callers.ban-wins", {**TWO, "rules": [{"exempt": True}], "tiers": {"t": []}, "callers": {
        "k": {"ban": True, "exempt": True, "tier": "t", "limits": {"a": "1/s"}}, "10.0.0.1": {"ban": True, "reason": "r"}}}, {}, [
        ("GET / identity=k", "banned None None"), ("GET / identity=x address=10.0.0.1", "banned None r"),
        ("GET / identity=k address=10.0.0.1", "banned None None"), ("GET / identity=x", "exempt")]),
    ("callers.until", {**TWO, "rules": [{"limit": "a"}], "callers": {
        "k": {"exempt": True, "until": stamp(NOW)}, "l": {"exempt": True, "until": stamp(NOW + 1)},
        "m": {"limits": {"a": "99/s"}, "until": "2025-11-21T01:00:00.000001+01:00"}, "n": {"ban": True, "until": "9999-12-31T23:59:59.999999Z"},
        "o": {"ban": True, "until": "1970-01-01T00:00:00Z"}, "p": {"exempt": True, "until": "2025-11-20T15:00:00.5-09:00"}}}, {}, [
        ("GET / identity=k", "a k 1"), (-1, "GET / identity=k", "exempt"), ("GET / identity=l", "exempt"), (1, "GET / identity=l", "a l 1"),
        ("GET / identity=m", "a m 1 99-per-1s"), (1, "GET / identity=m", "a m 1"),
        ("GET / identity=n", f"banned {253402300799999999 - NOW} None"), ("GET / identity=o", "a o 1"),
        (499_999, "GET / identity=p", "exempt"), (500_000, "GET / identity=p", "a p 1")]),
    ("callers.next-network", {**TWO, "rules": [{"limit": "a"}], "callers": {
        "10.0.0.0/8": {"ban": True, "reason": "eight", "until": stamp(NOW + 9)}, "10.0.0.0/16": {"exempt": True, "until": stamp(NOW + 5)},
        "10.1.0.0/16": {"ban": True, "reason": "sixteen", "until": stamp(NOW + 4)}}}, {}, [
        ("GET / address=10.0.0.1", "exempt"), (5, "GET / address=10.0.0.1", "banned 4 eight"), (9, "GET / address=10.0.0.1", "a @10.0.0.1 1"),
        ("GET / address=10.1.0.1", "banned 9 sixteen"), (4, "GET / address=10.1.0.1", "banned 5 eight")]),
    ("live.numbers", BASE, {
        "limiters": {"basic": "7/minute", "images": {"rate": "20/minute", "until": stamp(NOW + 10)}, "tokens": {"mode": "shadow"}},
        "tiers": {"enterprise": ["tokens", "basic"], "pro": {"limiters": [], "until": stamp(NOW + 10)}}}, [
        ("POST /v1/images/x identity=k images=1", f"images k 1 shadow 20-per-60s-sliding_window, basic k 1 7-per-60s, {ALL}"),
        (10, "POST /v1/images/x identity=k images=1", f"images k 1 shadow, basic k 1 7-per-60s, {ALL}"),
        ("POST /v1/images/x identity=k_456 images=1", f"images k_456 1 shadow 100-per-60s-sliding_window, basic k_456 1 7-per-60s, {ALL}"),
        ("GET / identity=k_123", f"tokens k_123 1 shadow, basic k_123 1 7-per-60s, {ALL}"),
        ("GET / identity=k tier=pro", ALL), (10, "GET / identity=k tier=pro", f"pro k 1, {ALL}")]),
    ("live.callers", BASE, {"callers": {
        "k_new": {"ban": True, "until": stamp(NOW + 7)}, "k_evil": {"ban": False, "until": stamp(NOW + 3)}, "k_123": {"exempt": True},
        "203.0.113.0/24": {"exempt": False}, "203.0.113.77": {"ban": True, "reason": "live"}, "k_456": {"tier": "pro", "limits": {"pro": "1/minute"}}}}, [
        ("GET / identity=k_new", "banned 7 None"), (7, "GET / identity=k_new", f"basic k_new 1, {ALL}"),
        ("GET / identity=k_evil", f"basic k_evil 1, {ALL}"), (3, "GET / identity=k_evil", f"banned {HOUR - 3} scraping"),
        ("GET / identity=k_123", "exempt"), ("GET / address=203.0.113.1", f"basic @203.0.113.1 1, {ALL}"),
        ("GET / identity=k address=203.0.113.77", "banned None live"),
        ("POST /v1/images/x identity=k_456 tier=basic images=2", f"images k_456 2 shadow 100-per-60s-sliding_window, pro k_456 1 1-per-60s, {ALL}")]),
    ("live.ban-over-ban", BASE, {"callers": {"k_evil": {"ban": True, "until": stamp(NOW + 5), "reason": "again"}}}, [
        ("GET / identity=k_evil", f"banned {HOUR} again"), (5, "GET / identity=k_evil", f"banned {HOUR - 5} scraping")]),
    ("live.ban-of-a-network", {**TWO, "rules": [{"limit": "a"}], "callers": {"vip": {"ban": False}}}, {"callers": {"10.0.0.0/8": {"ban": True}}}, [
        ("GET / identity=vip address=10.0.0.1", "a vip 1"), ("GET / identity=x address=10.0.0.1", "banned None None")]),
    ("live.unknown-names", BASE, {
        "limiters": {"gone": {"nonsense": 1}, "basic": "3/s"}, "tiers": {"gold": 5, "pro": ["basic", "gone"]},
        "callers": {"k_1": {"tier": "gold", "limits": {"gone": "1/s", "basic": "4/s"}, "ban": False}}}, [
        ("GET / identity=k_1", f"basic k_1 1 4-per-1s, {ALL}"), ("GET / identity=k_2", f"basic k_2 1 3-per-1s, {ALL}"),
        ("GET / tier=pro", f"pro @unknown 1, {ALL}"), ("GET / tier=gold", "error tier")]),
    ("rates", {"limiters": dict(zip("abcdefghij", [
        "10PER5Minutes Burst3", "1_000/day", " \t10\n/\r5 SECONDS\t", "10/second burst 5; 1000/hour burst 7;", {"rate": "1/7us", "algorithm": "fixed_window"},
        {"rate": "10000/d", "algorithm": "sliding_log"}, {"rate": "5/250ms; 9/m", "algorithm": "sliding_window"}, {"rate": "5/h", "algorithm": "gcra"},
        {"rate": "5/w burst 9", "algorithm": "leaky_bucket"}, "007/007s"])), "rules": [{"limit": list("abcdefghij")}],
        "callers": {"m": {"limits": {"f": "1/s", "e": "2/366days", "h": "1/h burst 2"}}}}, {"limiters": {"g": "6/minute; 1/ms"}}, [
        ("GET / identity=k", "a k 1, b k 1, c k 1, d k 1, e k 1, f k 1, g k 1 6-per-60s-sliding_window_1-per-1ms-sliding_window, h k 1, i k 1, j k 1"),
        ("GET / identity=m", "a m 1, b m 1, c m 1, d m 1, e m 1 2-per-31622400s-fixed_window, f m 1 1-per-1s-sliding_log, "
         "g m 1 6-per-60s-sliding_window_1-per-1ms-sliding_window, h m 1 1-per-3600s-burst-2, i m 1, j m 1")]),
]


def brief(answer: dict, policy: Policy) -> str:
    """An answer in a few words; of a part the mode unless it is enforced, and the numbers unless they are the file's."""
    if answer["verdict"] != "limits":
        return " ".join([answer["verdict"], *(str(answer[name]) for name in ("retry_after_us", "reason", "error") if name in answer)])
    parts = []
    for limiter, rates, mode, key, cost, *after in (part.values() for part in answer["parts"]):
        own = default_name(policy.limiters[limiter]["rates"])
        parts.append(" ".join(map(str, [limiter, key, cost, *([mode] if mode != "enforce" else []), *([rates] if rates != own else []), *after])))
    return ", ".join(parts) or "nothing"


def edge(name: str, document: dict, live: dict, cases: list[tuple]) -> dict:
    vector = {"id": f"edge.{name}", "policy": {"version": 1, **document}, "live": live, "ignored": [], "cases": []}
    policy = compile(vector["policy"])
    over = compile_live(live, policy)
    vector["ignored"] = over.ignored
    for *shift, request, expected in cases:
        if isinstance(request, str):
            method, path, *pairs = request.split(" ")
            request = {"method": method, "path": path, **dict(pair.split("=", 1) for pair in pairs)}
        now = NOW + sum(shift)
        answer = resolve(policy, over, request, now)
        assert brief(answer, policy) == expected, (name, request, brief(answer, policy), expected)
        vector["cases"].append({"now_us": now, "request": request, "expect": answer})
    return vector


# Random ones: policies whose rules, callers and ends are met by the requests, in any spelling.

PATTERNS = {
    "path": ["/health", "/v1/images/*", "/v1/**", "/**/export", "/v1/*/items", "/v1/*/items/**", "/caf\u00e9/*", "/a%2Fb/~me", "/f/*.json", "/",
             "/*", "/**", "/v1/models:run", "/v1/chat/completions/"],
    "method": ["GET", "post", "P*", "HEAD", "DELETE"], "host": ["api.example.com", "*.example.com", "EXAMPLE.com", "[::1]", "localhost"],
    "route": ["/items/{id}", "/v1/*", "/v1/{rest:path}"], "tenant": ["acme", "acme-*", "globex", "a/**", "*"],
    "model": ["gpt-4*", "meta/**", "meta/*"], "identity": ["k_*", "k_1", "**"], "tier": ["pro", "b*", "basic"],
    "address": ["203.0.113.7", "203.0.113.*", "::ffff:198.51.100.4", "2001:db8:1:2::1"]}
FILLINGS = ["x", "y-1", "", "v.2", "\u00e9", "a b"]
NAMES = ["k_1", "k_2", "k_3", "user:42", "@@at", "a/b", "203.0.113.7", "@198.51.100.4", "2001:db8:1:2::1", "10.0.0.0/8", "10.1.0.0/16",
         "203.0.113.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0", "@unknown"]
IDENTITIES = ["k_1", "k_2", "k_3", "user:42", "@at", "a/b", "k_9", "203.0.113.7", "everyone", "@10.1.2.3"]
ADDRESSES = ["203.0.113.7", "203.0.113.8", "198.51.100.4", "10.1.2.3", "10.2.3.4", "2001:db8:1:2::/64", "2001:db8:9::/64", "2001:db9::/64", "unknown"]
TEXTS = ["acme", "acme-eu", "globex", "a/b/c", "a|b", "a\\", "|", "gpt-4-turbo", "meta/llama", "\u00e9", "x" * 40]
SPARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def pick(rng: random.Random, things: list, most: int) -> list:
    return rng.sample(things, rng.randrange(min(most, len(things)) + 1))


def random_rates(rng: random.Random, algorithm: str) -> str:
    """Any rates that the algorithm keeps, in any spelling."""
    def number(n: int) -> str:
        return rng.choice([str(n), str(n), f"{n:_}", f"0{n}"])
    texts = []
    for window in rng.sample(["s", "5s", "second", "Minute", "30 minutes", "h", "2HOURS", "day", "w", "250ms"], rng.choice([1, 1, 1, 2, 3])):
        window = window if window != "second" else "7 sec"
        burst = rng.choice(["", "", f" burst {number(rng.randrange(1, 500))}"]) if algorithm in ("token_bucket", "gcra") else ""
        texts.append(number(rng.choice([1, 5, 10, 100, 1000, 9000])) + rng.choice(["/", " / ", " per ", "PER "]) + window + burst)
    return rng.choice(["; ", ";", " ;\t"]).join(texts) + rng.choice(["", "", "", ";", " ; "])


def random_end(rng: random.Random) -> dict:
    return {"until": stamp(NOW + rng.choice([-HOUR, -1, 0, 1, 999_999, 10**6, HOUR, 400 * 24 * HOUR]), rng)} if rng.random() < 0.4 else {}


def random_when(rng: random.Random) -> dict:
    out = {}
    for name in rng.sample(list(PATTERNS), rng.choice([1, 1, 2])):
        texts = rng.sample(PATTERNS[name], rng.choice([1, 1, 2, 3]))
        out[name] = texts[0] if len(texts) == 1 and rng.random() < 0.8 else texts
    return out


def random_rule(rng: random.Random, limiters: list[str]) -> dict:
    rule: dict = {"when": random_when(rng)} if rng.random() < 0.7 else {}
    if rule and rng.random() < 0.15:
        return {**rule, "exempt": True}
    names = rng.sample([*limiters, "tier"], rng.choice([1, 1, 1, 2, 3]))
    rule["limit"] = names[0] if len(names) == 1 and rng.random() < 0.8 else names
    attributes = ["{tenant}", "{model}", "{identity}", "{address}", "{path}", "{method}", "{host}", "{nothing}"]
    lists = [rng.choice(attributes), rng.sample(attributes, 2), rng.sample(attributes, 3)]
    for member, chance, values in (
            ("per", 0.5, ["identity", "address", "everyone", *lists]), ("cost", 0.4, [0, 1, 7, EXACT - 1, "{cost}", "{cost}"]),
            ("mode", 0.15, ["enforce", "shadow", "shadow", "off"]), ("count", 0.08, ["failed", "successful", [401, 403], [200]]),
            ("settle", 0.08, ["{tokens_used}"])):
        if rng.random() < chance:
            rule[member] = rng.choice(values)
    return rule


def random_caller(rng: random.Random, document: dict, known: list[str]) -> dict:
    """`known`: the limiters whose numbers he may have."""
    entry: dict = random_end(rng)
    for member, chance, value in (
            ("ban", 0.2, rng.random() < 0.7), ("exempt", 0.2, rng.random() < 0.7), ("tier", 0.4, rng.choice(list(document["tiers"]))),
            ("reason", 0.2, rng.choice(["scraping", "\u2603", "a \"quoted\" reason"]))):
        if rng.random() < chance:
            entry[member] = value
    if rng.random() < 0.4:
        entry["limits"] = {name: random_rates(rng, algorithm_of(document, name)) for name in pick(rng, known, 2)}
    return entry


def algorithm_of(document: dict, name: str) -> str:
    spec = document["limiters"][name]
    return spec.get("algorithm", "token_bucket") if isinstance(spec, dict) else "token_bucket"


def random_policy(rng: random.Random) -> dict:
    """Every policy has the limiters `basic` (a token bucket) and `images` (a sliding window) and the tier `basic`."""
    document: dict = {"version": 1, "limiters": {"basic": random_rates(rng, "token_bucket"), "images": {
        "rate": random_rates(rng, "sliding_window"), "algorithm": "sliding_window", "mode": rng.choice(["enforce", "enforce", "shadow", "off"])}}}
    for name in pick(rng, ["pro", "tokens", "everybody", "v2.x_y-z", "l" * 64], 3):
        algorithm = rng.choice(["token_bucket", "gcra", "fixed_window", "sliding_window", "sliding_log"])
        document["limiters"][name] = {"rate": random_rates(rng, algorithm), "algorithm": algorithm}
        if rng.random() < 0.3:
            document["limiters"][name]["on_failure"] = rng.choice(["local", "open", "closed"])
    limiters = list(document["limiters"])
    document["tiers"] = {"basic": ["basic"], **{name: pick(rng, limiters, 2) for name in pick(rng, ["pro", "bulk", "enterprise"], 3)}}
    if rng.random() < 0.6:
        document["default_tier"] = rng.choice(list(document["tiers"]))
    if rng.random() < 0.08:
        document["mode"] = rng.choice(["shadow", "off", "enforce"])
    document["rules"] = [random_rule(rng, limiters) for _ in range(rng.randrange(1, 6))]
    for rule in document["rules"]:                                         # tiers that there are not are a fault
        tiers = rule.get("when", {}).get("tier")
        if tiers and "pro" not in document["tiers"]:
            rule["when"]["tier"] = "b*"
    if rng.random() < 0.1:
        document["rules"].append({"exempt": True})
    document["callers"] = {name: random_caller(rng, document, limiters) for name in pick(rng, NAMES, 7)}
    items = list(document.items())
    rng.shuffle(items)
    return dict(items)


def random_live(rng: random.Random, document: dict) -> dict:
    live: dict = {}
    if rng.random() < 0.5:
        live["limiters"] = {}
        for name in pick(rng, list(document["limiters"]), 2):
            rate = random_rates(rng, algorithm_of(document, name))
            mode = {"mode": rng.choice(["enforce", "shadow", "off"])} if rng.random() < 0.4 else {}
            live["limiters"][name] = rate if rng.random() < 0.3 else {**({"rate": rate} if rng.random() < 0.8 else {}), **mode, **random_end(rng)}
    if rng.random() < 0.4:
        live["tiers"] = {}
        for name in pick(rng, list(document["tiers"]), 2):
            names = pick(rng, list(document["limiters"]), 3)
            live["tiers"][name] = names if rng.random() < 0.4 else {"limiters": names, **random_end(rng)}
    if rng.random() < 0.6:
        live["callers"] = {name: random_caller(rng, document, list(document["limiters"])) for name in pick(rng, NAMES, 5)}
    if rng.random() < 0.15:                                                 # what another service's file has
        live.setdefault("limiters", {})["elsewhere"] = "1/s"
        live.setdefault("tiers", {})["elsewhere"] = rng.choice([[], ["elsewhere"]])
        live.setdefault("callers", {})["k_1"] = {"tier": "elsewhere", "limits": {"elsewhere": "2/s", "basic": "3/s"}, "reason": "kept"}
    return live


def respell_path(rng: random.Random, path: str) -> str:
    """Another spelling of the same path."""
    out = ""
    for piece in re.findall(r"%[0-9A-Fa-f]{2}|.", path, re.DOTALL):
        if piece in SPARE and rng.random() < 0.1:
            piece = f"%{ord(piece):02x}"
        elif piece == "/" and rng.random() < 0.15:
            piece = rng.choice(["//", "/./", "/x/../", "/%2e/", "/.//", "/y/%2E./"])
        elif not piece.isascii() and rng.random() < 0.5:
            piece = "".join(f"%{byte:02x}" for byte in piece.encode())
        out += rng.choice([piece.upper(), piece.lower()]) if piece.startswith("%") and len(piece) == 3 else piece
    return out + rng.choice(["", "", "", "/", "/."])


def respell(rng: random.Random, request: dict) -> dict:
    """The same request: other spellings, another order, empty attributes."""
    out = dict(request)
    if out.get("path"):
        out["path"] = respell_path(rng, out["path"])
    for name in ("method", "host"):
        if out.get(name):
            out[name] = "".join(rng.choice([letter.lower(), letter.upper()]) if letter.isascii() else letter for letter in out[name])
    if out.get("host"):
        out["host"] += rng.choice(["", ":443"] if out["host"][0] == "[" else ["", ".", ":443", ".:80"])
    address = out.get("address", "")
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", address):
        out["address"] = rng.choice([address, f"::ffff:{address}", f"{address}:4711", f" {address} "])
    elif address.endswith("::/64"):
        inside = address.replace("::/64", ":0:9::a%eth0" if address.count(":") > 4 else "::9")
        out["address"] = rng.choice([address, inside, f"[{address[:-3]}]:443"])
    elif address == "unknown":
        out["address"] = rng.choice(["unknown", "nobody", "1.2.3", "/run/socket"])
    out |= {name: "" for name in ["tenant", "tier", "host", "nothing"] if name not in out and rng.random() < 0.1}
    items = list(out.items())
    rng.shuffle(items)
    return dict(items)


def fill(rng: random.Random, pattern: str) -> str:
    """A text that a pattern may match."""
    many, one = "/".join(rng.choices(FILLINGS[:2], k=rng.randrange(4))), rng.choice(FILLINGS)
    return pattern.replace("**", many).replace("*", one)


def random_request(rng: random.Random, document: dict) -> dict:
    request = {"method": rng.choice(["GET", "POST", "HEAD"]), "path": rng.choice(["/", "/v1/x", "/health", "/v1/images/y-1"])}
    costs = ["0", "1", "12", "0003", str(EXACT - 1), "5"] if rng.random() < 0.8 else [str(EXACT), "-1", "1.5", "many"]
    for name, chance, texts in (
            ("identity", 0.6, IDENTITIES), ("address", 0.8, ADDRESSES), ("tier", 0.3, [*document["tiers"]] * 3 + ["gold"]), ("tenant", 0.5, TEXTS),
            ("model", 0.5, TEXTS), ("cost", 0.95, costs), ("host", 0.3, ["api.example.com", "example.com", "[::1]"]), ("route", 0.3, ["/items/{id}"])):
        if rng.random() < chance:
            request[name] = rng.choice(texts)
    matching = [rule["when"] for rule in document["rules"] if "when" in rule]
    for name, texts in rng.choice(matching).items() if matching and rng.random() < 0.8 else ():
        text = fill(rng, rng.choice(texts) if isinstance(texts, list) else texts)
        request[name] = text
    return request


def random_now(rng: random.Random) -> int:
    return NOW + rng.choice([-2, -1, 0, 0, 0, 0, 1, 2, 999_998, 999_999, 10**6, HOUR - 1, HOUR, HOUR + 1])


def scenario(name: str, rng: random.Random) -> dict:
    document = random_policy(rng)
    live = random_live(rng, document)
    policy = compile(document)
    over = compile_live(live, policy)
    cases = []
    for _ in range(rng.randrange(3, 7)):
        request, now = random_request(rng, document), random_now(rng)
        request = respell(rng, request) if rng.random() < 0.6 else request
        cases.append({"now_us": now, "request": request, "expect": resolve(policy, over, request, now)})
    return {"id": name, "policy": document, "live": live, "ignored": over.ignored, "cases": cases}


# Faults. Each row: what is put into a valid policy, and where below it the error is. A rule comes at any place, the others as a new name.

LATER = "2026-12-01T00:00:00Z"
RULES = [
    ("basic", ""), (None, ""), ([], ""), ({}, ".limit"), ({"when": {"path": "/x"}, "cost": 1}, ".limit"), ({"limit": "basic", "limits": "basic"}, ".limits"),
    *(({"exempt": exempt, "when": {"path": "/x"}}, ".exempt") for exempt in [False, "yes", 1, None]),
    *(({"when": {"path": "/x"}, "exempt": True, name: value}, f".{name}") for name, value in [
        ("limit", "basic"), ("cost", 1), ("per", "address"), ("mode", "shadow"), ("count", "failed")]),
    *(({"limit": limit}, f".limit{step}") for limit, step in [
        ("nobody", ""), (["basic", "nobody"], "[1]"), ([], ""), ("", ""), (5, ""), ([["basic"]], "[0]"), (None, ""), ("100/minute", ""),
        ({"basic": "1/s"}, "")]),
    *(({"limit": "basic", "when": when}, f".when{step}") for when, step in [
        ({}, ""), ([], ""), ("/x", ""), (None, ""), ({"": "x"}, '[""]'), ({"a b": "x"}, '["a b"]'), ({"9x": "x"}, ".9x"),
        ({"path": []}, ".path"), ({"path": ""}, ".path"), ({"path": "v1/x"}, ".path"), ({"path": "**"}, ".path"), ({"path": "/x?y=1"}, ".path"),
        ({"path": "/items/{id}"}, ".path"), ({"path": ["/x", 7]}, ".path[1]"), ({"path": {"is": "/x"}}, ".path"), ({"method": "GET, POST"}, ".method"),
        ({"method": ["GET", "P\u00d6ST"]}, ".method[1]"), ({"host": "example.com:443"}, ".host"), ({"host": "https://example.com"}, ".host"),
        ({"address": "10.0.0.0/8"}, ".address"), ({"address": ["10.0.0.1", "localhost"]}, ".address[1]"), ({"tier": "gold"}, ".tier"),
        ({"tier": ["basic", "gold"]}, ".tier[1]"), ({"tenant": True}, ".tenant"), ({"tenant": None}, ".tenant"), ({"tenant": ["x", ""]}, ".tenant[1]")]),
    *(({"limit": "basic", "per": per}, f".per{step}") for per, step in [
        ("ip", ""), ([], ""), ("", ""), (["identity"], "[0]"), ("{}", ""), ("x{tenant}", ""), ("{tenant}{model}", ""), (["{tenant}", "{a b}"], "[1]"),
        (3, ""), (None, "")]),
    *(({"limit": "basic", "cost": cost}, ".cost") for cost in [-1, EXACT, 2**64, True, 1.5, 2.0, "5", "", "{a}{b}", "{}", "{ n }", None, [1]]),
    *(({"limit": "basic", "mode": mode}, ".mode") for mode in ["dry", "Shadow", True, None, ["shadow"]]),
    *(({"limit": "basic", "count": count}, f".count{step}") for count, step in [
        ("sometimes", ""), (404, ""), ([], ""), ([200, 600], "[1]"), ([99], "[0]"), (["failed"], "[0]"), ([True], "[0]"), (None, "")]),
    *(({"limit": "basic", "settle": settle}, ".settle") for settle in ["tokens", "", 5, "{a}{b}", ["{a}"], None])]
LIMITERS = [
    *((name, "1/s", "") for name in ["bad name", "", "x" * 65, "tier", "\u00e9", "a/b"]), ("new", {}, ".rate"), ("new", {"algorithm": "fixed_window"}, ".rate"),
    *(("new", rate, "") for rate in [
        100, None, [], "", " ", "100", ";", "100/fortnight", "0/s", "1/0s", "1/367d", "10/s; 20/1000ms", "10/s;;", "1.5/s", "-1/s", "_1/s",
        "1000000000001/s", "1/s burst 0", "1/s burst", "100/minute bursts 20", "100/minuteburst 20", "10 persecond", "5/1_0s", "1/sss", "1/\u017f",
        "1/s; 1000000000000/366d", "1/1000000000001us", "; ".join(f"1/{n}s" for n in range(1, 10)), "1/s" + " " * 4096]),
    *(("new", {"rate": "1/s", **more}, f".{list(more)[-1]}") for more in [
        {"rate": 5}, {"rate": {"rate": "1/s"}}, {"algorithm": "bucket"}, {"algorithm": None}, {"mode": "dry"}, {"mode": False}, {"on_failure": "maybe"},
        {"until": LATER}, {"numbers": 5}]),
    *(("new", spec, ".rate") for spec in [{"algorithm": "fixed_window", "rate": "1/s burst 2"}, {"algorithm": "sliding_log", "rate": "10001/s"}])]
TIERS = [
    ("new", ["nobody"], "[0]"), ("new", ["basic", ""], "[1]"), ("new", [5], "[0]"), ("new", ["tier"], "[0]"), ("new", "basic", ""), ("new", None, ""),
    ("bad/name", [], ""), ("new", {"limiters": ["basic"]}, "")]
CALLERS = [
    *((name, {"tier": "basic"}, "") for name in [
        "", "x" * 513, "x" * 511 + "\u00e9", "203.0.113.7/24", "203.0.113.0/33", "203.0.113.300", "010.0.0.1", "10.0.0.0/255.0.0.0", "10.0.0.0/08",
        "10.0.0.0/", "10.0.0.0/x", "300.0.0.0/8", "2001:db8::1/32", "2001:db8::/129", "::ffff:10.0.0.0/104", "@nobody", "@10.0.0", "@", "10.0.0.1:80",
        "[::1]", "fe80::1%eth0", " 10.0.0.1"]),
    *(("new", entry, "") for entry in ["pro", True, None, [], 5]),
    *(("new", {name: value}, f".{name}{step}") for name, value, step in [
        ("banned", True, ""), ("ban", "yes", ""), ("ban", 1, ""), ("exempt", None, ""), ("tier", "gold", ""), ("tier", 5, ""), ("tier", "", ""),
        ("tier", ["basic"], ""), ("reason", "", ""), ("reason", 5, ""), ("limits", [], ""), ("limits", "1/s", ""), ("limits", {"nobody": "1/s"}, ".nobody"),
        ("limits", {"basic": 5}, ".basic"), ("limits", {"basic": "fast"}, ".basic"), ("limits", {"images": "1/s burst 2"}, ".images"),
        ("limits", {"basic": {"rate": "1/s"}}, ".basic")]),
    *(("new", {"until": until}, ".until") for until in [
        "tomorrow", "2026-12-01", "2026-12-01 00:00:00Z", "2026-12-01T00:00:00", "2026-12-01t00:00:00z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-12-01T24:00:00Z", "2026-12-01T23:59:60Z", "2026-12-01T00:00:00.1234567Z", "2026-12-01T00:00:00.Z", "2026-12-01T00:00:00+24:00",
        "2026-12-01T00:00:00+0100", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", " 2026-12-01T00:00:00Z", 1796083200, None, ""])]
TWICE = [
    ("10.0.0.1", "@10.0.0.1"), ("10.9.0.1", "::ffff:10.9.0.1"), ("10.9.0.1", "10.9.0.1/32"), ("2001:db8:a::1", "2001:db8:a::2"),
    ("2001:db8:a::/64", "2001:db8:a::9"), ("2001:db8:8000::/33", "2001:DB8:8000:0::/33"), ("2001:db8:a::/48", "@2001:db8:a::/48")]
TOP = [
    *(("version", version, "version") for version in [2, 0, "1", True, 1.0, None]), ("limters", {}, "limters"), ("a b", {}, '["a b"]'),
    ("limiters", [], "limiters"), ("limiters", None, "limiters"), ("tiers", ["basic"], "tiers"), ("default_tier", "gold", "default_tier"),
    ("default_tier", None, "default_tier"), ("rules", {}, "rules"), ("rules", None, "rules"), ("callers", [], "callers"), ("mode", "dry", "mode"),
    ("mode", False, "mode"), ("limiters", {f"l{i}": "1/s" for i in range(1001)}, "limiters"), ("rules", [{"limit": "basic"}] * 1001, "rules")]
LIVES = [
    ([], ""), ("x", ""), (None, ""), ({"rules": []}, "rules"), ({"version": 1}, "version"), ({"mode": "shadow"}, "mode"), ({"limiters": None}, "limiters"),
    *(({"limiters": {name: spec}}, f"limiters.{name}{step}") for name, spec, step in [
        ("basic", None, ""), ("basic", "", ""), ("basic", {"rate": "fast"}, ".rate"), ("basic", {"algorithm": "fixed_window"}, ".algorithm"),
        ("basic", {"mode": "on"}, ".mode"), ("images", "1/s burst 5", ""), ("images", {"rate": "1/s", "until": 5}, ".until")]),
    *(({"tiers": {"basic": tier}}, f"tiers.basic{step}") for tier, step in [
        ({"until": LATER}, ".limiters"), ({"limiters": ["basic"], "until": "x"}, ".until"), ([5], "[0]"), ({"limiters": [""]}, ".limiters[0]"), ("basic", "")]),
    *(({"callers": {name: entry}}, f"callers{step}") for name, entry, step in [
        ("k", {"until": 5}, ".k.until"), ("10.0.0.0/33", {"ban": True}, '["10.0.0.0/33"]'), ("k", {"limits": {"basic": ""}}, ".k.limits.basic"),
        ("k", {"ban": "1h"}, ".k.ban"), ("k\u00e9y \"x\"", {"tier": 1}, '["k\u00e9y \\"x\\""].tier')]),
    ({"callers": {"10.0.0.1": {}, "@10.0.0.1": {}}}, 'callers["@10.0.0.1"]')]
KINDS = {"rule": RULES, "limiters": LIMITERS, "tiers": TIERS, "callers": CALLERS, "twice": TWICE, "top": TOP, "live": LIVES,
         "whole": [([], ""), (None, ""), ("version: 1", "")], "without-version": [()], "after-exempt": [()]}
FAULTS = [(kind, *row) for kind, rows in KINDS.items() for row in rows]


def fault(name: str, rng: random.Random, kind: str, *row) -> dict:
    document = random_policy(rng)
    rules = document["rules"]
    if kind == "rule":
        index = rng.randrange(len(rules) + (rules[-1] != {"exempt": True}))
        rules.insert(index, row[0])
        path = f"rules[{index}]{row[1]}"
    elif kind in ("limiters", "tiers", "callers"):
        document[kind][row[0]] = row[1]
        path = Node(kind, {}).at(row[0]).path + row[2]
    elif kind == "twice":
        document["callers"] = {row[0]: {}, **document["callers"], row[1]: {}}
        path = Node("callers", {}).at(row[1]).path
    elif kind == "top":
        document = {"version": 1, "limiters": {"basic": "1/s"}, row[0]: row[1]}
        path = row[2]
    elif kind == "whole":
        document, path = row
    elif kind == "without-version":
        del document["version"]
        path = "version"
    elif kind == "after-exempt":
        index = rng.randrange(len(rules))
        rules.insert(index, {"exempt": True})
        path = f"rules[{index + 1}]"
    try:
        policy = compile(document)
        if kind == "live":
            path = row[1]
            compile_live(row[0], policy)
        raise AssertionError(f"{kind} {row}: no error")
    except PolicyError as error:
        assert error.path == path, (kind, row, error.path)
    return {"id": name, "policy": document, **({"live": row[0], "live_error_path": path, "cases": []} if kind == "live" else {"error_path": path})}


def vectors(count: int, seed: int):
    for i in range(count):
        yield edge(*EDGES[i]) if i < len(EDGES) else scenario(f"{seed}.{i}", random.Random(seed * 1_000_003 + i))
    order = random.Random(seed).sample(FAULTS, len(FAULTS))
    for i in range(count // 3):
        yield fault(f"{seed}.fault.{i}", random.Random(seed * 1_000_003 + count + i), *order[i % len(order)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    for vector in vectors(args.count, args.seed):
        print(json.dumps(vector, separators=(",", ":")))


if __name__ == "__main__":
    main()
