# SPDX-License-Identifier: MIT
"""Event loops that are not asyncio's, in the few words of asyncio's that a ring speaks."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

from ._errors import Error

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


async def in_thread(call: Callable[[], Any]) -> Any:
    """What call() returns, which may wait."""
    if in_trio():
        import trio

        return await trio.to_thread.run_sync(call)
    return await asyncio.get_running_loop().run_in_executor(None, call)


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


_background: set[Any] = set()  # tasks that nobody awaits


async def _quietly(awaitable: Any) -> None:
    try:
        await awaitable
    except Error:
        pass


def in_background(awaitable: Any) -> None:
    """Awaits it on the running loop, where there is one; what becomes of it is nobody's."""
    start(lambda: _quietly(awaitable), awaitable)


def start(work: Callable[[], Any], without: Any = None) -> Callable[[], object]:
    """Runs `work()` on the running loop, and returns what stops it, on any thread. Nothing waits
    for it: not the program either. Without a loop only the embedded store answers: `without`, its
    answer, is there already."""
    if in_trio():
        return _start_in_trio(work)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if without is not None:
            without.close()
        return lambda: None
    task = loop.create_task(work())
    _background.add(task)
    task.add_done_callback(_background.discard)

    def stop() -> None:
        try:
            if asyncio._get_running_loop() is loop:
                task.cancel()
            else:
                loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # the loop is closed
            pass

    return stop


def _start_in_trio(work: Callable[[], Any]) -> Callable[[], object]:
    import trio

    scope = trio.CancelScope()
    token = trio.lowlevel.current_trio_token()

    async def run() -> None:
        with scope:
            await work()

    trio.lowlevel.spawn_system_task(run)

    def stop() -> None:
        try:
            token.run_sync_soon(scope.cancel)
        except trio.RunFinishedError:
            pass

    return stop


def call_soon() -> Callable[[Callable[[], object]], None]:
    """What calls something on the running loop soon, from any thread; where there is none, here."""
    if in_trio():
        import trio

        soon: Any = trio.lowlevel.current_trio_token().run_sync_soon
        gone: type[Exception] = trio.RunFinishedError
    else:
        try:
            soon, gone = asyncio.get_running_loop().call_soon_threadsafe, RuntimeError
        except RuntimeError:
            return lambda call: quietly(call)

    def call(what: Callable[[], object]) -> None:
        try:
            soon(quietly, what)
        except gone:
            pass

    return call


def quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except (Error, RuntimeError):
        pass


async def or_undo(check: Any, undo: Callable[[Any], Any]) -> Any:
    """The answer. Where we are cancelled before it is there, `undo(an awaitable of it)` runs behind
    our back."""
    if in_trio():
        import trio

        try:
            return await check
        except trio.Cancelled:
            start(lambda: _quietly(undo(check)))
            raise
    answer = asyncio.ensure_future(check)
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        in_background(undo(answer))
        raise
