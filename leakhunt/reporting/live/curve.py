"""A curve that grows sample by sample and takes the same room however long the run is."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

# A bucket keeps its lowest and its highest sample, so that no step and no spike disappears. Beyond
# so many buckets, neighbours are merged: between half as many and all are in use, which is more
# than the dots that a terminal has in a row for each of two curves.
MAX_BUCKETS = 256
# Before there are so many samples after the warm-up, a slope is an accident.
MIN_FOR_A_RATE = 10


@dataclass(frozen=True, slots=True)
class Curve:
    """A series as it stands, thinned: for every bucket its last call, its lowest and highest value.

    `first` is the first value of all. `judged_calls` is the number of calls made when the warm-up
    ended and `judged_value` the first value after it; None: it goes on. `latest` is the last value,
    `rate` the slope of a straight line through the samples after the warm-up, in units per call;
    None while there are too few.
    """

    calls: Sequence[int]
    lows: Sequence[int]
    highs: Sequence[int]
    first: int
    latest: int
    judged_calls: int | None
    judged_value: int | None
    rate: float | None

    @property
    def base(self) -> int:
        """What the curve is drawn against: its value after the warm-up, until then its first."""
        return self.first if self.judged_value is None else self.judged_value


class CurveBuilder:
    """Collects the samples of one series into a `Curve`."""

    def __init__(self) -> None:
        self._calls = array("q")
        self._lows = array("q")
        self._highs = array("q")
        self._each = 1
        self._in_last = 0
        self._first = 0
        self._latest = 0
        self._judged_calls: int | None = None
        self._judged_value: int | None = None
        self._line = _Line()

    def begin_judged(self, calls: int | None) -> None:
        """The warm-up ended when so many calls had been made; None: there is (again) a warm-up."""
        self._judged_calls = calls
        self._judged_value = None
        self._line = _Line()

    def add(self, calls: int, value: int) -> None:
        """Take the sample that was read when `calls` calls had been made."""
        if not self._calls:
            self._first = value
        self._latest = value
        if self._in_last in (0, self._each):
            self._open_bucket(calls, value)
        self._in_last += 1
        self._calls[-1] = calls
        self._lows[-1] = min(self._lows[-1], value)
        self._highs[-1] = max(self._highs[-1], value)
        if self._judged_calls is not None:
            if self._judged_value is None:
                self._judged_value = value
            self._line.add(calls, value)

    def curve(self) -> Curve | None:
        """The curve so far; None: there is no sample yet."""
        if not self._calls:
            return None
        return Curve(
            calls=tuple(self._calls),
            lows=tuple(self._lows),
            highs=tuple(self._highs),
            first=self._first,
            latest=self._latest,
            judged_calls=self._judged_calls,
            judged_value=self._judged_value,
            rate=self._line.slope(),
        )

    def _open_bucket(self, calls: int, value: int) -> None:
        if len(self._calls) == MAX_BUCKETS:
            self._merge_neighbours()
        self._calls.append(calls)
        self._lows.append(value)
        self._highs.append(value)
        self._in_last = 0

    def _merge_neighbours(self) -> None:
        self._each *= 2
        self._calls = self._calls[1::2]
        self._lows = array("q", map(min, self._lows[::2], self._lows[1::2]))
        self._highs = array("q", map(max, self._highs[::2], self._highs[1::2]))


class _Line:
    """The least-squares line through points that are not kept (Welford's update of the sums)."""

    def __init__(self) -> None:
        self._points = 0
        self._mean_call = 0.0
        self._mean_value = 0.0
        self._squares = 0.0
        self._products = 0.0

    def add(self, call: int, value: int) -> None:
        self._points += 1
        apart = call - self._mean_call
        self._mean_call += apart / self._points
        self._mean_value += (value - self._mean_value) / self._points
        self._squares += apart * (call - self._mean_call)
        self._products += apart * (value - self._mean_value)

    def slope(self) -> float | None:
        if self._points < MIN_FOR_A_RATE or not self._squares:
            return None
        return self._products / self._squares
