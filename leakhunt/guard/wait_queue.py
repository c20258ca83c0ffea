"""Requests that wait for a place, in the order they came."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from leakhunt.guard.counts import Counts

_LOG = logging.getLogger("leakhunt.guard")


class WaitQueue:
    """At most `most` requests. `lock` is the owner's, who holds it for `pop` and `pop_all`."""

    def __init__(self, most: int, lock: threading.Lock, counts: Counts) -> None:
        self._most = most
        self._lock = lock
        self._counts = counts
        # Each is woken by a call. Read by the guard itself, after each request.
        self.waiters: deque[Callable[[], None]] = deque()

    def pop(self) -> Callable[[], None] | None:
        """The first, to be woken; None where nobody waits."""
        return self.waiters.popleft() if self.waiters else None

    def pop_all(self) -> list[Callable[[], None]]:
        """All of them, to be woken."""
        found = list(self.waiters)
        self.waiters.clear()
        return found

    def wait(self, deadline: float) -> bool:
        """Block this thread until it is woken or `time.monotonic` says so; False: it is full."""
        event = threading.Event()
        if not self._append(event.set):
            return False
        event.wait(max(deadline - time.monotonic(), 0))
        self._remove(event.set)
        return True

    async def wait_async(self, deadline: float) -> bool:
        """The same in a coroutine."""
        event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake_up() -> None:
            loop.call_soon_threadsafe(event.set)

        if not self._append(wake_up):
            return False
        try:
            await asyncio.wait_for(event.wait(), max(deadline - time.monotonic(), 0.001))
        except TimeoutError:
            pass
        finally:
            self._remove(wake_up)
        return True

    def _append(self, waiter: Callable[[], None]) -> bool:
        with self._lock:
            if len(self.waiters) >= self._most:
                return False
            self.waiters.append(waiter)
            self._counts.waiting = len(self.waiters)
            return True

    def _remove(self, waiter: Callable[[], None]) -> None:
        with self._lock:
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            self._counts.waiting = len(self.waiters)


def wake(waiter: Callable[[], None]) -> None:
    """Wake a request that waits, without the lock."""
    try:
        waiter()
    except RuntimeError:  # its event loop is closed
        _LOG.debug("leakhunt.guard: a request that waited is gone")
