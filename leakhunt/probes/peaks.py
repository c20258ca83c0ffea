"""What memory reached since the sample before: the high-water mark of RSS, set back each time.

Writing 5 to ``/proc/self/clear_refs`` sets ``VmHWM`` back to the present RSS (Linux 4.0 and later).
The mark over the whole life of the process is lost by that, so it is kept here.
"""

from __future__ import annotations

import os
import sys
import time
from array import array
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import median
from typing import ClassVar

from leakhunt.model.series import PEAK_RSS, SERIES, Series
from leakhunt.text.message import Text, message

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = b"5"
_STATUS_BYTES = 8192
_NAME = b"VmHWM:"
_KIB = 1024
_TRIES = 9
# A sample is taken every few milliseconds at most; both steps together take some 10 to 40 us.
_SLOW_SECONDS = 500e-6
# The highest mark that was set back in this process, in an array: it is never a new object.
_highest = array("q", [0])


def highest_before_reset() -> int:
    """The highest RSS, in bytes, that this process had reached when its mark was last set back."""
    return _highest[0]


class PeakRssProbe:
    """The highest RSS since `reset`."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[PEAK_RSS].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """Why the mark cannot be read or set back here, or None."""
        if sys.platform != "linux":
            return message("probe.peak-linux-only", "only Linux lets a process reset its peak RSS")
        if not (os.access(_CLEAR_REFS, os.W_OK) and os.access(_STATUS, os.R_OK)):
            return message(
                "probe.no-clear-refs", "/proc/self/clear_refs cannot be written (no peak reset)"
            )
        return None

    def __init__(self) -> None:
        self._status = os.open(_STATUS, os.O_RDONLY | os.O_CLOEXEC)
        self._clear = os.open(_CLEAR_REFS, os.O_WRONLY | os.O_CLOEXEC)
        self._text = bytearray(_STATUS_BYTES)
        self._into = [self._text]

    def read(self, into: array[int], at: int) -> None:
        """Bytes."""
        os.preadv(self._status, self._into, 0)
        text = self._text
        start = text.find(_NAME) + len(_NAME)
        into[at] = int(text[start : text.find(b"k", start)]) * _KIB
        _highest[0] = max(_highest[0], into[at])

    def reset(self) -> None:
        """Set the mark back to the present RSS; what it was is kept."""
        os.pwrite(self._clear, _RESET_PEAK, 0)

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._status)
        os.close(self._clear)


@cache
def costly_series() -> Mapping[str, Text]:
    """The series that cost too much to read at every sample on this machine, and why.

    Measured once in a process, before the first call.
    """
    if PeakRssProbe.unavailable() is not None:
        return {}
    try:
        each = _cost()
    except (OSError, ValueError) as error:  # a kernel that shows the files and refuses the calls
        return {
            PEAK_RSS: message(
                "probe.peak-fails", "the peak RSS cannot be reset ({error})", error=str(error)
            )
        }
    if each <= _SLOW_SECONDS:
        return {}
    return {
        PEAK_RSS: message(
            "probe.peak-dear",
            "reading and resetting the peak RSS takes {microseconds:,.0f} µs per sample on this"
            " system (limit: {most:,.0f} µs)",
            microseconds=each * 1e6,
            most=_SLOW_SECONDS * 1e6,
        )
    }


def _cost() -> float:
    """Seconds that a reading and a reset take; the median of some tries."""
    probe, into = PeakRssProbe(), array("q", [0])
    taken = []
    try:
        for _ in range(_TRIES):
            started = time.perf_counter()
            probe.read(into, 0)
            probe.reset()
            taken.append(time.perf_counter() - started)
    finally:
        probe.close()
    return median(taken)
