"""The growth rate of a live process, in constant memory: a hint for alerts, and no verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Points that are held; their spacing doubles until they span the window.
_MAX_POINTS = 64
_FIRST_SPACING_SECONDS = 1.0
_WINDOW_SECONDS = 3600.0
# Below, no rate: a minute and a dozen points tell a trend from a request.
_MIN_POINTS = 12
_MIN_SECONDS = 60.0
# Two-sided 95 %.
_Z = 1.96


@dataclass(frozen=True, slots=True)
class GrowthRate:
    """Bytes per second with a 95 % interval, and over how many seconds.

    Sen's slope and its interval after Gilbert (1987); successive readings are taken as independent,
    so the interval is rather too narrow.
    """

    bytes_per_second: float
    low: float
    high: float
    seconds: float

    @property
    def grows(self) -> bool:
        """Whether the interval is above 0."""
        return self.low > 0


class GrowthMeter:
    """Readings of memory over the last hour. Not safe for threads: its owner holds a lock."""

    def __init__(self) -> None:
        self._points: list[tuple[float, int]] = []
        self._spacing = _FIRST_SPACING_SECONDS

    def is_due(self, now: float) -> bool:
        """Whether a reading at `now` (seconds) would be held."""
        return not self._points or now - self._points[-1][0] >= self._spacing

    def add(self, now: float, used_bytes: int) -> bool:
        """Hold a reading, if one is due; whether it was."""
        if not self.is_due(now):
            return False
        self._points.append((now, used_bytes))
        if len(self._points) > _MAX_POINTS:
            if self._spacing * _MAX_POINTS < _WINDOW_SECONDS:
                self._spacing *= 2
                del self._points[1::2]
            else:
                del self._points[0]
        return True

    @property
    def points(self) -> Sequence[tuple[float, int]]:
        """The readings that are held: seconds, and bytes."""
        return self._points

    def rate(self) -> GrowthRate | None:
        """The growth rate; None: too few readings."""
        return rate_of(self._points)


def rate_of(points: Sequence[tuple[float, int]]) -> GrowthRate | None:
    """The growth rate of readings, seconds and bytes; None: too few of them."""
    count = len(points)
    if count < _MIN_POINTS or points[-1][0] - points[0][0] < _MIN_SECONDS:
        return None
    slopes = sorted(
        (points[j][1] - points[i][1]) / (points[j][0] - points[i][0])
        for i in range(count)
        for j in range(i + 1, count)
    )
    spread = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(round((len(slopes) - spread) / 2), 0)
    high = min(round((len(slopes) + spread) / 2), len(slopes) - 1)
    middle = slopes[len(slopes) // 2]
    return GrowthRate(middle, slopes[low], slopes[high], points[-1][0] - points[0][0])
