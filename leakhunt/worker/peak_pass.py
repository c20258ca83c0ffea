"""What single calls take at their peak, over live memory: a few calls after a run has settled.

In the samples of a run, a call that fits into freed memory which malloc retains raises RSS by
nothing. Here malloc gives that memory back before each call, so that all a call takes is seen.
Nothing that is judged comes after it.
"""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable
from typing import Any

from leakhunt.probes.peaks import PeakRssProbe
from leakhunt.probes.process import RssProbe
from leakhunt.worker.readings import trim_malloc

_MAX_CALLS = 24
_MIN_CALLS = 8
# After the fewest calls it ends when so much time has passed, and before them after the longer one.
_SECONDS = 4.0
_MAX_SECONDS = 20.0


def peak_note(call: Callable[[Callable[[], None]], int]) -> dict[str, Any]:
    """The note on these calls: each with its input, and RSS before, at its peak and after.

    `call` makes an input, calls what it is given, makes one call, and returns the size of the
    input. So the input counts, and not what it takes to make it.
    """
    peak, rss = PeakRssProbe(), RssProbe()
    read = array("q", [0])
    before = array("q", [0])

    rows: list[list[int]] = []
    ended = ""
    started = time.perf_counter()
    gc.collect()
    while len(rows) < _MAX_CALLS:
        trim_malloc()
        rss.read(before, 0)
        try:
            size = call(peak.reset)
        except Exception as error:  # its inputs may have come to an end: the run is whole without
            ended = type(error).__name__
            break
        peak.read(read, 0)
        height = read[0]
        rss.read(read, 0)
        rows.append([size, before[0], height, read[0]])
        passed = time.perf_counter() - started
        if passed > (_SECONDS if len(rows) >= _MIN_CALLS else _MAX_SECONDS):
            break
    peak.close()
    return {"kind": "peaks", "calls": rows, "ended": ended}
