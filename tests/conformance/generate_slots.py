# SPDX-License-Identifier: MIT
"""Conformance vectors for debt and slots: like generate.py's, of all five algorithms.

python3 generate_slots.py --count 300 --seed 7 > slots.jsonl

Over generate.py's format: limits have "overdraft"; the algorithm may be "concurrency" (`limit` slots, a lease of `window_us`), and
parts of such a limit have an "id" (1 to 16 ASCII characters, padded with zero bytes where an engine wants 16; none in some that
take nothing); the op "debit" expects what consume and peek do, and of each part also "short":

{"at": 1763683200000000, "op": "debit", "parts": [{"limit": 0, "key": "a", "cost": 31}],
 "expect": {"allowed": true, "binding": 0,
            "parts": [{"allowed": true, "remaining": 0, "retry_after_us": 126000000, "next_us": 126000000,
                       "reset_after_us": 180000000, "short": 1}]}}                    (10 a minute, overdraft 20)
"""

import argparse
import json
import random
from dataclasses import replace

import generate
from model import EXACT, MAX_SLOTS, MAX_TOKENS, ConfigError, Limit, Part, Store

LEASES_US = [1_000, 10_000, 250_000, 1_000_000, 30_000_000, 30_000_000, 3_600_000_000, 86_400_000_000]
IDS = ["x", "y", "z", "sixteen letters."]
BACK_US = [1, 900, 999_999, 1_000_000, 1_000_001, 2_000_000, 30_000_000, 3_600_000_000]


def random_slots(rng: random.Random, like: Limit | None = None) -> Limit:
    lease = rng.choice(LEASES_US) if rng.random() < 0.8 else rng.randrange(1_000, 10**rng.randrange(4, 11))
    count = rng.choice([1, 2, 2, 3, 3, 4, 5, 8, 20, MAX_SLOTS])
    if like and like.algorithm == "concurrency":
        lease = like.window_us if rng.random() < 0.8 else lease
        count = rng.choice([count, like.limit, like.limit + 1, like.limit - 1, like.limit // 2, like.limit * 2])
    return Limit("concurrency", min(MAX_SLOTS, max(1, count)), lease)


def random_rate(rng: random.Random, like: Limit | None = None) -> Limit:
    """One of generate.py's, most of them with an overdraft, which may be the largest that is still exact."""
    while True:
        rate = generate.random_limit(rng, like if like and like.algorithm != "concurrency" else None)
        few = rng.choice([1, 2, rate.capacity // 2, rate.capacity, 2 * rate.capacity, rng.randrange(3 * rate.capacity + 1)])
        overdraft = rng.choice([0, few, few, like.overdraft if like else few])
        if rng.random() < 0.05:
            most = {"token_bucket": EXACT - 1, "sliding_window": (EXACT - 1) // 3}.get(rate.algorithm, 10**18) // rate.ticks
            overdraft = max(0, min(MAX_TOKENS, most - rate.capacity))
        try:
            return replace(rate, overdraft=overdraft)
        except ConfigError:
            continue


def random_limit(rng: random.Random, like: Limit | None = None) -> Limit:
    """Any limit of the five algorithms; or, `like` another, new numbers for it as a deployment might bring."""
    slots = like.algorithm == "concurrency" if like and rng.random() < 0.9 else rng.random() < 0.4
    limit = (random_slots if slots else random_rate)(rng, like)
    return replace(limit, shadow=like.shadow if like else rng.random() < 0.15)


def random_gap(rng: random.Random, limits: list[Limit], waits: list[int]) -> int:
    """A step of the clock that keeps the limits busy, or one of the `waits` that somebody was told, to the microsecond."""
    limit = min(limits, key=lambda one: one.window_us) if rng.random() < 0.6 else rng.choice(limits)
    if waits and rng.random() < 0.2:
        return max(0, rng.choice(waits) - rng.choice([0, 0, 1, limit.tick]))
    if limit.algorithm != "concurrency" and rng.random() < 0.2:
        return generate.random_gap(rng, limit)
    window = limit.window_us
    return rng.choice([0, 0, 0, 1] + [rng.randrange(window // part + 1) for part in (50, 50, 50, 20, 20, 20, 8, 8, 2)] + [window])


def random_cost(rng: random.Random, op: str, limit: Limit) -> int:
    if op == "debit" and rng.random() < 0.6:
        return rng.choice([limit.overdraft, limit.bound, limit.bound + 1, rng.randrange(limit.bound + 1), rng.randrange(2 * limit.bound),
                           EXACT - 1])
    if limit.algorithm == "concurrency" and rng.random() < 0.7:
        return rng.choice([1, 1, 1, 2, 3, max(1, limit.limit - 1)])
    return generate.random_cost(rng, limit)


def random_part(rng: random.Random, op: str, store: Store, limit: int) -> Part:
    """A part of a concurrency limit names somebody who holds slots, or did, or somebody else; or nobody, where it takes nothing."""
    part = Part(limit, rng.choice("aaaab"), random_cost(rng, op, store.limits[limit]))
    if store.limits[limit].algorithm == "concurrency" and (op == "consume" or rng.random() < 0.85):
        state = store.states.get(store._name(part))
        known = rng.random() < (0.3 if op == "consume" else 0.6) and state and list(state.holders)
        part.id = rng.choice(known or IDS + [f"{rng.randrange(10**6)}"] * 3)
    return part


def members(limit: Limit) -> dict:
    """All of them, the overdraft too where it is 0."""
    return {**vars(limit), "overdraft": limit.overdraft}


def scenario(name: str, rng: random.Random) -> dict:
    limits = [random_limit(rng) for _ in range(rng.choice([1, 1, 2, 2, 3]))]
    crowd = rng.random() < 0.03                                  # many holders of one limit
    if crowd:
        limits = [Limit("concurrency", rng.choice([60, MAX_SLOTS]), rng.choice(LEASES_US))]
    initial = [members(limit) for limit in limits]
    store, steps, waits = Store(limits), [], []
    now = 1_763_683_200_000_000 + rng.randrange(10**12)
    for _ in range(rng.randrange(90, 130) if crowd else rng.randrange(8, 40)):
        now += rng.randrange(limits[0].window_us // 60) if crowd else random_gap(rng, store.limits, waits)
        if rng.random() < 0.04:
            now -= rng.choice([*BACK_US, rng.choice(store.limits).window_us])
        if rng.random() < (0.01 if crowd else 0.05):
            index = rng.randrange(len(limits))
            new = random_limit(rng, store.limits[index])
            store.change(index, new)
            steps.append({"at": now, "op": "change", "limit": index, "to": members(new)})
            continue
        chosen = rng.sample(range(len(limits)), rng.randrange(1, len(limits) + 1))
        if rng.random() < 0.08:
            chosen.append(chosen[0])
        op = rng.choices(["consume", "debit", "peek", "refund", "reset"], [80, 1, 4, 14, 1] if crowd else [56, 20, 9, 13, 2])[0]
        if op == "debit" and rng.random() < 0.8:                 # mostly of rates
            chosen = [i for i in chosen if store.limits[i].algorithm != "concurrency"] or chosen
        parts = [random_part(rng, op, store, i) for i in chosen]
        if crowd and op == "consume" and rng.random() < 0.8:
            parts = [Part(0, "a", 1, f"{rng.randrange(10**6)}")]
        step = {"at": now, "op": op, "parts": [vars(part) for part in parts]}
        if op == "refund":
            store.refund(now, parts)
        elif op == "reset":
            store.reset(parts)
        else:
            decision = getattr(store, op)(now, parts)
            step["expect"] = {"allowed": decision.allowed, "binding": decision.binding,
                              "parts": [vars(answer) for answer in decision.parts]}
            waits = [wait for a in decision.parts for wait in (a.retry_after_us, a.next_us, a.reset_after_us) if wait > 0]
        steps.append(step)
    return {"id": name, "limits": initial, "steps": steps}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    for i in range(args.count):
        rng = random.Random(args.seed * 1_000_003 + i)
        print(json.dumps(scenario(f"{args.seed}.{i}", rng), separators=(",", ":")))


if __name__ == "__main__":
    main()
