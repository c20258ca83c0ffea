"""The instances of a fleet as rows of text, for every format. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_bytes, format_interval, format_seconds
from leakhunt.model.fleet import Course, FleetReport, JudgedInstance
from leakhunt.model.series import MEMORY
from leakhunt.text.language import mark, ntr, tr
from leakhunt.text.message import said

NOTHING = "\N{EN DASH}"
_DAY = 86_400.0
_CLEAN = (Course.LEVEL, Course.LEVELLED)
HEADINGS = (
    mark("instance"),
    mark("verdict"),
    mark("out of memory in"),
    mark("growth per day"),
    mark("now"),
    mark("limit"),
    mark("restarts"),
    mark("observed"),
)
# Which of the columns are words; numbers are set to the right.
WORDS = (True, True, False, False, False, False, False, False)


def heading(report: FleetReport) -> str:
    """What the report is about."""
    return tr("Memory of {source}", source=report.source)


def summary(report: FleetReport) -> Iterator[str]:
    """The result first: how many do what, then which is out of memory first."""
    counts = [(course, report.count(course)) for course in Course]
    parts = [f"{tr(course.value)}: {count}" for course, count in counts if count]
    yield ntr(
        "{n} instance ({parts}).",
        "{n} instances ({parts}).",
        len(report.instances),
        parts=tr("; ").join(parts),
    )
    first = next((each for each in report.instances if each.seconds_left is not None), None)
    if first is not None and first.seconds_left:
        yield tr(
            "First out of memory: {instance}, in {time}.",
            instance=first.instance,
            time=time_left(first),
        )
    elif first is not None:
        yield tr("At its limit: {instance}.", instance=first.instance)
    elif all(each.limit_bytes is None for each in report.instances):
        yield tr("No limit was given: no time to out-of-memory is told.")
    yield from map(said, report.caveats)


def rows(report: FleetReport) -> Iterator[tuple[str, ...]]:
    """A row for each instance, under `HEADINGS`."""
    for each in report.instances:
        yield (
            each.instance,
            verdict(each),
            time_left(each),
            growth(each),
            format_bytes(each.last_bytes),
            NOTHING if each.limit_bytes is None else format_bytes(each.limit_bytes),
            str(each.restarts),
            format_seconds(each.span_seconds),
        )


def short_rows(report: FleetReport) -> Iterator[tuple[str, ...]]:
    """The same without intervals, for a terminal."""
    for each, row in zip(report.instances, rows(report), strict=True):
        time = row[2]
        if each.seconds_left:
            time = format_seconds(each.seconds_left)
        rate = row[3]
        if each.course not in _CLEAN and each.rate is not None:
            rate = format_bytes(each.rate * _DAY)
        yield (*row[:2], time, rate, *row[4:])


def verdict(each: JudgedInstance) -> str:
    """What it does, and since when it is level."""
    if each.level_after_seconds is not None:
        return tr("levelled off after {time}", time=format_seconds(each.level_after_seconds))
    return tr(each.course.value)


def time_left(each: JudgedInstance) -> str:
    """``5 days (4 days to 7 days)``."""
    if each.seconds_left is None and each.seconds_soonest is not None:
        return tr("not before {time}", time=format_seconds(each.seconds_soonest))
    if each.seconds_left is None:
        return NOTHING
    if not each.seconds_left:
        return tr("at its limit")
    time, soonest = (format_seconds(each.seconds_left), format_seconds(each.seconds_soonest or 0))
    if each.seconds_latest is None:
        return tr("{time} ({soonest} to never)", time=time, soonest=soonest)
    latest = format_seconds(each.seconds_latest)
    if soonest == time == latest:
        return time
    return tr("{time} ({soonest} to {latest})", time=time, soonest=soonest, latest=latest)


def growth(each: JudgedInstance) -> str:
    """Bytes per day, with the interval, where it is growth."""
    if each.rate is None or each.rate_low is None or each.rate_high is None:
        return NOTHING
    if each.course in _CLEAN:
        most = format_bytes(max(each.verdict.trends[MEMORY].upper_bound or 0.0, 0.0) * _DAY)
        return tr("at most {size}", size=most)
    low, high = (format_bytes(rate * _DAY) for rate in (each.rate_low, each.rate_high))
    return format_interval(format_bytes(each.rate * _DAY), low, high)


def details(report: FleetReport) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Sentences on each instance that needs a look: the verdict, the forecast, caveats."""
    for each in report.instances:
        if each.course in _CLEAN and not each.caveats:
            continue
        texts = [said(each.verdict.sentence)]
        forecast = each.verdict.forecast
        if forecast is not None and forecast.limit_bytes is not None:
            texts.append(said(forecast.sentence))
        yield each.instance, (*texts, *map(said, each.caveats))
