# SPDX-License-Identifier: MIT
"""Properties of the cache model, over random rounds: python3 check_cache.py [ROUNDS]"""

import random
import sys

from cache_model import MIN_TOMB, Cache
from generate_cache import START, random_spec


def round_of(seed: int) -> None:
    rng = random.Random(seed)
    spec = random_spec(rng)
    cache, now, token, step = Cache(spec), START, 0, 0
    begun, fate, holders = {}, {}, {}  # value -> step its making began; tag/key/None -> step it was last wiped; key -> (token, until)
    made = {}  # value -> (born, tags, ttl, stale, error)
    fills = []
    for _ in range(60):
        step += 1
        now += rng.choice([1, 1, 7, spec.ttl_us // 3, spec.ttl_us, spec.lease_us // 2, spec.lease_us, spec.retry_us + 1])
        key, dice = rng.choice("ab"), rng.random()
        if dice < 0.5:
            token += 1
            fill = rng.random() < 0.8
            got = cache.get(key, now, fill, token)
            if got["lease"]:
                holder = holders.get(key)
                assert not holder or now >= holder[1], "two hold one lease"
                holders[key] = (token, now + spec.lease_us)
                fills.append((key, token, now, step))
            if got["status"] in ("hit", "stale", "rescued"):
                value = got["value"]
                born, tags, ttl, stale, error = made[value]
                for what in (*tags, ("key", key), None):
                    assert fate.get(what, -1) < begun[value], f"{value} was made before {what} was wiped"
                age = now - born
                assert got["age_us"] in (age, age - 1), "age"  # a set right after a purge is dated just behind it
                assert got["age_us"] < ttl + {"hit": 0, "stale": stale, "rescued": max(stale, error)}[got["status"]], "too old"
            if got["status"] == "wait":
                assert holders[key][1] - now == got["wait_us"] > 0
                assert not cache.get(key, now, True, token + 10**9)["lease"], "who waits is not granted"
        elif dice < 0.75 and fills:
            key, holder, born, since = fills.pop(rng.randrange(len(fills)))
            if now - born >= MIN_TOMB:  # a delete is not remembered for longer
                continue
            value, tags = f"v{step}", rng.sample(["t", "u"], rng.choice([0, 1, 2]))
            made[value], begun[value] = (born, tags, spec.ttl_us, spec.stale_us, spec.error_us), since
            answer = cache.put(key, now, value, tags, holder, born)
            if holders.get(key, (0,))[0] == holder:
                del holders[key]
            if answer == "stored":
                shown = cache.get(key, now)
                assert shown.get("value", value) == value
        elif dice < 0.82:
            value, tags = f"v{step}", rng.sample(["t", "u"], 1)
            made[value], begun[value] = (now, tags, spec.ttl_us, spec.stale_us, spec.error_us), step
            assert cache.put(key, now, value, tags) == "stored"
            assert cache.get(key, now)["value"] == value, "what was just set is there"
        elif dice < 0.9 and fills:
            key, holder, *_ = fills.pop(rng.randrange(len(fills)))
            if cache.release(key, now, holder, rng.random() < 0.7):
                del holders[key]
        elif dice < 0.94:
            cache.delete(key, now)
            fate[("key", key)] = step
        elif dice < 0.98:
            tag = rng.choice("tu")
            cache.purge(tag, now)
            fate[tag] = step
        else:
            cache.clear(now)
            fate[None] = step
    # A clock that steps back far locks nobody out and serves nothing of the time ahead.
    now -= 86_400_000_000
    for key in "ab":
        assert cache.get(key, now)["status"] == "miss"
        assert cache.put(key, now, "after", ("t",)) == "stored"
        assert cache.get(key, now)["value"] == "after"


rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
for seed in range(rounds):
    try:
        round_of(seed)
    except AssertionError as error:
        raise SystemExit(f"round {seed}: {error}")
print(f"{rounds} rounds hold")
