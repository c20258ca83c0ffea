"""How each of `leakhunt.model.claims.MEASURES` is measured: a function by the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from leakhunt.model.claims import ClaimMeasurement

FUNCTIONS: Mapping[str, Callable[[MeasureContext], ClaimMeasurement]] = {
    "growth": growth,
    "total_growth": total_growth,
    "spread": spread,
    "peak": peak,
    "saving": saving,
    "peak_saving": peak_saving,
    "time_ratio": time_ratio,
    "time_per_minute": time_per_minute,
    "slowdown": slowdown,
    "falls": falls,
    "differing": differing,
    "worst_difference": worst_difference,
    "verdict": verdict,
    "ending": ending,
    "calls_done": calls_done,
    "suspect": suspect,
    "largest_finding": largest_finding,
    "failed": failed,
}
