# SPDX-License-Identifier: MIT
"""Cases of policies, of several keys, and of middleware within middleware: part of generate.py."""

from __future__ import annotations

from typing import Any

from http_model import (
    Policy as Named,
    caller_key,
    client_address,
    headers,
    policies,
    problem,
    status,
)
from model import Decision, Limit, Part, Store
from policy_model import Policy, compile, resolve

PEER = "127.0.0.1"
FORBIDDEN = {
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
    "detail": "This caller is banned.",
}


class World:
    """One store for all middleware of a case: limiters by name, each with its rates."""

    def __init__(self) -> None:
        self.names: dict[str, list[int]] = {}
        self.store = Store([])
        self.policies: list[Named] = []

    def add(self, name: str, rates: list[Limit]) -> None:
        if name in self.names:
            return
        first = len(self.policies)
        self.policies += policies(name, rates)
        self.store.limits += rates
        self.names[name] = list(range(first, len(self.policies)))

    def parts(self, name: str, key: str, cost: int) -> list[Part]:
        return [Part(i, key, cost) for i in self.names[name]]


class Layer:
    """One middleware: limits by code, each with a key of its own, or a policy."""

    def __init__(
        self,
        world: World,
        limits: list[dict[str, Any]] | None = None,
        *,
        key_header: str | None = None,
        key_headers: list[str | None] | None = None,
        policy: dict[str, Any] | None = None,
        identity_header: str | None = None,
        tier_header: str | None = None,
        attribute_headers: dict[str, str] | None = None,
        style: list[str],
    ):
        self.world, self.limits, self.style = world, limits or [], style
        self.key_header, self.key_headers = key_header, key_headers
        self.policy, self.identity_header = policy, identity_header
        self.tier_header, self.attribute_headers = tier_header, attribute_headers or {}
        self.compiled = compile(policy) if policy is not None else None
        for one in self.limits:
            world.add(one["name"], one["_limits"])
        if self.compiled is not None:
            for name, entry in self.compiled.limiters.items():
                shadow = entry["mode"] == "shadow"
                world.add(
                    name,
                    [
                        Limit(r.algorithm, r.limit, r.window_us, r.burst, shadow=shadow)
                        for r in entry["rates"]
                    ],
                )

    def config(self) -> dict[str, Any]:
        limits = [{k: v for k, v in one.items() if not k.startswith("_")} for one in self.limits]
        return {
            "limits": limits,
            "headers": self.style,
            "key_header": self.key_header,
            "trusted_proxies": 0,
            "exempt": [],
            "cost": 1,
            "cost_header": None,
            "message": None,
            "policy": self.policy,
            "identity_header": self.identity_header,
            "tier_header": self.tier_header,
            "attribute_headers": self.attribute_headers,
            "key_headers": self.key_headers,
            "inner": None,
            "app_fields": [],
        }

    def asks(
        self, at: int, request: dict[str, Any], fields: dict[str, str]
    ) -> dict[str, Any] | list[Part]:
        """The parts that it asks, or what the policy answers without asking."""
        if (
            request["method"] == "OPTIONS"
            and "origin" in fields
            and "access-control-request-method" in fields
        ):
            return {"verdict": "exempt"}
        address = client_address(PEER, [], 0)
        out: list[Part] = []
        if self.compiled is not None:
            attributes = {
                "method": request["method"],
                "path": request["path"].partition("?")[0],
                "address": address,
            }
            for name, header in (
                ("identity", self.identity_header),
                ("tier", self.tier_header),
                *self.attribute_headers.items(),
            ):
                if header and header in fields:
                    attributes[name] = fields[header]
            answer = resolve(self.compiled, Policy(self.compiled), attributes, at)
            if answer["verdict"] != "limits":
                return answer
            for part in answer["parts"]:
                out += self.world.parts(part["limiter"], part["key"], part["cost"])
        for i, one in enumerate(self.limits):
            header = self.key_headers[i] if self.key_headers else self.key_header
            key = caller_key(fields.get(header) if header else None, address)
            out += self.world.parts(one["name"], key, 1)
        return out


def answer(
    world: World, layers: list[Layer], app_fields: list[list[str]], at: int, request: dict[str, Any]
) -> dict[str, Any]:
    """What a caller sees of the layers that the request passes, outermost first."""
    fields = {name.lower(): value for name, value in request["headers"]}
    passed: list[tuple[list[Part], Decision]] = []
    charged: set[tuple[int, str]] = set()
    for layer in layers:
        asked = layer.asks(at, request, fields)
        if isinstance(asked, dict):
            if asked["verdict"] == "exempt":
                continue
            return banned(world, passed, at, asked)
        new = [p for p in asked if (p.limit, p.key) not in charged]
        charged |= {(p.limit, p.key) for p in new}
        if not new:
            continue
        decision = world.store.consume(at, new)
        if not decision.allowed:
            return refused(world, passed, at, new, decision, layer.style)
        passed.append((new, decision))
    told = say(world, passed, layers[0].style)
    there = {family(name) for name, _ in app_fields}
    return {
        "status": 200,
        "body": "ok",
        "headers": [*app_fields, *(f for f in told if family(f[0]) not in there)],
    }


def say(
    world: World, passed: list[tuple[list[Part], Decision]], style: list[str]
) -> list[list[Any]]:
    pairs = [
        (world.policies[p.limit], a)
        for parts, decision in passed
        for p, a in zip(parts, decision.parts)
    ]
    seen = [i for i, (policy, _) in enumerate(pairs) if not policy.limit.shadow]
    if not seen:
        return []
    tightest = min(seen, key=lambda i: (pairs[i][1].remaining, i))
    return [list(f) for f in headers(pairs, True, tightest, "memory", style, 0)]


def refused(
    world: World,
    passed: list[tuple[list[Part], Decision]],
    at: int,
    parts: list[Part],
    decision: Decision,
    style: list[str],
) -> dict[str, Any]:
    before = [(world.policies[p.limit], a) for old, d in passed for p, a in zip(old, d.parts)]
    own = [(world.policies[p.limit], a) for p, a in zip(parts, decision.parts)]
    give_back(world, passed, at)
    binding = len(before) + decision.binding
    fields = [list(f) for f in headers([*before, *own], False, binding, "memory", style, 0)]
    fields.append(["Content-Type", "application/problem+json"])
    return {
        "status": status(False, "memory"),
        "headers": fields,
        "body": problem(own, decision.binding, "memory"),
    }


def banned(
    world: World, passed: list[tuple[list[Part], Decision]], at: int, verdict: dict[str, Any]
) -> dict[str, Any]:
    import json

    give_back(world, passed, at)
    body: dict[str, Any] = dict(FORBIDDEN)
    fields = [["Content-Type", "application/problem+json"]]
    if verdict["retry_after_us"] is not None:
        body["retry_after"] = -(-verdict["retry_after_us"] // 1_000_000)
        fields.insert(0, ["Retry-After", str(body["retry_after"])])
    return {"status": 403, "headers": fields, "body": json.dumps(body, separators=(",", ":"))}


def give_back(world: World, passed: list[tuple[list[Part], Decision]], at: int) -> None:
    for parts, decision in passed:
        world.store.refund(at, [p for p, a in zip(parts, decision.parts) if a.allowed])


def family(name: str) -> str:
    lowered = name.lower()
    if lowered in ("ratelimit", "ratelimit-policy"):
        return "ratelimit"
    return "x-ratelimit" if lowered.startswith("x-ratelimit-") else lowered
