"""The verdict on each instance of a fleet, the one that runs out of memory first before the rest.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from leakhunt.amounts import Seconds
from leakhunt.analysis.fleet.foreign_run import ForeignRun, foreign_run
from leakhunt.analysis.verdict.judge import judge
from leakhunt.analysis.verdict.lives import RESTARTED, births
from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.model.fleet import Course, FleetCurve, FleetReport, JudgedInstance
from leakhunt.model.foreign import MeasuredFleet, MeasuredSeries
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import MEMORY
from leakhunt.model.verdict import KillForecast, Outlook, Shape, Status, Trend, Verdict
from leakhunt.text.message import Text, message

_CURVE_POINTS = 120
# What is said of a series where so much of it is bridged, or nothing but a part of a day is seen.
_BRIDGED_SHARE = 0.2
_TWO_DAYS = 172_800.0
# What rises for no longer than this share of what is seen is a warm-up, and no worth a word.
_WARM_UP_SHARE = 0.1
_ENDLESS = 366 * 86_400.0 * 10


def fleet_report(fleet: MeasuredFleet, generator: str, limit_bytes: int | None) -> FleetReport:
    """Each series judged; `limit_bytes` is that of those that have none of their own."""
    judged = [judged_instance(each, limit_bytes) for each in fleet.series]
    return FleetReport(fleet.source, generator, tuple(sorted(judged, key=_order)), fleet.caveats)


def _order(each: JudgedInstance) -> tuple[float, int, float, str]:
    """By the time that is left, then by what memory does, then by how fast."""
    courses = list(Course)
    seconds_left = inf if each.seconds_left is None else each.seconds_left
    return seconds_left, courses.index(each.course), -(each.rate or 0.0), each.instance


def judged_instance(series: MeasuredSeries, limit_bytes: int | None = None) -> JudgedInstance:
    """What can be said of one series."""
    limit = series.limit_bytes if series.limit_bytes is not None else limit_bytes
    made = foreign_run(series, limit)
    run = made.run
    verdict = judge(run, power=False)
    trend = verdict.trends[MEMORY]
    course = course_of(run, trend, verdict)
    is_level = course in (Course.LEVEL, Course.LEVELLED)
    forecast = None if is_level else verdict.forecast
    seconds_left, soonest, latest = _time_left(forecast, series, limit)
    if course is Course.UNDECIDED and seconds_left is None and limit is not None:
        soonest = _soonest(trend, limit - series.last_bytes)
    values = run.samples[MEMORY]
    return JudgedInstance(
        instance=series.instance,
        course=course,
        verdict=verdict,
        points=series.points,
        samples=run.samples_done,
        span_seconds=float(run.calls[-1] - run.calls[0]),
        step_seconds=made.step_seconds,
        restarts=len(births(run, 0, (RESTARTED,))),
        first_bytes=values[0],
        last_bytes=series.last_bytes,
        peak_bytes=max(series.peaks),
        limit_bytes=limit,
        rate=trend.rate,
        rate_low=trend.rate_low,
        rate_high=trend.rate_high,
        level_after_seconds=trend.level_after if course is Course.LEVELLED else None,
        seconds_left=seconds_left,
        seconds_soonest=soonest,
        seconds_latest=latest,
        caveats=tuple(_caveats(series, made, course)),
        curve=_curve(run),
    )


def course_of(run: Run, trend: Trend, verdict: Verdict) -> Course:
    """What memory does, by its trend and by what becomes of it."""
    if trend.samples < MIN_SAMPLES:
        return Course.TOO_SHORT
    if verdict.kind is Kind.OUTSIDE_GROWTH or trend.status is Status.LEAK:
        return Course.GROWS
    if trend.status is Status.NO_LEAK:
        rose = (trend.level_after or 0.0) > _WARM_UP_SHARE * (run.calls[-1] - run.calls[0])
        return Course.LEVELLED if rose else Course.LEVEL
    grows = (trend.rate_low or 0.0) > 0
    outlook = verdict.forecast.outlook if verdict.forecast is not None else Outlook.UNKNOWN
    if grows and (
        trend.shape is Shape.FILLING_CACHE or outlook in (Outlook.SLOWING, Outlook.LEVELLED)
    ):
        return Course.SLOWING
    return Course.UNDECIDED


def _time_left(
    forecast: KillForecast | None, series: MeasuredSeries, limit: int | None
) -> tuple[float | None, float | None, float | None]:
    """Seconds until the limit, as far as that is foreseen: at best, soonest and latest."""
    if limit is None:
        return None, None, None
    if series.last_bytes >= limit:
        return 0.0, 0.0, 0.0
    if forecast is None:
        return None, None, None
    if forecast.outlook not in (Outlook.AT_PACE, Outlook.SLOWING) or forecast.calls is None:
        return None, None, None
    if forecast.calls > _ENDLESS:
        return None, None, None
    soonest, latest = forecast.calls_soonest, forecast.calls_latest
    return (
        float(forecast.calls),
        None if soonest is None else float(soonest),
        None if latest is None else float(latest),
    )


def _soonest(trend: Trend, room: int) -> float | None:
    """Seconds until the limit at the most that it may grow by; None: it does not grow, or not soon.

    Where nothing can be said of the shape, that is still known.
    """
    seconds = room / trend.rate_high if trend.rate_high and trend.rate_high > 0 else inf
    return seconds if seconds < _ENDLESS else None


def _caveats(series: MeasuredSeries, made: ForeignRun, course: Course) -> Iterator[Text]:
    if series.left_out:
        yield message(
            "analyze.left-out",
            "{count:,} of {points:,} points are not numbers.",
            count=series.left_out,
            points=series.points,
        )
    if made.bridged > _BRIDGED_SHARE * made.run.samples_done and made.longest_gap_seconds:
        yield message(
            "analyze.gaps",
            "{share:.0%} of the time has no point (longest gap {gap}).",
            share=made.bridged / made.run.samples_done,
            gap=Seconds(made.longest_gap_seconds),
        )
    span = made.run.calls[-1] - made.run.calls[0]
    if course is Course.GROWS and span < _TWO_DAYS:
        yield message(
            "analyze.part-of-a-day",
            "Less than two days: growth cannot be separated from the rise of a daily load.",
        )


def _curve(run: Run) -> FleetCurve:
    """The least value of each stretch, few enough for a page."""
    values, calls = run.samples[MEMORY], run.calls
    each = max(-(-len(values) // _CURVE_POINTS), 1)
    starts = range(0, len(values), each)
    return FleetCurve(
        tuple(float(calls[at] - calls[0]) for at in starts),
        tuple(min(values[at : at + each]) for at in starts),
    )
