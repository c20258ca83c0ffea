"""Growing, bounded, flat, or too short to say: first for one series, then for a run.

False positives this guards against, each seen in practice: a warm-up (first part dropped, slope
must not fall off), one late step (no block may hold most of the growth), a collector sawtooth
(only floors count). What still fools it: a ramp that stops soon after the run does, and a cache
that fills over more calls than half the run. It says so: `growing` is about the calls it saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from leakhunt.model import Ending, Run, Status, Trend, Unit, Verdict
from leakhunt.units import format_amount, format_rate
from leakhunt.verdict.trend import Slope, floors, theil_sen

# 100 calls less a quarter of warm-up. The study behind this rule saw it call 5 % of the worst
# bounded family a leak at 100 calls and 18 % at 50; FSMN-VAD's Python blocks look like one at 60.
MIN_SAMPLES = 75
# What a clean process still creeps by (json/re/numpy loop: 96 bytes a call of live heap). RSS moves
# in pages and keeps what malloc keeps, so it is given a quarter of a page a call.
TOLERANCE: Mapping[str, float] = {
    "live_heap": 256.0,
    "rss": 1024.0,
    "python_blocks": 0.75,
    "threads": 0.0,
    "descriptors": 0.0,
    "cuda_allocated": 256.0,
    "cuda_reserved": 1024.0,
    "cuda_active": 256.0,
}
# No step between two floors may be more than this share of the net growth: else it is one-off.
LARGEST_STEP_SHARE = 0.5
# The later half must grow at this share of the earlier half's rate or faster: else it slows down.
LEAST_LATER_SHARE = 0.6
# Growth of which a collection leaves no more than this share is called cyclic garbage.
LIVE_SHARE = 0.2
# Blocks are counted at every call, their bytes only at the full readings. Growth in blocks that
# comes to less than the live heap's tolerance in bytes is no growth.
BYTES_OF = {"python_blocks": "python_live"}

# In these a leak is live memory; RSS and CUDA reserved only say what is kept.
LIVE_SERIES = ("live_heap", "python_blocks", "cuda_allocated", "threads", "descriptors")
KEPT_SERIES = ("rss", "cuda_reserved")


def judge(run: Run) -> Verdict:
    """The verdict on a run: one trend a series, the status of the whole, one sentence."""
    trends = {
        series.name: _with_collections(
            judge_trend(series.name, series.unit, run.samples[series.name][run.judged_from :]), run
        )
        for series in run.series
        if series.name in TOLERANCE
    }
    status, sentence = _whole(trends)
    if not run.calls_done:
        sentence = "Nothing was measured."
    if run.outcome.ending is not Ending.OK:
        sentence = f"{sentence} {_early_end(run)}"
    return Verdict(status, sentence, trends)


def judge_trend(name: str, unit: Unit, values: Sequence[int]) -> Trend:
    """The trend of the samples after the warm-up, in call order."""
    tolerance = TOLERANCE[name]
    net = values[-1] - values[0] if values else None
    if len(values) < MIN_SAMPLES:
        reason = f"{len(values)} samples after the warm-up; {MIN_SAMPLES} are needed"
        return Trend(
            name, unit, Status.TOO_SHORT, len(values), tolerance, net, None, None, None, reason
        )
    heights, places = floors(values)
    slope = theil_sen(heights, places)
    status, reason = _shape(heights, slope, tolerance, len(values), unit)
    return Trend(
        name, unit, status, len(values), tolerance, net, slope.rate, slope.low, slope.high, reason
    )


def _with_collections(trend: Trend, run: Run) -> Trend:
    """The trend, mended by what the collections before, half-way and after the judged calls left.

    Objects in cycles pile up until the collector comes round to its oldest generation, which in a
    process with half a million objects may take thousands of calls. And beneath that pile a slow
    warm-up does not show: FSMN-VAD's Python blocks fill over some 500 calls.
    """
    live = _after_collections(trend.series, run)
    if trend.status is Status.FLAT or trend.rate is None or live is None:
        return trend
    in_bytes = _after_collections(BYTES_OF.get(trend.series, ""), run)
    if in_bytes is not None:
        left = (in_bytes[2] - in_bytes[1]) / (run.plan.calls - _half_way(run))
        if left <= TOLERANCE["live_heap"]:
            reason = f"what collections leave grows by {format_rate(max(left, 0.0), Unit.BYTES)}"
            return replace(trend, status=Status.FLAT, reason=reason)
    if trend.status is not Status.GROWING:
        return trend
    warm, half, end = live
    left = (end - warm) / trend.samples
    told = (
        f"{format_rate(trend.rate, trend.unit)} between collections, of which gc.collect() leaves"
        f" {format_rate(left, trend.unit)}"
    )
    if left <= max(trend.tolerance, LIVE_SHARE * trend.rate):
        reason = f"{told}: cyclic garbage that the collector has not come round to"
        return replace(trend, status=Status.BOUNDED, reason=reason)
    if end - half < LEAST_LATER_SHARE * (half - warm):
        reason = f"{told}, and that is slowing down: a warm-up or a cache that fills"
        return replace(trend, status=Status.BOUNDED, reason=reason)
    return trend


def _half_way(run: Run) -> int:
    """The call before which the worker collected half-way."""
    return (run.plan.warmup + run.plan.calls) // 2


def _after_collections(series: str, run: Run) -> tuple[int, int, int] | None:
    """The series just after the collections before, half-way and after the judged calls."""
    readings = [run.reading(step) for step in ("warm", "half", "collected")]
    if run.calls_done < run.plan.calls:
        return None  # the second half is shorter than the first
    values = [reading.values.get(series) for reading in readings if reading is not None]
    known = [value for value in values if value is not None]
    return (known[0], known[1], known[2]) if len(known) == len(readings) else None


def _shape(
    heights: Sequence[int], slope: Slope, tolerance: float, calls: int, unit: Unit
) -> tuple[Status, str]:
    low, high = slope.low, slope.high
    growth = heights[-1] - heights[0]
    total = format_amount(growth, unit)
    largest = max(later - earlier for earlier, later in pairwise(heights))
    middle = len(heights) // 2
    earlier_half = heights[middle] - heights[0]
    later_half = heights[-1] - heights[middle - 1]
    matters = growth > tolerance * calls
    slowing = later_half < LEAST_LATER_SHARE * earlier_half
    if high <= tolerance:
        return Status.FLAT, f"no growth above {format_rate(max(high, tolerance), unit)}"
    if slowing and (matters or low > tolerance):
        return Status.BOUNDED, f"{total}, but slowing down: a cache that fills, or a warm-up"
    if matters and largest > LARGEST_STEP_SHARE * growth:
        return Status.BOUNDED, f"{total}, but most of it in one step"
    if low > tolerance:
        return Status.GROWING, f"the floor rises steadily, by {total} in these calls"
    return (
        Status.TOO_SHORT,
        f"between {format_rate(low, unit)} and {format_rate(high, unit)}: more calls would tell",
    )


def _whole(trends: Mapping[str, Trend]) -> tuple[Status, str]:
    live = [trends[name] for name in LIVE_SERIES if name in trends]
    kept = [trends[name] for name in KEPT_SERIES if name in trends]
    growing = [trend for trend in live if trend.status is Status.GROWING]
    if growing:
        rates = "; ".join(_told(trend) for trend in growing)
        return Status.GROWING, f"Live memory grows: {rates}."
    retained = [trend for trend in kept if trend.status is Status.GROWING]
    kept_told = "; ".join(_told(trend) for trend in retained)
    for status in (Status.TOO_SHORT, Status.BOUNDED):
        found = [trend for trend in live if trend.status is status]
        if found:
            lead = "Too short to say" if status is Status.TOO_SHORT else "Bounded so far"
            more = f" Memory is kept, not used: {kept_told}." if retained else ""
            return status, f"{lead} ({_told_once(found)}).{more}"
    if retained:
        return Status.BOUNDED, f"Nothing live grows, but memory is kept: {kept_told}."
    if not live:
        return Status.TOO_SHORT, "No series that shows live memory can be read on this system."
    bounds = "; ".join(_bound(trend) for trend in live if trend.unit is not Unit.COUNT)
    return Status.FLAT, f"Nothing grows ({bounds})."


def _told_once(trends: Sequence[Trend]) -> str:
    """Each reason once, after the series it holds for; all series need no list."""
    reasons: dict[str, list[str]] = {}
    for trend in trends:
        reasons.setdefault(trend.reason, []).append(_title(trend))
    if len(reasons) == 1 and len(trends) > 1:
        return trends[0].reason
    return "; ".join(f"{', '.join(titles)}: {reason}" for reason, titles in reasons.items())


def _early_end(run: Run) -> str:
    outcome = run.outcome
    told = f"It ended early ({outcome.ending}): {outcome.reason}."
    rss = run.samples.get("rss")
    if not rss:
        return told
    first, last = format_amount(rss[0], Unit.BYTES), format_amount(rss[-1], Unit.BYTES)
    return f"{told} In its {len(rss)} calls RSS went from {first} to {last}."


def _bound(trend: Trend) -> str:
    high = max(trend.rate_high or 0.0, 0.0)
    if high > trend.tolerance:
        return f"{_title(trend)}: {trend.reason}"
    return f"{_title(trend)} at most {format_rate(high, trend.unit)}"


def _told(trend: Trend) -> str:
    assert trend.rate is not None and trend.rate_low is not None and trend.rate_high is not None
    return (
        f"{_title(trend)} by {format_rate(trend.rate, trend.unit)}"
        f" (between {format_amount(trend.rate_low, trend.unit)}"
        f" and {format_amount(trend.rate_high, trend.unit)})"
    )


def _title(trend: Trend) -> str:
    return {
        "live_heap": "live heap",
        "rss": "RSS",
        "python_blocks": "Python blocks",
        "cuda_allocated": "CUDA allocated",
        "cuda_reserved": "CUDA reserved",
        "cuda_active": "CUDA active",
    }.get(trend.series, trend.series)
