"""The figures of a pair of variants, one by one, and what follows from each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import exp, log
from statistics import fmean

from leakhunt.compared import RSS_TOTAL, TIME, Conclusion, Line
from leakhunt.comparison.growth import COLLECTED_ONLY, goes_by_collections, growth, rate
from leakhunt.comparison.intervals import Mean, between_runs
from leakhunt.comparison.times import log_ratio, seconds_per_call
from leakhunt.findings import Interval
from leakhunt.language import mark, tr
from leakhunt.model import JudgedRun, Status, Unit
from leakhunt.verdict.judge import tolerance_of
from leakhunt.verdict.series import FEWEST_SAMPLES

_RATES = {
    "live_heap": (mark("live heap"), Unit.BYTES),
    COLLECTED_ONLY: (mark("Python bytes"), Unit.BYTES),
    "python_blocks": (mark("Python blocks"), Unit.BLOCKS),
    "cuda_allocated": (mark("CUDA allocated"), Unit.BYTES),
    "cuda_reserved": (mark("CUDA reserved"), Unit.BYTES),
    "rss": ("RSS", Unit.BYTES),
    "threads": (mark("threads"), Unit.COUNT),
    "descriptors": (mark("descriptors"), Unit.COUNT),
    "children": (mark("children"), Unit.COUNT),
}
# Of these a line is worth its place only where one side leaks.
_RESOURCES = ("threads", "descriptors", "children")
# Two runs of nothing differ in RSS by some pages: stacks, and what was touched before.
_RSS_TOLERANCE_BYTES = float(1 << 20)
# A true difference of the tolerance and so many half widths is seen with 95 %. More than a normal
# distribution would need, since a half width from a few steps or runs is itself uncertain:
# calibrated on simulated pairs, tests/truth/test_compared_curves.py.
_SEEN_FROM_HALF_WIDTHS = 3.5
# ... of the time of single runs, whose half width is mostly the known spread between runs: one, and
# 1.833 of 3.250 more (Student's 95 % one-sided and 99 % two-sided with nine degrees of freedom).
_TIME_SEEN_FROM_HALF_WIDTHS = 1.56
# A ratio beyond e to this power is no time that anybody measured.
_LARGEST_LOG = 50.0

_Entries = Sequence[JudgedRun]


def lines(before: _Entries, after: _Entries) -> Iterator[Line]:
    """A line for each series that all runs have read, then RSS in all and the time of a call."""
    for series, (title, unit) in _RATES.items():
        if all(_has_read(entry, series) for entry in (*before, *after)) and (
            series not in _RESOURCES or any(_leaks(entry, series) for entry in (*before, *after))
        ):
            yield _rate_line(before, after, Line(series, tr(title), unit, *_NOTHING_YET))
    yield from _total_line(before, after)
    yield from _time_line(before, after)


_NOTHING_YET = (None, None, None, None, Conclusion.CANNOT_TELL, "")


def _has_read(entry: JudgedRun, series: str) -> bool:
    if series == COLLECTED_ONLY:
        return any(series in reading.values for reading in entry.run.readings)
    return series in entry.run.samples


def _leaks(entry: JudgedRun, series: str) -> bool:
    trend = entry.verdict.trends.get(series)
    return trend is not None and trend.status is Status.LEAK


def _rate_line(before: _Entries, after: _Entries, line: Line) -> Line:
    if len(before) == len(after) == 1:
        found = growth(before[0], after[0], line.name)
        if found is None:
            return replace(line, reason=_too_few(before, after, line.name))
        line = replace(line, before=found.before, after=found.after, reason=found.rests_on)
        return _concluded(line, found.difference, _tolerance(before, after, line))
    collected = line.name == COLLECTED_ONLY or any(
        goes_by_collections(entry, line.name) for entry in (*before, *after)
    )
    sides = [[rate(entry, line.name, collected) for entry in side] for side in (before, after)]
    return _over_repeats(line, sides, _tolerance(before, after, line))


def _too_few(before: _Entries, after: _Entries, series: str) -> str:
    if series == COLLECTED_ONLY:
        return tr("too few collections among the judged calls")
    judged = [entry.run.samples_done - entry.run.judged_from for entry in (*before, *after)]
    return tr(
        "{judged} judged samples; {fewest_samples} are needed",
        judged=min(judged),
        fewest_samples=FEWEST_SAMPLES,
    )


def _tolerance(before: _Entries, after: _Entries, line: Line) -> float:
    """Growth per call that is none in one run is no difference between two."""
    return max(
        tolerance_of(line.name, line.unit, entry.run.calls_per_sample)
        for entry in (*before, *after)
    )


def _over_repeats(line: Line, sides: Sequence[Sequence[float | None]], tolerance: float) -> Line:
    """A figure of several runs: by their means, and the spread between them."""
    values = [[value for value in side if value is not None] for side in sides]
    if not all(values):
        return replace(line, reason=tr("too few samples"))
    line = replace(line, before=fmean(values[0]), after=fmean(values[1]))
    if sum(map(len, values)) == 2:
        return replace(line, reason=tr("one run each: repeats would tell"))
    counts = tr(" and ").join(f"{len(side)}" for side in values)
    line = replace(line, reason=tr("the spread between runs, {counts} of them", counts=counts))
    return _concluded(line, between_runs(*values), tolerance)


def _concluded(
    line: Line, difference: Mean, tolerance: float, seen_from: float = _SEEN_FROM_HALF_WIDTHS
) -> Line:
    half = difference.half_width
    interval = Interval(difference.value, difference.value - half, difference.value + half)
    return replace(
        line,
        difference=interval,
        would_show=tolerance + seen_from * half,
        conclusion=_conclusion(interval, tolerance),
    )


def _conclusion(interval: Interval, tolerance: float) -> Conclusion:
    if interval.low > tolerance:
        return Conclusion.MORE
    return Conclusion.LESS if interval.high < -tolerance else Conclusion.NO_DIFFERENCE


def _total_line(before: _Entries, after: _Entries) -> Iterator[Line]:
    """RSS over the whole run: only repeats of as many calls can be told apart."""
    sides = [[_rss_growth(entry) for entry in side] for side in (before, after)]
    if all(value is None for side in sides for value in side):
        return
    line = Line(RSS_TOTAL, tr("RSS in a run"), Unit.BYTES, *_NOTHING_YET)
    calls = {entry.run.calls_done for entry in (*before, *after)}
    told = _over_repeats(line, sides, _RSS_TOLERANCE_BYTES)
    if len(calls) > 1 and told.before is not None:
        many = tr("not as many calls: {fewest:,} to {most:,}", fewest=min(calls), most=max(calls))
        told = replace(told, reason=many, difference=None, would_show=None)
        told = replace(told, conclusion=Conclusion.CANNOT_TELL)
    yield told


def _rss_growth(entry: JudgedRun) -> float | None:
    start, end = entry.run.reading("start"), entry.run.reading("end")
    if start is None or end is None or not all("rss" in each.values for each in (start, end)):
        return None
    return float(end.values["rss"] - start.values["rss"])


def _time_line(before: _Entries, after: _Entries) -> Iterator[Line]:
    if not all("duration" in entry.run.samples for entry in (*before, *after)):
        return
    line = Line(TIME, tr("time of a call"), Unit.NANOSECONDS, *_NOTHING_YET)
    if len(before) == len(after) == 1:
        found = log_ratio(before[0].run, after[0].run)
        if found is None:
            yield replace(line, reason=_too_few(before, after, "duration"))
            return
        line = replace(line, before=found[0], after=found[1])
        told = tr(
            "one run each; runs of the same work differ by some 6 %, which repeats would narrow"
        )
        line = replace(line, reason=told)
        yield _as_ratio(_concluded(line, found[2], 0.0, _TIME_SEEN_FROM_HALF_WIDTHS))
        return
    sides = [[seconds_per_call(entry.run) for entry in side] for side in (before, after)]
    known = [[seconds for seconds in side if seconds is not None] for side in sides]
    logs = [[log(seconds) for seconds in side] for side in known]
    told_logs = _over_repeats(line, logs, 0.0)
    if not all(known):
        yield told_logs
        return
    before_seconds, after_seconds = (exp(fmean(side)) for side in logs)
    yield _as_ratio(replace(told_logs, before=before_seconds, after=after_seconds))


def _as_ratio(line: Line) -> Line:
    """A line whose difference is one of logarithms, with the ratios instead."""
    if line.difference is None or line.would_show is None:
        return line
    told = line.difference
    low, high = (_exp(bound) for bound in (told.low, told.high))
    return replace(
        line,
        difference=Interval(_exp(told.estimate), low, high),
        would_show=_exp(line.would_show),
    )


def _exp(power: float) -> float:
    """The exponential of `power`, as far as a report can hold it."""
    return exp(max(min(power, _LARGEST_LOG), -_LARGEST_LOG))
