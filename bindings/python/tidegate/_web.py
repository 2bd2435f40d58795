# SPDX-License-Identifier: MIT
"""Where a piece of middleware has its gate from."""

from __future__ import annotations

import atexit
import os
import threading

from . import aio
from ._base import BaseGate


class Shared:
    """One gate per URL for all middleware of a process that was given no gate of its own."""

    def __init__(self) -> None:
        self._gates: dict[str, tuple[aio.Gate, int]] = {}
        self._renew_lock()
        atexit.register(self.close_all)
        os.register_at_fork(after_in_child=self._renew_lock)  # a thread may have held it

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def get(self, url: str | None, *, use: bool = False) -> aio.Gate:
        """The gate; `use` counts the caller as a user, who will release it."""
        name = url or os.environ.get("TIDEGATE_URL") or "memory://"
        with self._lock:
            gate, users = self._gates.get(name, (None, 0))
            if gate is None or gate.closed:
                gate, users = aio.connect(name), 0
            self._gates[name] = (gate, users + use)
            return gate

    def release(self, gate: aio.Gate) -> None:
        with self._lock:
            for name, (known, users) in list(self._gates.items()):
                if known is gate and users > 1:
                    self._gates[name] = (gate, users - 1)
                elif known is gate:
                    del self._gates[name]
                    gate._close()

    def close_all(self) -> None:
        for gate, _ in list(self._gates.values()):
            gate._close()
        self._gates.clear()


shared = Shared()


class Holder:
    """Where a piece of middleware gets its gate: its user's, or the shared one while it is in
    use."""

    def __init__(self, store: BaseGate | str | None):
        if store is not None and not isinstance(store, (BaseGate, str)):
            shown = f" {store!r}" if isinstance(store, (int, float)) else ""  # no password
            raise TypeError(f"store{shown}: expected a gate or a URL, not {type(store).__name__}")
        self.given = store if isinstance(store, BaseGate) else None
        self._url = store if isinstance(store, str) else None
        self._used: aio.Gate | None = None

    def gate(self) -> BaseGate:
        if self.given is not None:
            return self.given
        if self._used is None or self._used.closed:
            self._used = shared.get(self._url, use=True)
        return self._used

    def release(self) -> None:
        used, self._used = self._used, None
        if used is not None:
            shared.release(used)
