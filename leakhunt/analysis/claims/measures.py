"""The measures that a check can name: what each comes to, and what it must be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leakhunt.analysis.claims.evidence import MeasureContext
from leakhunt.analysis.claims.memory import (
    falls,
    growth,
    peak,
    peak_saving,
    saving,
    spread,
    total_growth,
)
from leakhunt.analysis.claims.outcomes import (
    calls_done,
    differing,
    ending,
    failed,
    largest_finding,
    suspect,
    verdict,
    worst_difference,
)
from leakhunt.analysis.claims.timing import slowdown, time_per_minute, time_ratio
from leakhunt.config.limits import Quantity
from leakhunt.model.claims import Measurement
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure: its function, what it comes to, and its keys beside ``run`` and ``variant``.

    `needs` must be there and `takes` may be; where a word is measured, it is one of `words`.
    """

    function: Callable[[MeasureContext], Measurement]
    quantity: Quantity
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


MEASURES: Mapping[str, Measure] = {
    "growth": Measure(growth, Quantity.RATE, ("series",)),
    "total_growth": Measure(total_growth, Quantity.SIZE, ("series", "from_call", "to_call")),
    "spread": Measure(spread, Quantity.SIZE, ("series",)),
    "peak": Measure(peak, Quantity.SIZE, ("series",)),
    "saving": Measure(saving, Quantity.SHARE, ("series",), ("reference",)),
    "peak_saving": Measure(peak_saving, Quantity.SHARE, ("series",), ("reference",)),
    "time_ratio": Measure(time_ratio, Quantity.RATIO, ("reference",)),
    "time_per_minute": Measure(time_per_minute, Quantity.SECONDS, ("series",)),
    "slowdown": Measure(slowdown, Quantity.RATIO),
    "falls": Measure(falls, Quantity.SHARE, ("series",)),
    "differing": Measure(differing, Quantity.SHARE, ("reference",)),
    "worst_difference": Measure(worst_difference, Quantity.MILLISECONDS, ("reference",)),
    "verdict": Measure(verdict, Quantity.WORD, words=tuple(map(str, Kind))),
    "ending": Measure(ending, Quantity.WORD, words=tuple(map(str, Ending))),
    "calls_done": Measure(calls_done, Quantity.COUNT),
    "suspect": Measure(suspect, Quantity.SHARE, needs=("names",)),
    "largest_finding": Measure(largest_finding, Quantity.SIZE, needs=("names", "instrument")),
    "failed": Measure(failed, Quantity.SHARE),
}
# What can be told of a run whose own code failed: everything else was cut off by that.
TOLD_OF_A_CRASH = ("ending", "calls_done")
