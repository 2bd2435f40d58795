# SPDX-License-Identifier: MIT
"""Event loops that are not asyncio's, in the few words of asyncio's that a ring speaks."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

_trio_loops: dict[Any, TrioLoop] = {}


def in_trio() -> bool:
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def running() -> TrioLoop:
    """The loop of the calling task where asyncio runs none."""
    if not in_trio():
        raise RuntimeError(
            "tidegate.aio with a store needs a running event loop (asyncio, uvloop or trio)"
        )
    import trio

    token = trio.lowlevel.current_trio_token()
    loop = _trio_loops.get(token)
    if loop is None:
        loop = _trio_loops[token] = TrioLoop(token)
    return loop


async def sleep(seconds: float) -> None:
    if in_trio():
        import trio

        await trio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


def now() -> float:
    return time.monotonic()


class TrioFuture:
    """As much of asyncio.Future as a ring and a task need."""

    def __init__(self, event: Any):
        self._event = event
        self._result: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        return bool(self._event.is_set())

    def set_result(self, result: Any) -> None:
        self._result = result
        self._event.set()

    def set_exception(self, error: BaseException) -> None:
        self._error = error
        self._event.set()

    async def _wait(self) -> Any:
        await self._event.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._wait().__await__()


class TrioLoop:
    """trio through asyncio's words. A system task watches each descriptor; it ends with trio's
    run."""

    def __init__(self, token: Any):
        self._token = token
        self._scopes: dict[int, Any] = {}
        self._closed = False

    def create_future(self) -> TrioFuture:
        import trio

        return TrioFuture(trio.Event())

    def call_soon(self, callback: Callable[[], object]) -> object:
        self._token.run_sync_soon(callback)
        return self

    call_soon_threadsafe = call_soon

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        import trio

        scope = self._scopes[fd] = trio.CancelScope()

        async def watch() -> None:
            try:
                with scope:
                    while True:
                        await trio.lowlevel.wait_readable(fd)
                        callback()
                        if scope.cancel_called:  # closed while we were on our way here
                            return
            finally:
                self._scopes.pop(fd, None)
                if not scope.cancel_called:  # trio's run ends
                    self._closed = True
                    _trio_loops.pop(self._token, None)

        trio.lowlevel.spawn_system_task(watch)

    def remove_reader(self, fd: int) -> None:
        scope = self._scopes.pop(fd, None)
        if scope is not None:
            import trio

            scope.cancel()
            trio.lowlevel.notify_closing(fd)

    def is_closed(self) -> bool:
        return self._closed
