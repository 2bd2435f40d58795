# SPDX-License-Identifier: MIT
"""The shared table of HTTP cases, worked out by the reference models: README.md has the format.

python3 tests/http/generate.py > tests/http/cases.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))

from guarded import Layer, World, answer  # noqa: E402
from http_model import (  # noqa: E402
    Policy, caller_key, client_address, default_name, headers, policies, problem, status)
from model import Decision, Limit, Part, Store  # noqa: E402

START = 1_763_683_200_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
PEER = "127.0.0.1"
UNITS = {SECOND: "second", MINUTE: "minute", 60 * MINUTE: "hour", 1440 * MINUTE: "day"}
BOTH = ["standard", "legacy-delta"]


def limiter(*rates: tuple[int, int] | tuple[int, int, int], name: str | None = None,
            algorithm: str = "token_bucket", mode: str = "enforce") -> dict[str, Any]:
    """One limiter of a case; each rate is (count, window_us) or (count, window_us, burst)."""
    limits = [Limit(algorithm, *rate, shadow=mode == "shadow") for rate in rates]
    words = []
    for limit in limits:
        burst = f" burst {limit.burst}" if limit.burst is not None else ""
        window = UNITS.get(limit.window_us) or f"{limit.window_us // 1000}ms"
        words.append(f"{limit.limit}/{window}{burst}")
    return {"rates": "; ".join(words), "name": name, "algorithm": algorithm, "mode": mode,
            "_limits": limits}


class Middleware:
    """What a middleware does, in the models' words."""

    def __init__(self, limits: list[dict[str, Any]], *, headers: list[str] | None = None,
                 key_header: str | None = None, trusted_proxies: int | list[str] = 0,
                 exempt: list[str] | None = None, cost_header: str | None = None, cost: int = 1,
                 message: Any = None):
        self.limits, self.styles = limits, BOTH if headers is None else headers
        self.key_header, self.trusted = key_header, trusted_proxies
        self.exempt, self.cost_header, self.cost = exempt or [], cost_header, cost
        self.message = message
        self.policies: list[Policy] = []
        for one in limits:
            if one["mode"] != "off":
                name = one["name"] or default_name(one["_limits"])
                self.policies += policies(name, one["_limits"])
        self.store = Store([policy.limit for policy in self.policies])

    def config(self) -> dict[str, Any]:
        limits = [{k: v for k, v in one.items() if not k.startswith("_")} for one in self.limits]
        return {"limits": limits, "headers": self.styles, "key_header": self.key_header,
                "trusted_proxies": self.trusted, "exempt": self.exempt, "cost": self.cost,
                "cost_header": self.cost_header, "message": self.message}

    def decide(self, at: int, request: dict[str, Any]) -> Decision | None:
        sent = [(name.lower(), value) for name, value in request["headers"]]
        fields = dict(sent)
        preflight = (request["method"] == "OPTIONS" and "origin" in fields
                     and "access-control-request-method" in fields)
        if preflight or request["path"] in self.exempt or not self.policies:
            return None
        forwarded = [value for name, value in sent if name == "x-forwarded-for"]
        identity = fields.get(self.key_header) if self.key_header else None
        key = caller_key(identity, client_address(PEER, forwarded, self.trusted))
        cost = int(fields.get(self.cost_header, self.cost)) if self.cost_header else self.cost
        parts = [Part(i, key, cost) for i in range(len(self.policies))]
        return self.store.consume(at, parts)

    def expect(self, at: int, request: dict[str, Any]) -> dict[str, Any]:
        decision = self.decide(at, request)
        if decision is None:
            return {"status": 200, "headers": [], "body": "ok"}
        seen = list(zip(self.policies, decision.parts))
        fields: list[list[Any]] = [list(pair) for pair in headers(
            seen, decision.allowed, decision.binding, "memory", self.styles, 0)]
        for field in fields:
            if field[0] == "X-RateLimit-Reset" and "legacy" in self.styles:
                field[1] = {"epoch_after_us": decision.parts[decision.binding].reset_after_us}
        if decision.allowed:
            return {"status": 200, "headers": fields, "body": "ok"}
        kind, body = "application/problem+json", problem(seen, decision.binding, "memory")
        if isinstance(self.message, str):
            kind, body = "text/plain; charset=utf-8", self.message
        elif self.message is not None:
            kind, body = "application/json", json.dumps(self.message, separators=(",", ":"))
        fields.append(["Content-Type", kind])
        return {"status": status(False, "memory"), "headers": fields, "body": body}


def request(after_us: int = 0, path: str = "/", method: str = "GET", **fields: str
            ) -> dict[str, Any]:
    """after_us: since the case's start. Fields: x_api_key="k" is the header X-Api-Key: k."""
    named = [["-".join(word.capitalize() for word in name.split("_")), value]
             for name, value in fields.items()]
    return {"at_us": START + after_us, "method": method, "path": path, "headers": named}


def case(title: str, middleware: Middleware, *requests: dict[str, Any]) -> dict[str, Any]:
    steps = []
    for one in requests:
        expected = middleware.expect(one["at_us"], one)
        if one["method"] == "HEAD":
            expected["body"] = ""
        steps.append({**one, "expect": expected})
    return {"title": title, "middleware": middleware.config(), "requests": steps}


def limits_and_headers() -> list[dict[str, Any]]:
    three = (3, MINUTE)
    return [
        case("allowed, denied, allowed again when Retry-After has passed",
             Middleware([limiter(three, name="api")]),
             *[request() for _ in range(4)], request(19_999_999), request(20 * SECOND)),
        case("a limiter without a name is called by its numbers",
             Middleware([limiter((2, MINUTE, 5))]), *[request() for _ in range(6)]),
        case("only the standard fields", Middleware([limiter(three, name="api")],
             headers=["standard"]), *[request() for _ in range(4)]),
        case("only the legacy fields, in epoch seconds", Middleware(
             [limiter(three, name="api")], headers=["legacy"]), *[request() for _ in range(4)]),
        case("standard and legacy fields, the default", Middleware(
             [limiter(three, name="api")], headers=["standard", "legacy"]),
             *[request() for _ in range(4)]),
        case("no fields but Retry-After", Middleware([limiter((1, MINUTE), name="api")],
             headers=[]), request(), request()),
        case("several rates of one limiter, all or nothing",
             Middleware([limiter((2, SECOND), (3, MINUTE), name="api")]),
             request(), request(), request(), request(SECOND), request(2 * SECOND)),
        case("several limits in one atomic check: the denied request costs nothing in either",
             Middleware([limiter((5, MINUTE), name="wide"), limiter((1, SECOND), name="narrow")]),
             request(), request(), request(), request(SECOND), request(SECOND)),
        case("a fixed window, with the time left in it",
             Middleware([limiter((2, MINUTE), name="fixed", algorithm="fixed_window")]),
             request(), request(7_500_000), request(10 * SECOND), request(MINUTE)),
        case("a sliding window", Middleware(
             [limiter((4, MINUTE), name="slide", algorithm="sliding_window")]),
             *[request(i * 10 * SECOND) for i in range(9)]),
        case("a sliding log", Middleware(
             [limiter((2, MINUTE), name="log", algorithm="sliding_log")]),
             *[request(i * 12 * SECOND) for i in range(7)]),
        case("a window below a second", Middleware([limiter((1, 250_000), name="fast")]),
             request(), request(), request(249_999), request(250_000)),
        case("a shadow limiter never blocks and is not seen",
             Middleware([limiter((1, MINUTE), name="shade", mode="shadow")]),
             request(), request(), request()),
        case("a shadow limiter beside one that blocks",
             Middleware([limiter((2, MINUTE), name="api"),
                         limiter((1, MINUTE), name="shade", mode="shadow")]),
             request(), request(), request()),
        case("a limiter that is off lets everything pass and says nothing",
             Middleware([limiter((1, MINUTE), name="api", mode="off")]), request(), request()),
        case("a clock that steps back locks nobody out",
             Middleware([limiter((1, MINUTE), name="api")]),
             request(3600 * SECOND), request(), request(MINUTE)),
    ]


def costs_and_bodies() -> list[dict[str, Any]]:
    ten = limiter((10, MINUTE), name="api")
    return [
        case("a fixed cost", Middleware([ten], cost=4), *[request() for _ in range(4)]),
        case("a cost by request; 0 is always allowed", Middleware([ten], cost_header="x-cost"),
             request(x_cost="7"), request(x_cost="4"), request(x_cost="3"), request(x_cost="0"),
             request()),
        case("a cost above the capacity never fits: no Retry-After",
             Middleware([ten], cost_header="x-cost"), request(x_cost="11"), request(x_cost="10")),
        case("a text replaces the body", Middleware(
             [limiter((1, MINUTE), name="api")], message="Slow down: \u00e9t\u00e9"),
             request(), request()),
        case("an object replaces the body", Middleware(
             [limiter((1, MINUTE), name="api")], message={"error": "slow_down", "n": [1, None]}),
             request(), request()),
    ]


def methods_and_paths() -> list[dict[str, Any]]:
    two = limiter((2, MINUTE), name="api")
    preflight = {"origin": "https://a.example", "access_control_request_method": "POST"}
    return [
        case("a CORS preflight is not charged and gets no fields; other OPTIONS are charged",
             Middleware([two]), request(method="OPTIONS", **preflight),
             request(method="OPTIONS", **preflight), request(method="OPTIONS"), request(),
             request(), request(method="OPTIONS", **preflight), request(method="OPTIONS")),
        case("HEAD is charged like GET, and refused without a body", Middleware([two]),
             request(method="HEAD"), request(method="HEAD"), request(method="HEAD"), request()),
        case("methods and paths share a limit", Middleware([two]),
             request(path="/a"), request(path="/b", method="POST"), request(path="/c?d=e")),
        case("exempt paths are not charged and get no fields",
             Middleware([limiter((1, MINUTE), name="api")], exempt=["/health", "/live"]),
             request(path="/health"), request(path="/live"), request(path="/"),
             request(path="/health"), request(path="/healthy"), request(path="/live/deep")),
    ]


def callers() -> list[dict[str, Any]]:
    def one(**options: Any) -> Middleware:
        return Middleware([limiter((1, MINUTE), name="api")], **options)

    by_key: dict[str, Any] = {"key_header": "x-api-key"}
    long = "k" * 600
    return [
        case("by identity; without one, or with an empty one, by address", one(**by_key),
             request(x_api_key="k_1"), request(x_api_key="k_1"), request(x_api_key="k_2"),
             request(), request(), request(x_api_key="")),
        case("an identity can never be an address", one(**by_key), request(),
             request(x_api_key="@127.0.0.1"), request(x_api_key="127.0.0.1"), request()),
        case("a key above 512 bytes counts as a whole", one(**by_key),
             request(x_api_key=long + "a"), request(x_api_key=long + "b"),
             request(x_api_key=long + "a"), request(x_api_key="k" * 512),
             request(x_api_key="k" * 513)),
        case("X-Forwarded-For is not believed without trusted proxies", one(),
             request(x_forwarded_for="203.0.113.7"), request(x_forwarded_for="203.0.113.8")),
        case("one trusted proxy: the rightmost hop, whatever stands to the left",
             one(trusted_proxies=1), request(x_forwarded_for="203.0.113.7"),
             request(x_forwarded_for="1.2.3.4, 203.0.113.7"),
             request(x_forwarded_for="203.0.113.7, 203.0.113.8"), request(), request()),
        case("two trusted proxies", one(trusted_proxies=2),
             request(x_forwarded_for="203.0.113.7, 10.0.0.1"),
             request(x_forwarded_for="9.9.9.9, 203.0.113.7, 10.0.0.2"),
             request(x_forwarded_for="203.0.113.8, 10.0.0.1")),
        case("trusted networks", one(trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"]),
             request(x_forwarded_for="203.0.113.7, 10.0.0.1"),
             request(x_forwarded_for="203.0.113.7"),
             request(x_forwarded_for="203.0.113.7, 198.51.100.1, 10.0.0.1"),
             request(x_forwarded_for="198.51.100.1, 10.9.9.9")),
        case("IPv6 callers are grouped by /64", one(trusted_proxies=1),
             request(x_forwarded_for="2001:db8:1:2:3:4:5:6"),
             request(x_forwarded_for="2001:db8:1:2::9"), request(x_forwarded_for="2001:db8:1:3::9"),
             request(x_forwarded_for="[2001:db8:1:3::7]:443")),
        case("an IPv4-mapped address is IPv4", one(trusted_proxies=1),
             request(x_forwarded_for="::ffff:203.0.113.7"), request(x_forwarded_for="203.0.113.7")),
        case("a hop that is no address ends the walk", one(trusted_proxies=2),
             request(x_forwarded_for="203.0.113.7, unknown"), request(),
             request(x_forwarded_for="203.0.113.7, 203.0.113.9")),
        case("two callers with two limits each", Middleware(
             [limiter((1, SECOND), (2, MINUTE), name="per"), limiter((3, MINUTE), name="wide")],
             key_header="x-api-key"),
             *[request(i // 2 * SECOND, x_api_key=f"k_{i % 2}") for i in range(8)]),
    ]


def layered(title: str, world: World, layers: list[Layer], *requests: dict[str, Any],
            app_fields: list[list[str]] | None = None) -> dict[str, Any]:
    """Layers from the outermost; those behind the first are around the handler at /inner only."""
    steps = []
    for one in requests:
        met = layers if one["path"] == "/inner" else layers[:1]
        expected = answer(world, met, app_fields or [], one["at_us"], one)
        if one["method"] == "HEAD":
            expected["body"] = ""
        steps.append({**one, "expect": expected})
    config = layers[0].config()
    config["app_fields"] = app_fields or []
    if len(layers) > 1:
        config["inner"] = layers[1].config()
    return {"title": title, "middleware": config, "requests": steps}


POLICY: dict[str, Any] = {
    "version": 1,
    "limiters": {"basic": "2/minute", "pro": "100/minute burst 20", "everybody": "50/minute",
                 "images": "10/minute", "tried": {"rate": "1/minute", "mode": "shadow"}},
    "tiers": {"basic": ["basic"], "pro": ["pro", "tried"], "free": []}, "default_tier": "basic",
    "rules": [
        {"when": {"path": ["/health", "/public/**"]}, "exempt": True},
        {"when": {"path": "/v1/images/*", "method": "POST"}, "limit": "images",
         "cost": "{images}"},
        {"limit": "tier"}, {"limit": "everybody", "per": "everyone"}],
    "callers": {
        "k_evil": {"ban": True}, "k_late": {"ban": True, "until": "2025-11-21T00:01:00Z"},
        "k_friend": {"exempt": True}, "k_pro": {"tier": "pro"}}}
FREE_FOR_ALL = {"version": 1, "limiters": {"app": "100/minute"}, "rules": [{"limit": "app"}]}


def policy_cases() -> list[dict[str, Any]]:
    def one() -> tuple[World, list[Layer]]:
        world = World()
        return world, [Layer(world, policy=POLICY, style=BOTH, identity_header="x-api-key",
                             tier_header="x-tier", attribute_headers={"images": "x-images"})]

    return [
        layered("a policy: every rule that matches, in one check", *one(),
                *[request(x_api_key="k_1") for _ in range(3)], request(x_api_key="k_2"),
                request(30 * SECOND, x_api_key="k_1")),
        layered("a policy: exempt paths, however they are spelt", *one(),
                request(path="/health"), request(path="/health/"), request(path="/public/a/b"),
                request(path="/%68ealth"), request(path="/healthy")),
        layered("a policy: a cost of the request", *one(),
                request(path="/v1/images/x", method="POST", x_api_key="k_pro", x_images="7"),
                request(path="/v1/images/x", method="POST", x_api_key="k_pro", x_images="4"),
                request(path="/v1/images/x", x_api_key="k_pro"),
                request(path="/v1/images/x", method="POST", x_api_key="k_pro", x_images="3")),
        layered("a policy: tiers by caller, by request, by default; one without limits", *one(),
                request(x_api_key="k_pro"), request(x_api_key="k_1", x_tier="pro"),
                request(x_api_key="k_1"), request(x_api_key="k_1", x_tier="free"),
                request(x_api_key="k_pro", x_tier="free")),
        layered("a policy: bans that end, and bans that do not", *one(),
                request(x_api_key="k_evil"), request(x_api_key="k_late"),
                request(59_999_999, x_api_key="k_late"), request(60 * SECOND, x_api_key="k_late"),
                request(x_api_key="k_evil", method="HEAD")),
        layered("a policy: a caller that is exempt gets no fields", *one(),
                *[request(x_api_key="k_friend") for _ in range(4)]),
        layered("a policy: preflights, HEAD and OPTIONS", *one(),
                request(method="OPTIONS", origin="https://a.example",
                        access_control_request_method="POST", x_api_key="k_evil"),
                request(method="HEAD", x_api_key="k_1"),
                request(method="OPTIONS", x_api_key="k_1"), request(x_api_key="k_1")),
    ]


def several_layers() -> list[dict[str, Any]]:
    def keys() -> tuple[World, list[Layer]]:
        world = World()
        limits = [limiter((3, MINUTE), name="per-ip"), limiter((2, MINUTE), name="per-key")]
        return world, [Layer(world, limits, key_headers=[None, "x-api-key"], style=BOTH)]

    def nested() -> tuple[World, list[Layer]]:
        world = World()
        return world, [
            Layer(world, [limiter((5, MINUTE), name="app")], key_header="x-api-key", style=BOTH),
            Layer(world, [limiter((2, MINUTE), name="route"), limiter((5, MINUTE), name="app")],
                  key_header="x-api-key", style=BOTH)]

    def policy_and_route() -> tuple[World, list[Layer]]:
        world = World()
        return world, [
            Layer(world, policy=FREE_FOR_ALL, identity_header="x-api-key", style=BOTH),
            Layer(world, [limiter((1, MINUTE), name="route")], key_header="x-api-key",
                  style=BOTH)]

    inner = {"path": "/inner"}
    return [
        layered("two limits on two keys are one check", *keys(),
                *[request(x_api_key="k_1") for _ in range(3)], request(x_api_key="k_2"),
                request(x_api_key="k_3"), request()),
        layered("middleware within middleware: fields are joined, the same limit counts once",
                *nested(), *[request(x_api_key="k_1", **inner) for _ in range(3)],
                request(x_api_key="k_1")),
        layered("what the inner one refuses costs nothing in the outer one", *nested(),
                *[request(x_api_key="k_1", **inner) for _ in range(5)],
                *[request(x_api_key="k_1") for _ in range(4)]),
        layered("a route's limit under an application's policy", *policy_and_route(),
                *[request(x_api_key="k_1", **inner) for _ in range(3)], request(x_api_key="k_1"),
                request(x_api_key="k_2", **inner)),
        layered("fields that the application sends itself stand, with their family", *keys(),
                request(x_api_key="k_1"), request(x_api_key="k_1"),
                app_fields=[["RateLimit", "\"mine\";r=9"]]),
    ]


def main() -> None:
    cases = limits_and_headers() + costs_and_bodies() + methods_and_paths() + callers()
    cases += policy_cases() + several_layers()
    print("[")
    for i, one in enumerate(cases):
        requests = one.pop("requests")
        lines = ",\n    ".join(json.dumps(r, separators=(",", ":")) for r in requests)
        head = json.dumps(one, separators=(",", ":"))[:-1]
        print(f"  {head},\n   \"requests\":[\n    {lines}]}}" + ("," if i + 1 < len(cases) else ""))
    print("]")


if __name__ == "__main__":
    main()
