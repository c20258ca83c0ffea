"""A circuit breaker: closed, open for a while, then half-open while one probe is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether requests are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Pass(StrEnum):
    """What the breaker says to a request."""

    THROUGH = "through"
    PROBE = "probe"
    REFUSED = "refused"


class CircuitBreaker:
    """Opened by `trip`; after a wait, one request at a time probes whether it may close.

    The wait starts at `retry_seconds` and doubles with each probe that fails, up to
    `most_retry_seconds`. Safe to be used by many threads.
    """

    def __init__(
        self, retry_seconds: float, most_retry_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._first = retry_seconds
        self._most = most_retry_seconds
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Close, and forget the past: also in a forked child, whose parent may hold the lock."""
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        # Whether it need not be asked; read without the lock, at each request.
        self.is_closed = True
        self._wait = self._first
        self._until = 0.0
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """Its state now."""
        with self._lock:
            if self._state is BreakerState.OPEN and self._clock() >= self._until:
                return BreakerState.HALF_OPEN
            return self._state

    @property
    def state_until(self) -> tuple[BreakerState, float]:
        """Its state when it was last used, and until when it stays open, on its clock."""
        with self._lock:
            return self._state, self._until

    @property
    def retry_after_seconds(self) -> float:
        """How long it stays open; 0 where it is not."""
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return 0.0
            return max(self._until - self._clock(), 0.0) or self._first

    def ask(self) -> Pass:
        """Whether a request may go through; a `PROBE` must be answered by `probed`."""
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return Pass.THROUGH
            if self._state is BreakerState.OPEN and self._clock() >= self._until:
                self._state = BreakerState.HALF_OPEN
            if self._state is BreakerState.HALF_OPEN and not self._probing:
                self._probing = True
                return Pass.PROBE
            return Pass.REFUSED

    def trip(self) -> bool:
        """Open it; True if it was closed or half-open."""
        with self._lock:
            if self._state is BreakerState.OPEN:
                # Still full when the wait is over: once more. It was measured, and cost nobody a
                # request, so that it is no reason to wait longer.
                if self._clock() >= self._until:
                    self._until = self._clock() + self._wait
                return False
            self._open()
            return True

    def probed(self, *, is_well: bool) -> None:
        """What the probe found: closed if it went well, else open for twice as long."""
        with self._lock:
            self._probing = False
            if self._state is not BreakerState.HALF_OPEN:
                return
            if is_well:
                self._state, self._wait = BreakerState.CLOSED, self._first
                self.is_closed = True
            else:
                self._open()

    def _open(self) -> None:
        if self._state is BreakerState.HALF_OPEN:
            self._wait = min(self._wait * 2, self._most)
        self._state = BreakerState.OPEN
        self.is_closed = False
        self._until = self._clock() + self._wait
