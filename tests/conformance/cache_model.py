# SPDX-License-Identifier: MIT
"""What a cache answers: the executable specification of both engines (cache.md is the sense).

One `Cache` is one named cache in one store. All times are integers, microseconds of the store's
clock, which may step back. Chance (jitter) is drawn before: `put` is given the lifetimes to use.
Flights, waiting, deadlines and near copies are the client's, not the engine's.
"""

from dataclasses import dataclass, field

MAX_SKEW = 1_000_000  # what is dated further ahead than this was dated by a clock that has stepped back
MIN_TOMB = 60_000_000


@dataclass(frozen=True)
class Spec:
    ttl_us: int  # fresh for so long after birth
    stale_us: int = 0  # so long after ttl: served while one refreshes
    error_us: int = 0  # so long after ttl: served when the fill failed
    lease_us: int = 10_000_000
    retry_us: int = 1_000_000  # after a failed fill, where there is something to serve


@dataclass
class Entry:
    value: str
    tags: tuple
    born: int  # when its fill began
    fresh_until: int
    stale_until: int
    gone_at: int


@dataclass
class Lease:
    token: int
    born: int  # when it was granted: the birth of what it fills
    until: int
    failed: bool = False  # nobody holds it: it marks that nobody shall try again before `until`


@dataclass
class Cache:
    spec: Spec
    entries: dict = field(default_factory=dict)  # key -> Entry
    leases: dict = field(default_factory=dict)  # key -> Lease
    tombs: dict = field(default_factory=dict)  # key -> (deleted at, kept until)
    purged: dict = field(default_factory=dict)  # tag -> when
    cleared: int = -1

    # ---- what is there now ----

    def _floor(self, key, tags, now):
        """What is born at or before this instant does not count. Marks dated by a clock that was
        far ahead are dated anew: whatever is there now is covered, what is born later is not."""
        if self.cleared - now > MAX_SKEW:
            self.cleared = now
        floor = self.cleared
        if key in self.tombs:
            at, until = self.tombs[key]
            if at - now > MAX_SKEW:
                at, until = self.tombs[key] = (now, now + max(self.spec.lease_us, MIN_TOMB))
            if now < until:
                floor = max(floor, at)
            else:
                del self.tombs[key]
        for tag in tags:
            if tag in self.purged:
                if self.purged[tag] - now > MAX_SKEW:
                    self.purged[tag] = now
                floor = max(floor, self.purged[tag])
        return floor

    def _entry(self, key, now):
        """The entry, if it counts; one that does not is dropped."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        if now >= entry.gone_at or entry.born - now > MAX_SKEW or entry.born <= self._floor(key, entry.tags, now):
            del self.entries[key]
            return None
        return entry

    def _lease(self, key, now):
        lease = self.leases.get(key)
        if lease and (now >= lease.until or lease.born - now > MAX_SKEW):
            del self.leases[key]
            return None
        return lease

    # ---- operations ----

    def get(self, key, now, fill=False, token=0):
        """A look-up; with `fill` the caller would make the value, as `token` (above 0, never used twice).

        status  hit      fresh
                stale    served although old; with `lease` this caller shall refresh it
                rescued  served because the last fill failed
                miss     nothing to serve; with `lease` this caller shall fill, and `rescue` is what
                         to serve if that fails
                wait     somebody else fills, until `wait_us` from now at the latest
        """
        entry, lease = self._entry(key, now), self._lease(key, now)
        if entry and now < entry.fresh_until:
            return self._shown("hit", entry, now)
        stale = entry if entry and now < entry.stale_until else None
        if not fill:
            return self._shown("stale", stale, now) if stale else {"status": "miss", "lease": False}
        if lease and lease.failed:
            if entry:
                return self._shown("stale" if stale else "rescued", entry, now)
            lease = None  # nothing to serve: somebody has to try
        granted = lease is None
        if granted:
            self.leases[key] = Lease(token, now, now + self.spec.lease_us)
        if stale:
            return self._shown("stale", stale, now) | {"lease": granted}
        if not granted:
            return {"status": "wait", "lease": False, "wait_us": lease.until - now}
        return {"status": "miss", "lease": True} | ({"rescue": entry.value} if entry else {})

    @staticmethod
    def _shown(status, entry, now):
        age = max(0, now - entry.born)
        return {"status": status, "lease": False, "value": entry.value, "age_us": age,
                "fresh_us": max(0, entry.fresh_until - now)}

    def put(self, key, now, value, tags=(), token=0, born=0, ttl_us=None, stale_us=None, error_us=None):
        """stored | late | refused. With a token: the value of a fill whose lease was granted at `born`. Without: an
        explicit set, which counts from now on, whatever was purged before.

        late: another holds the lease by now; or what is there, a purge, a clear or a delete is not older than `born`;
        or `born` is of a clock that has stepped back since.
        refused: it would live for no time."""
        ttl = self.spec.ttl_us if ttl_us is None else ttl_us
        stale = self.spec.stale_us if stale_us is None else stale_us
        error = self.spec.error_us if error_us is None else error_us
        floor = self._floor(key, tags, now)
        lease = self._lease(key, now)
        if token:
            mine = lease is not None and not lease.failed and lease.token == token
            there = self._entry(key, now)
            late = (lease is not None and not lease.failed and not mine) or floor >= born or (
                there is not None and there.born >= born) or born - now > MAX_SKEW
            if mine or (lease is not None and lease.failed and not late):
                del self.leases[key]
            if late:
                return "late"
        else:
            born = max(now, floor + 1)
        fresh_until = born + ttl
        gone_at = fresh_until + max(stale, error)
        if now >= gone_at:
            if not token:
                self.entries.pop(key, None)
            return "refused"
        self.entries[key] = Entry(value, tuple(tags), born, fresh_until, fresh_until + stale, gone_at)
        return "stored"

    def release(self, key, now, token, failed):
        """The holder gives its lease back without a value. True: it was its lease still."""
        lease = self._lease(key, now)
        if not lease or lease.failed or lease.token != token:
            return False
        if failed and self._entry(key, now):
            self.leases[key] = Lease(0, now, now + self.spec.retry_us, failed=True)
        else:
            del self.leases[key]
        return True

    def renew(self, key, now, token):
        """The holder is still at it. True: its lease runs anew from now."""
        lease = self._lease(key, now)
        if not lease or lease.failed or lease.token != token:
            return False
        lease.until = now + self.spec.lease_us
        return True

    def delete(self, key, now):
        """True: there was something."""
        there = self._entry(key, now) is not None
        self.entries.pop(key, None)
        at = max(now, self._floor(key, (), now) if key in self.tombs else now)
        self.tombs[key] = (at, now + max(self.spec.lease_us, MIN_TOMB))
        return there

    def purge(self, tag, now):
        at = self.purged.get(tag, now)
        self.purged[tag] = now if at - now > MAX_SKEW else max(at, now)

    def clear(self, now):
        self.cleared = now if self.cleared - now > MAX_SKEW else max(self.cleared, now)
