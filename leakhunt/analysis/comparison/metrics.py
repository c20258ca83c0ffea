"""The figures of a pair of variants, one by one, and what follows from each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import exp, log
from statistics import fmean

from leakhunt.analysis.comparison.growth import growth
from leakhunt.analysis.comparison.intervals import Mean, between_runs
from leakhunt.analysis.comparison.profiles import profile, together
from leakhunt.analysis.comparison.times import paired_ratio, ratio_difference
from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.model.allocators import ALLOCATOR, ROUNDING_SHARE, allocator_of
from leakhunt.model.attribution import Interval
from leakhunt.model.baseline import GrowthCourse, Profile
from leakhunt.model.comparison import RSS_TOTAL, TIME, Conclusion, Metric
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import (
    DURATION,
    LIVE_HEAP,
    PEAK_RSS,
    SERIES,
    SeriesRole,
    Unit,
    compared_series,
    short_title,
)
from leakhunt.text.message import Text, message

# Two runs of nothing differ in RSS by some pages: stacks, and what was touched before.
_RSS_TOLERANCE_BYTES = float(1 << 20)
# A true difference of the tolerance and so many half widths is seen with 95 %. More than a normal
# distribution would need, since a half width from a few steps or runs is itself uncertain:
# calibrated on simulated pairs, tests/truth/test_compared_curves.py.
_DETECTABLE_HALF_WIDTHS = 3.5
# ... of the time of single runs, whose half width is mostly the known spread between runs: one, and
# 1.833 of 3.250 more (Student's 95 % one-sided and 99 % two-sided with nine degrees of freedom).
_TIME_DETECTABLE_HALF_WIDTHS = 1.56
# A ratio beyond e to this power is no time that anybody measured.
_LARGEST_LOG = 50.0

_Profiles = Sequence[Profile]


def lines(before: Sequence[JudgedRun], after: Sequence[JudgedRun]) -> Iterator[Metric]:
    """A line for each series that all runs have read, then RSS in all and the time of a call."""
    if len(before) == len(after) == 1:
        one, other = together(before[0], after[0])
        return lines_of([one], [other])
    return lines_of([profile(entry) for entry in before], [profile(entry) for entry in after])


def lines_of(before: _Profiles, after: _Profiles) -> Iterator[Metric]:
    """`lines`, of runs of which the figures are known."""
    for facts in compared_series():
        courses = [each.courses.get(facts.name) for each in (*before, *after)]
        leaks = any(course.leaks for course in courses if course)
        line = Metric(facts.name, short_title(facts.name), facts.unit, *_NOTHING_YET)
        if facts.name == LIVE_HEAP and any(courses) and not all(courses):
            yield _read_by_one(before, after, line)
        # Of resources a line is worth its place only where one side leaks.
        if all(courses) and (leaks or facts.role is not SeriesRole.RESOURCE):
            yield _rate_line(before, after, line)
    yield from _total_line(before, after)
    yield from _peak_line(before, after)
    yield from _time_line(before, after)


_TIME_TITLE = message("series.time", "time of a call")
_SPREAD_KNOWN = message(
    "comparison.spread-known",
    "one run each; repeated runs differ by about 6 %, repeats would narrow this",
)
READ_BY_ONE = message(
    "comparison.read-by-one",
    "not compared: the allocator of one side does not report the bytes in use",
)
_NOTHING_YET = (None, None, None, None, Conclusion.INCONCLUSIVE, "")


def _read_by_one(before: _Profiles, after: _Profiles, line: Metric) -> Metric:
    """The live heap, where the allocator of one side does not tell it: shown, and not compared."""
    means = []
    for side in (before, after):
        courses = [each.courses.get(line.name) for each in side]
        rates = [course.headline for course in courses if course is not None]
        known = [rate for rate in rates if rate is not None]
        means.append(fmean(known) if len(known) == len(side) else None)
    return replace(line, before=means[0], after=means[1], reason=READ_BY_ONE)


def _rate_line(before: _Profiles, after: _Profiles, line: Metric) -> Metric:
    if len(before) == len(after) == 1:
        found = growth(before[0], after[0], line.name)
        if found is None:
            return replace(line, reason=_too_few(before, after, line.name))
        line = replace(line, before=found.before, after=found.after, reason=found.rests_on)
        return _concluded(line, found.difference, _tolerance(before, after, line))
    sides = [[each.courses[line.name] for each in side] for side in (before, after)]
    collected = not SERIES[line.name].is_sampled or any(
        course.by_collections for side in sides for course in side
    )
    rates = [[_rate(course, collected) for course in side] for side in sides]
    return _over_repeats(line, rates, _tolerance(before, after, line))


def _rate(course: GrowthCourse, collected: bool) -> float | None:
    """The growth per call in one run, by collections or floors; None: too few."""
    return course.rate_after_gc if collected else course.rate


def _too_few(before: _Profiles, after: _Profiles, series: str) -> Text:
    if not SERIES[series].is_sampled:
        return message(
            "comparison.few-collections", "too few collections during the measured calls"
        )
    return message(
        "comparison.few-judged-samples",
        "{judged} measured samples; needs {fewest_samples}",
        judged=min(each.judged for each in (*before, *after)),
        fewest_samples=MIN_SAMPLES,
    )


def _tolerance(before: _Profiles, after: _Profiles, line: Metric) -> float:
    """Growth per call that is none in one run is no difference between two.

    Two allocators round the same blocks up to other sizes: of the live heap so much is none either.
    """
    tolerance = max(
        tolerance_of(line.name, line.unit, each.calls_per_sample) for each in (*before, *after)
    )
    if line.name != LIVE_HEAP or len(set(map(_allocator, (*before, *after))) - {""}) < 2:
        return tolerance
    rates = [each.courses[line.name].headline or 0.0 for each in (*before, *after)]
    return tolerance + ROUNDING_SHARE * max(map(abs, rates))


def _allocator(of: Profile) -> str:
    """What served malloc, by its name alone; empty: not recorded."""
    return allocator_of({ALLOCATOR: of.facts[ALLOCATOR][0]} if ALLOCATOR in of.facts else {})


def _over_repeats(
    line: Metric, sides: Sequence[Sequence[float | None]], tolerance: float
) -> Metric:
    """A figure of several runs: by their means, and the spread between them."""
    values = [[value for value in side if value is not None] for side in sides]
    if not all(values):
        return replace(line, reason=message("comparison.few-samples", "too few samples"))
    line = replace(line, before=fmean(values[0]), after=fmean(values[1]))
    if sum(map(len, values)) == 2:
        reason = message("comparison.no-repeats", "one run each: needs repeats")
        return replace(line, reason=reason)
    reason = message(
        "comparison.spread",
        "spread between runs ({before} and {after} runs)",
        before=len(values[0]),
        after=len(values[1]),
    )
    return _concluded(replace(line, reason=reason), between_runs(*values), tolerance)


def _concluded(
    line: Metric, difference: Mean, tolerance: float, half_widths: float = _DETECTABLE_HALF_WIDTHS
) -> Metric:
    half = difference.half_width
    interval = Interval(difference.value, difference.value - half, difference.value + half)
    return replace(
        line,
        difference=interval,
        would_show=tolerance + half_widths * half,
        conclusion=_conclusion(interval, tolerance),
    )


def _conclusion(interval: Interval, tolerance: float) -> Conclusion:
    if interval.low > tolerance:
        return Conclusion.INCREASE
    return Conclusion.DECREASE if interval.high < -tolerance else Conclusion.NO_DIFFERENCE


def _total_line(before: _Profiles, after: _Profiles) -> Iterator[Metric]:
    """RSS over the whole run: only repeats of as many calls can be told apart."""
    sides = [[each.rss_growth for each in side] for side in (before, after)]
    if all(value is None for side in sides for value in side):
        return
    line = Metric(RSS_TOTAL, message("series.rss_total", "RSS in a run"), Unit.BYTES, *_NOTHING_YET)
    calls = {each.calls_done for each in (*before, *after)}
    line = _over_repeats(line, sides, _RSS_TOLERANCE_BYTES)
    if len(calls) > 1 and line.before is not None:
        reason = message(
            "comparison.other-calls",
            "different number of calls: {fewest:,} to {most:,}",
            fewest=min(calls),
            most=max(calls),
        )
        line = replace(line, reason=reason, difference=None, would_show=None)
        line = replace(line, conclusion=Conclusion.INCONCLUSIVE)
    yield line


def _peak_line(before: _Profiles, after: _Profiles) -> Iterator[Metric]:
    """The highest RSS, where all runs have read it."""
    sides = [[each.peak_rss for each in side] for side in (before, after)]
    if any(value is None for side in sides for value in side):
        return
    line = Metric(PEAK_RSS, short_title(PEAK_RSS), Unit.BYTES, *_NOTHING_YET)
    yield _over_repeats(line, sides, _RSS_TOLERANCE_BYTES)


def _time_line(before: _Profiles, after: _Profiles) -> Iterator[Metric]:
    times = [[each.times for each in side if each.times is not None] for side in (before, after)]
    if (len(times[0]), len(times[1])) != (len(before), len(after)):
        return
    line = Metric(TIME, _TIME_TITLE, Unit.NANOSECONDS, *_NOTHING_YET)
    if len(before) == len(after) == 1:
        ratio = paired_ratio if before[0].pairs_with(after[0]) else ratio_difference
        found = ratio(times[0][0], times[1][0])
        if found is None:
            yield replace(line, reason=_too_few(before, after, DURATION))
            return
        line = replace(line, before=found[0], after=found[1], reason=_SPREAD_KNOWN)
        yield _as_ratio(_concluded(line, found[2], 0.0, _TIME_DETECTABLE_HALF_WIDTHS))
        return
    known = [[each.seconds for each in side if each.seconds is not None] for side in times]
    logs = [[log(seconds) for seconds in side] for side in known]
    line = _over_repeats(line, logs, 0.0)
    if not all(known):
        yield line
        return
    before_seconds, after_seconds = (exp(fmean(side)) for side in logs)
    yield _as_ratio(replace(line, before=before_seconds, after=after_seconds))


def _as_ratio(line: Metric) -> Metric:
    """A line whose difference is one of logarithms, with the ratios instead."""
    if line.difference is None or line.would_show is None:
        return line
    logs = line.difference
    low, high = _exp(logs.low), _exp(logs.high)
    return replace(
        line,
        difference=Interval(_exp(logs.estimate), low, high),
        would_show=_exp(line.would_show),
    )


def _exp(power: float) -> float:
    """The exponential of `power`, as far as a report can hold it."""
    return exp(max(min(power, _LARGEST_LOG), -_LARGEST_LOG))
