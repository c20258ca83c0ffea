"""A series that is thinned while it streams in: however many points come, memory is bounded.

Up to `MAX_STEPS` points are kept as they are. Beyond, time is cut into steps of one
length, each with its least and its highest value; where the series goes on for longer than all of
them, two neighbours become one.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import pairwise
from math import isfinite, isnan

from leakhunt.model.foreign import MeasuredSeries

MAX_STEPS = 4096
# Whole bytes up to here are exact, and no process has more.
_MAX_BYTES = 2.0**60


class StreamedSeries:
    """One instance's points as they come, in order of time."""

    def __init__(self, instance: str, labels: Mapping[str, str] | None = None) -> None:
        self.instance = instance
        self.labels = labels
        self.limit_bytes: int | None = None
        self.starts: tuple[float, ...] = ()
        self.points = self.left_out = 0
        self.latest = -float("inf")
        self._last = 0
        self._seconds = array("d")
        self._floors = array("q")
        self._peaks = array("q")
        self._width = 0.0

    def add(self, seconds: float, value: float) -> bool:
        """Take a point; False: its time is before that of the last one, and it was not taken."""
        if isnan(value) or not isfinite(value) or not 0 <= value <= _MAX_BYTES:
            self.points += 1
            self.left_out += 1
            return True
        if seconds < self.latest:
            return False
        self.points += 1
        self.latest = seconds
        size = round(value)
        self._last = size
        if self._width and self._seconds and seconds < self._end():
            self._floors[-1] = min(self._floors[-1], size)
            self._peaks[-1] = max(self._peaks[-1], size)
            return True
        if self._width:
            origin = self._seconds[0]
            seconds = origin + (seconds - origin) // self._width * self._width
        self._seconds.append(seconds)
        self._floors.append(size)
        self._peaks.append(size)
        if len(self._seconds) > MAX_STEPS:
            self._thin()
        return True

    def _end(self) -> float:
        return self._seconds[-1] + self._width

    def _thin(self) -> None:
        """Stretches of twice the length, or of one at all; half as many at most."""
        origin, last = self._seconds[0], self._seconds[-1]
        if last <= origin:  # all at one moment
            least, most = min(self._floors), max(self._peaks)
            self._seconds, self._floors, self._peaks = (
                array("d", [origin]), array("q", [least]), array("q", [most]),
            )  # fmt: skip
            return
        width = self._width or (last - origin) / MAX_STEPS
        while (last - origin) / width >= MAX_STEPS / 2:
            width *= 2
        self._width = width
        seconds, floors, peaks = array("d"), array("q"), array("q")
        place = -1
        for at, low, high in zip(self._seconds, self._floors, self._peaks, strict=True):
            number = int((at - origin) // width)
            if number == place:
                floors[-1] = min(floors[-1], low)
                peaks[-1] = max(peaks[-1], high)
            else:
                place = number
                seconds.append(origin + number * width)
                floors.append(low)
                peaks.append(high)
        self._seconds, self._floors, self._peaks = seconds, floors, peaks

    def measured(self) -> MeasuredSeries | None:
        """What came; None: no number did."""
        if not self._seconds:
            return None
        return MeasuredSeries(
            instance=self.instance,
            seconds=self._seconds,
            floors=self._floors,
            peaks=self._peaks,
            step_seconds=self._width or _usual_distance(self._seconds),
            last_bytes=self._last,
            points=self.points,
            left_out=self.left_out,
            limit_bytes=self.limit_bytes,
            labels=self.labels,
            starts=self.starts,
        )


def _usual_distance(seconds: array[float]) -> float:
    """The median distance of two points."""
    apart = sorted(later - earlier for earlier, later in pairwise(seconds))
    known = [each for each in apart if each > 0]
    return known[len(known) // 2] if known else 1.0
