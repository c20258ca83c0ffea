"""The figures of a guard that other workers report as well, in cells that a file may be behind.

A worker may answer no request for hours, or hang: what others are to report of it must not wait for
it. So it counts in memory that they can read, which costs as little as counting elsewhere.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from leakhunt.guard.breaker import BreakerState
from leakhunt.guard.limits import LimitSource, MemoryUse
from leakhunt.guard.release import ReleaseCount
from leakhunt.guard.status import BUCKETS, Reason

# Each cell is a double. In the order of the file: a change of any of these is a new `FORMAT`.
FORMAT = 1
CELLS = 256
_SERVED, _FAILED, _SECONDS, _IN_FLIGHT, _WAITING, _EXPECTED, _LIVE_HEAP = range(7)
_LIMIT, _USED, _SOURCE, _BREAKER, _BREAKER_UNTIL, _DRAINING = range(7, 13)
_BUCKETS_AT, _REFUSED_AT, _RELEASES_AT = 16, 32, 40
# Points of RSS, times before sizes; odd while they are written.
_POINTS_VERSION, _POINTS_COUNT, _POINTS_AT = 96, 97, 98
_MAX_POINTS = 64
_MAX_RELEASES = 24
_REASONS = tuple(Reason)
_SOURCES = tuple(LimitSource)
_STATES = tuple(BreakerState)
_UNKNOWN = math.nan


class Counts:
    """Counts and last readings. Not safe for threads: its owner holds a lock."""

    __slots__ = ("cells",)

    def __init__(self, cells: memoryview[float] | None = None) -> None:
        self.cells = cells if cells is not None else memoryview(bytearray(8 * CELLS)).cast("d")
        if cells is None:
            for at in (_LIVE_HEAP, _LIMIT, _USED):
                self.cells[at] = _UNKNOWN

    def move_to(self, cells: memoryview[float]) -> None:
        """Go on counting in other cells."""
        cells[:] = self.cells
        self.cells = cells

    # Counted

    def ended(self, seconds: float, in_flight: int, has_failed: bool) -> None:
        """Count a request that has ended; `seconds`: what it took."""
        cells = self.cells
        cells[_FAILED if has_failed else _SERVED] += 1
        cells[_SECONDS] += seconds
        cells[_IN_FLIGHT] = in_flight
        index = bisect_left(BUCKETS, seconds)
        if index < len(BUCKETS):
            cells[_BUCKETS_AT + index] += 1

    def began(self, in_flight: int) -> None:
        """A request is at work."""
        self.cells[_IN_FLIGHT] = in_flight

    def refuse(self, reason: Reason) -> None:
        """A request was refused."""
        self.cells[_REFUSED_AT + _REASONS.index(reason)] += 1

    @property
    def has_worked(self) -> bool:
        """Whether it has seen a request."""
        return bool(self.served or self.failed or self.in_flight or self.refused)

    @property
    def served(self) -> int:
        """Requests that went well."""
        return int(self.cells[_SERVED])

    @property
    def failed(self) -> int:
        """Requests that did not."""
        return int(self.cells[_FAILED])

    @property
    def seconds(self) -> float:
        """How long requests were at work, all together."""
        return self.cells[_SECONDS]

    @property
    def in_flight(self) -> int:
        """Requests at work."""
        return int(self.cells[_IN_FLIGHT])

    @property
    def buckets(self) -> tuple[int, ...]:
        """How many requests took up to each of `BUCKETS`, and longer than the one before."""
        return tuple(int(count) for count in self.cells[_BUCKETS_AT : _BUCKETS_AT + len(BUCKETS)])

    @property
    def refused(self) -> dict[str, int]:
        """How many requests were refused, by the reason."""
        counts = zip(_REASONS, self.cells[_REFUSED_AT:], strict=False)
        return {str(reason): int(count) for reason, count in counts if count}

    # Read last

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return int(self.cells[_WAITING])

    @waiting.setter
    def waiting(self, count: int) -> None:
        self.cells[_WAITING] = count

    @property
    def expected_bytes(self) -> int:
        """What a request is expected to take."""
        return int(self.cells[_EXPECTED])

    @expected_bytes.setter
    def expected_bytes(self, size: int) -> None:
        self.cells[_EXPECTED] = size

    @property
    def live_heap_bytes(self) -> int | None:
        """What malloc had handed out when it was last asked."""
        return _whole(self.cells[_LIVE_HEAP])

    @live_heap_bytes.setter
    def live_heap_bytes(self, size: int | None) -> None:
        self.cells[_LIVE_HEAP] = _UNKNOWN if size is None else size

    @property
    def memory(self) -> MemoryUse | None:
        """The use of the limit when it was last read."""
        used, limit = _whole(self.cells[_USED]), _whole(self.cells[_LIMIT])
        if used is None or limit is None:
            return None
        return MemoryUse(used, limit, _SOURCES[int(self.cells[_SOURCE])])

    @memory.setter
    def memory(self, use: MemoryUse | None) -> None:
        cells = self.cells
        if use is None:
            cells[_USED] = cells[_LIMIT] = _UNKNOWN
        else:
            cells[_SOURCE] = _SOURCES.index(use.source)
            cells[_USED], cells[_LIMIT] = use.used_bytes, use.limit_bytes

    def breaker(self, now: float) -> BreakerState:
        """The state of the circuit breaker at `now`."""
        state = _STATES[int(self.cells[_BREAKER])]
        is_over = state is BreakerState.OPEN and now >= self.cells[_BREAKER_UNTIL]
        return BreakerState.HALF_OPEN if is_over else state

    def note_breaker(self, state: BreakerState, until: float) -> None:
        """What the breaker has come to; open until then."""
        self.cells[_BREAKER], self.cells[_BREAKER_UNTIL] = _STATES.index(state), until

    @property
    def draining(self) -> bool:
        """Whether the worker is about to be replaced."""
        return bool(self.cells[_DRAINING])

    @draining.setter
    def draining(self, is_draining: bool) -> None:
        self.cells[_DRAINING] = is_draining

    def releases(self, steps: Sequence[str]) -> tuple[ReleaseCount, ...]:
        """What was tried to release memory; `steps` are the names."""
        found = [int(each) for each in self.cells[_RELEASES_AT : _RELEASES_AT + 2 * _MAX_RELEASES]]
        return tuple(map(ReleaseCount, steps, found[::2], found[1::2]))

    def note_releases(self, releases: Iterable[ReleaseCount]) -> None:
        """What was tried by now."""
        for at, each in zip(range(_MAX_RELEASES), releases, strict=False):
            cell = _RELEASES_AT + 2 * at
            self.cells[cell], self.cells[cell + 1] = each.count, each.freed_bytes

    def note_points(self, points: Sequence[tuple[float, int]]) -> None:
        """The readings of RSS over the last hour: times, and bytes."""
        cells, kept = self.cells, points[-_MAX_POINTS:]
        cells[_POINTS_VERSION] += 1
        for at, (seconds, size) in enumerate(kept, _POINTS_AT):
            cells[at], cells[at + _MAX_POINTS] = seconds, size
        cells[_POINTS_COUNT] = len(kept)
        cells[_POINTS_VERSION] += 1

    def points(self) -> tuple[int, list[tuple[float, int]]]:
        """These, with their version: odd, or another one now, where they are being written."""
        version, count = int(self.cells[_POINTS_VERSION]), int(self.cells[_POINTS_COUNT])
        times = self.cells[_POINTS_AT : _POINTS_AT + count]
        sizes = self.cells[_POINTS_AT + _MAX_POINTS : _POINTS_AT + _MAX_POINTS + count]
        return version, [(at, int(size)) for at, size in zip(times, sizes, strict=True)]


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
