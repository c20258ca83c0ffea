"""Measures what requests take at their peak, and notes it in `ExpectedPeak`."""

from __future__ import annotations

from collections import deque

from leakhunt.guard.expected_peak import ExpectedPeak
from leakhunt.guard.limits import OwnMemory
from leakhunt.guard.ticket import Ticket

# Shorter requests are not measured: two readings would cost more than 1 % of them.
# Nor is every one of many: the kernel keeps the peak of those between.
MEASURED_SECONDS = 0.010
_INTERVAL_SECONDS = 0.050
# Below the soft watermark, when the first have been measured, peaks matter little yet.
_LONG_INTERVAL_SECONDS = 0.5
_FIRST_MEASURED = 32
# Floors of RSS: the least of so many is what is not the requests'.
_FLOORS = 64
_FEW_FLOORS = 8
# A peak that is so far above the present RSS is set back before it is used again.
_DIRTY_PEAK_BYTES = 4 << 20


class PeakMeter:
    """A window from one reading of the peak to the next. Not safe for threads.

    The guard changes `together` and `requests` itself: a call would cost each request more.

    Attributes:
        is_open: whether a request has started since the peak was last read.
        together: the most requests in flight at a time in the window.
        requests: how many were in flight in it, in all.
        live_bytes: live heap at its last end; None where the allocator does not tell.
    """

    def __init__(self, expected: ExpectedPeak, own: OwnMemory) -> None:
        self._expected = expected
        self._own = own
        self.reset()

    def reset(self) -> None:
        """Start without a window: also in a forked child."""
        self.is_open = False
        self.together = self.requests = 0
        self.live_bytes: int | None = None
        self._start_bytes = 0
        self._next_at = float("-inf")
        self._is_peak_ours = False
        self._overheads: deque[int] = deque(maxlen=_FLOORS)

    def open(self) -> None:
        """Begin a window before a request."""
        if not self._is_peak_ours:  # that of the start, when models were loaded
            self._own.reset_peak()
            self._is_peak_ours = True
        self._start_bytes, self.together, self.requests = self._own.rss_bytes(), 0, 0
        self.is_open = True

    def is_due(self, now: float, *, is_high: bool) -> bool:
        """Whether the peak is to be read at `now`; once it was, not again for a while."""
        if now < self._next_at:
            return False
        is_early = self._expected.count < _FIRST_MEASURED
        self._next_at = now + (_INTERVAL_SECONDS if is_early or is_high else _LONG_INTERVAL_SECONDS)
        return True

    def learn(self, ended: Ticket, in_flight: int) -> None:
        """End the window with the end of a request; the next begins with those in flight."""
        rss = self._own.rss_bytes()
        peak = max(self._own.peak_bytes() or 0, rss)
        # What a byte of input takes is known of a request that was alone.
        body = ended.body_bytes if self.requests == 1 else 0
        self._expected.learn(peak - self._floor(rss), self.together, body)
        if peak - rss > _DIRTY_PEAK_BYTES:
            self._own.reset_peak()
        self._start_bytes, self.together, self.requests = rss, in_flight, in_flight
        self.is_open = in_flight > 0

    def _floor(self, rss: int) -> int:
        """What RSS would have been without the request: less than it started from.

        What malloc retained then, and lent to it, is gone after the next trim, and the same request
        asks the system for all of it. The least that RSS was above the live heap of late is what no
        trim gives back; with the live heap before the request that is the floor. Where the live
        heap is not told, it is the least RSS of the last few: over more, a leak would be a peak.
        """
        before, live = self.live_bytes, self._own.live_bytes()
        self.live_bytes = live
        if live is None:
            self._overheads.append(rss)
            return min(self._start_bytes, *list(self._overheads)[-_FEW_FLOORS:])
        self._overheads.append(rss - live)
        if before is None:
            return self._start_bytes
        return min(self._start_bytes, before + min(self._overheads))
