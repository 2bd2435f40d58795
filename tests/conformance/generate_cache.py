# SPDX-License-Identifier: MIT
"""Conformance vectors for caches: one JSON object a line, the same line for the same seed.

python3 generate_cache.py --count 300 --seed 7 > cache.jsonl

{"id": "7.12", "spec": {"ttl_us": ..., "stale_us": ..., "error_us": ..., "lease_us": ..., "retry_us": ...},
 "steps": [{"at": 1763683200000000, "op": "get", "key": "a", "fill": true, "token": 1, "expect": {"status": "miss", "lease": true}},
           {"at": ..., "op": "put", "key": "a", "value": "v1", "tags": ["t"], "token": 1, "born": ..., "expect": "stored"},
           {"at": ..., "op": "release", "key": "a", "token": 1, "failed": true, "expect": true}, {"op": "renew", ...},
           {"at": ..., "op": "delete", "key": "a", "expect": true}, {"op": "purge", "tag": "t"}, {"op": "clear"}]}

A token names a holder in the vectors; an engine may make tokens of its own and map them. `put` may carry ttl_us, stale_us, error_us.
"""

import argparse
import json
import random

from cache_model import Cache, Spec

START = 1_763_683_200_000_000


def random_spec(rng: random.Random) -> Spec:
    ttl = rng.choice([1, 1_000, 100_000, 1_000_000, 60_000_000, 3_600_000_000])
    window = lambda: rng.choice([0, ttl // 2, ttl, 10 * ttl])
    return Spec(ttl, window(), window(), rng.choice([1_000, 1_000_000, 10_000_000]), rng.choice([1, 1_000, 1_000_000]))


def scenario(seed: int, number: int) -> dict:
    rng = random.Random(f"cache {seed} {number}")
    spec = random_spec(rng)
    cache, now, token, out = Cache(spec), START, 0, []  # out: (key, token, born) of fills under way, or long overtaken
    gaps = [0, 0, 1, spec.ttl_us // 3, spec.ttl_us - 1, spec.ttl_us, spec.ttl_us + spec.stale_us, spec.ttl_us + spec.error_us,
            spec.lease_us // 2, spec.lease_us, spec.retry_us, 60_000_000]
    if rng.random() < 0.5:
        gaps += [spec.ttl_us + spec.stale_us // 2, spec.ttl_us + max(spec.stale_us, spec.error_us) - 1] * 3
    keys, tags, steps = ["a", "b"][: rng.choice([1, 1, 2])], ["t", "u"], []

    def step(op, expect=None, **what):
        steps.append({"at": now, "op": op} | what | ({} if expect is None else {"expect": expect}))

    def ask(key):
        nonlocal token
        token += 1
        got = cache.get(key, now, True, token)
        if got["lease"]:
            out.append((key, token, now))
        step("get", got, key=key, fill=True, token=token)

    if rng.random() < 0.4:  # an entry grows old, and its refreshing fails
        what = {"key": "a", "value": "v0", "tags": rng.sample(tags, rng.choice([0, 1]))}
        step("put", cache.put(now=now, **what), **what)
        life = max(spec.stale_us, spec.error_us)
        now += spec.ttl_us + rng.choice([0, spec.stale_us, life // 2, max(0, life - 2 * spec.retry_us - 2)])
        ask("a")
        now += rng.choice([0, 1])
        step("release", cache.release("a", now, token, True), key="a", token=token, failed=True)
        for _ in range(rng.randrange(1, 4)):
            now += rng.choice([0, 1, spec.retry_us // 2, spec.retry_us])
            ask("a")
    for _ in range(rng.randrange(6, 30)):
        held = cache.leases.get(keys[0])
        if held and not held.failed and now < held.until and out and rng.random() < 0.25:  # the holder fails, and somebody asks
            holder = held.token
            out = [o for o in out if o[1] != holder]
            step("release", cache.release(keys[0], now, holder, True), key=keys[0], token=holder, failed=True)
            now += rng.choice([0, 1, spec.retry_us - 1, spec.retry_us])
            ask(keys[0])
        now += rng.choice(gaps) if rng.random() < 0.97 else rng.choice([-1, -500_000, -3_000_000, -7_200_000_000])
        key, dice = rng.choice(keys), rng.random()
        if dice < 0.45:
            fill = rng.random() < 0.8
            token += fill
            got = cache.get(key, now, fill, token if fill else 0)
            if got["lease"]:
                out.append((key, token, now))
            step("get", got, key=key, fill=fill, **({"token": token} if fill else {}))
        elif dice < 0.75 and out:
            at = rng.randrange(len(out)) if rng.random() < 0.3 else len(out) - 1
            key, holder, born = out[at] if rng.random() < 0.1 else out.pop(at)
            what = {"key": key, "value": f"v{len(steps)}", "tags": rng.sample(tags, rng.choice([0, 0, 1, 2])), "token": holder, "born": born}
            if rng.random() < 0.15:
                what |= {rng.choice(["ttl_us", "stale_us", "error_us"]): rng.choice([0, 1, 2_000_000])}
            step("put", cache.put(now=now, **what), **what)
        elif dice < 0.80:
            what = {"key": key, "value": f"v{len(steps)}", "tags": rng.sample(tags, rng.choice([0, 1]))}
            step("put", cache.put(now=now, **what), **what)
        elif dice < 0.87 and out:
            key, holder, _ = out.pop(rng.randrange(len(out)))
            failed = rng.random() < 0.7
            step("release", cache.release(key, now, holder, failed), key=key, token=holder, failed=failed)
        elif dice < 0.90 and out:
            key, holder, _ = rng.choice(out)
            step("renew", cache.renew(key, now, holder), key=key, token=holder)
        elif dice < 0.94:
            step("delete", cache.delete(key, now), key=key)
        elif dice < 0.98:
            tag = rng.choice(tags)
            cache.purge(tag, now)
            step("purge", tag=tag)
        else:
            cache.clear(now)
            step("clear")
    return {"id": f"{seed}.{number}", "spec": vars(spec), "steps": steps}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    for number in range(arguments.count):
        print(json.dumps(scenario(arguments.seed, number), separators=(",", ":")))
