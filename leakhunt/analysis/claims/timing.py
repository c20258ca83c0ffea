"""Measures of time: against the reference, along the run, and by the audio that was heard."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, hypot, log, sqrt
from statistics import median

from leakhunt.amounts import Seconds
from leakhunt.analysis.claims.evidence import MeasureContext, not_measurable
from leakhunt.analysis.comparison.intervals import mean_of
from leakhunt.analysis.comparison.times import SPREAD_BETWEEN_RUNS, log_ratio
from leakhunt.analysis.student import student
from leakhunt.model.claims import ClaimMeasurement
from leakhunt.model.run import Run
from leakhunt.model.series import AUDIO, DURATION
from leakhunt.text.message import message

# Fewer times than this have no spread to speak of.
MIN_TIMES = 3
# Of fewer samples than the comparison of runs asks for, each is a time of its own.
_FREEDOM_BETWEEN_RUNS = 9
_MIN_SECONDS = 1e-9
_TENTH = 10
_NANOSECONDS = 1e9


def time_ratio(context: MeasureContext) -> ClaimMeasurement:
    """Median seconds per call, as a multiple of the reference's, with 99 % bounds.

    They hold what runs of the same work differ by (`leakhunt.analysis.comparison.times`), so a
    ratio nearer to one than some 30 % is not told from it. Cannot be told of fewer than three
    judged calls.
    """
    if context.reference is None:
        return not_measurable(message("claims.no-reference", "the reference was not run"), "ratio")
    base, own = context.reference.run, context.run
    if not all(each.samples.get(DURATION) for each in (base, own)):
        return not_measurable(
            message("claims.no-times", "times were not recorded in both runs"), "ratio"
        )
    compared = log_ratio(base, own)
    if compared is not None:
        before, after, mean = compared
        return _ratio(before, after, mean.value, mean.half_width)
    return _apart(_judged_seconds(base), _judged_seconds(own))


def _apart(before: Sequence[float], after: Sequence[float]) -> ClaimMeasurement:
    """Of few samples: how each run varies, and how runs of the same work do."""
    if min(len(before), len(after)) < MIN_TIMES:
        return not_measurable(
            message("claims.few-calls", "fewer than {n} measured calls", n=MIN_TIMES), "ratio"
        )
    widths = [_half_width(each) for each in (before, after)]
    between = student(_FREEDOM_BETWEEN_RUNS) * SPREAD_BETWEEN_RUNS * sqrt(2)
    first, last = median(before), median(after)
    return _ratio(first, last, log(last / first), hypot(*widths, between))


def slowdown(context: MeasureContext) -> ClaimMeasurement:
    """Median seconds per call in the last tenth of the calls, as a multiple of the first tenth's.

    Bounds at 99 %, from how the calls of each tenth vary. The warm-up counts: its calls are those
    that a service answers first. Cannot be told of a tenth with fewer than three samples.
    """
    run = context.run
    times = _seconds(run, 0)
    tenth = run.calls_done / _TENTH
    first = [each for call, each in times if call <= tenth]
    last = [each for call, each in times if call > run.calls_done - tenth]
    if min(len(first), len(last)) < MIN_TIMES:
        return not_measurable(
            message(
                "claims.short-tenth",
                "one tenth of the calls has fewer than {n} samples",
                n=MIN_TIMES,
            )
        )
    before, after = median(first), median(last)
    width = hypot(_half_width(first), _half_width(last))
    return _ratio(before, after, log(after / before), width)


def time_per_minute(context: MeasureContext) -> ClaimMeasurement:
    """Seconds of work per minute of audio, over the judged calls, with 99 % bounds.

    Cannot be told where the scenario does not say how much audio a call hears, or of fewer than
    three calls that hear any.
    """
    run = context.run
    audio = run.samples.get(AUDIO, ())[run.judged_from : run.samples_done]
    work = run.samples.get(DURATION, ())[run.judged_from : run.samples_done]
    heard = [(spent, each) for spent, each in zip(work, audio, strict=False) if each > 0]
    if len(heard) < MIN_TIMES:
        return not_measurable(
            message("claims.no-audio", "the scenario does not report the length of its audio")
        )
    total = sum(each for _, each in heard)
    rate = sum(spent for spent, _ in heard) / total
    # Cochran, Sampling Techniques, 6.3: the variance of a ratio of two sums.
    rest = sum((spent - rate * each) ** 2 for spent, each in heard)
    error = sqrt(rest * len(heard) / (len(heard) - 1)) / total
    half = 60 * student(len(heard) - 1) * error
    value, low, high = 60 * rate, max(60 * rate - half, 0.0), 60 * rate + half
    text = message(
        "claims.time-per-minute",
        "{value} ({low} to {high}) per minute of audio",
        value=Seconds(value),
        low=Seconds(low),
        high=Seconds(high),
    )
    return ClaimMeasurement(value, low, high, "s/min", text)


def _seconds(run: Run, first_sample: int) -> list[tuple[int, float]]:
    """The call that each sample comes after, and the seconds per call in it."""
    durations, calls = run.samples.get(DURATION, ()), run.calls
    places = range(first_sample, min(run.samples_done, len(durations)))
    since = [calls[place] - (calls[place - 1] if place else 0) for place in places]
    return [
        (calls[place], max(durations[place] / made / _NANOSECONDS, _MIN_SECONDS))
        for place, made in zip(places, since, strict=True)
    ]


def _judged_seconds(run: Run) -> list[float]:
    return [each for _, each in _seconds(run, run.judged_from)]


def _half_width(seconds: Sequence[float]) -> float:
    """Half of the 99 % interval of the logarithm of a time."""
    return mean_of([log(each) for each in seconds]).half_width


def _ratio(before: float, after: float, value: float, half: float) -> ClaimMeasurement:
    low, high = exp(value - half), exp(value + half)
    text = message(
        "claims.time-ratio",
        "{ratio:.3g} × ({low:.3g} to {high:.3g}), {after} and {before} per call",
        ratio=exp(value),
        low=low,
        high=high,
        after=Seconds(after),
        before=Seconds(before),
    )
    return ClaimMeasurement(exp(value), low, high, "ratio", text)
