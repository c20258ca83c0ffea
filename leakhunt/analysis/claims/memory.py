"""Measures of memory: how fast it grows, how high it gets, what a variant saves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.claims.evidence import MeasureContext, exactly, no_series, not_measurable
from leakhunt.model.claims import ClaimMeasurement
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Run
from leakhunt.model.series import RSS, Unit
from leakhunt.model.verdict import Trend
from leakhunt.text.message import message, plural_message


def growth(context: MeasureContext) -> ClaimMeasurement:
    """Rate per call of the series, with the 99 % bounds of its trend, in its unit per call.

    Cannot be told where the series was not read, or of fewer samples than a trend needs.
    """
    trend = context.entry.verdict.trends.get(context.check.series)
    if trend is None:
        return no_series(context)
    if trend.rate is None or trend.rate_low is None or trend.rate_high is None:
        return not_measurable(trend.reason)
    text = message(
        "claims.growth",
        "{rate} ({low} to {high})",
        rate=Rate(trend.rate, trend.unit),
        low=Amount(trend.rate_low, trend.unit),
        high=Amount(trend.rate_high, trend.unit),
    )
    return ClaimMeasurement(trend.rate, trend.rate_low, trend.rate_high, f"{trend.unit}/call", text)


def total_growth(context: MeasureContext) -> ClaimMeasurement:
    """Last less first sample of the series in its unit, or between two calls that the check names.

    Of a run that ended before its time it is the least that it may have come to, unless both calls
    were made. Cannot be told where the series was not read, or the calls were not made.
    """
    values, calls = _samples(context.run, context.check.series), context.run.calls
    if not context.unit or not values:
        return no_series(context)
    first, last = context.check.from_call, context.check.to_call
    done = context.run.calls_done
    if done < max(first or 0, last or 0):
        return not_measurable(
            plural_message(
                "claims.ended-before", "ended after {n} call", "ended after {n} calls", done
            )
        )
    within = [
        place
        for place in range(len(values))
        if (first or 0) <= calls[place] <= (last if last is not None else done)
    ]
    if len(within) < 2:
        return not_measurable(
            message("claims.few-between", "fewer than two samples between these calls")
        )
    grown = values[within[-1]] - values[within[0]]
    spoken = (calls[within[0]], calls[within[-1]])
    return _extreme(context, grown, spoken, context.is_cut_short and last is None)


def spread(context: MeasureContext) -> ClaimMeasurement:
    """Highest less lowest judged sample of the series, in its unit.

    Of a run that ended before its time it is the least that it may have come to. Cannot be told
    where the series was not read, or nothing was judged.
    """
    values = _samples(context.run, context.check.series)
    if not context.unit or not values:
        return no_series(context)
    judged = values[context.run.judged_from :]
    if len(judged) < 2:
        return not_measurable(message("claims.few-judged", "fewer than two measured samples"))
    spoken = (context.run.calls[context.run.judged_from], context.run.calls_done)
    return _extreme(context, max(judged) - min(judged), spoken, context.is_cut_short)


def peak(context: MeasureContext) -> ClaimMeasurement:
    """Highest sample of the series less the first full reading (``start``), in its unit.

    Samples are taken after calls; what is used and given back within a call is in none, but of RSS
    the kernel keeps the highest. Of a run that ended before its time it is the least. Cannot be
    told where either was not read.
    """
    found = _peak(context.run, context.check.series)
    if found is None:
        return no_series(context)
    spoken = (context.run.calls[0], context.run.calls_done)
    return _extreme(context, found, spoken, context.is_cut_short)


def saving(context: MeasureContext) -> ClaimMeasurement:
    """What a call keeps less than one of the reference, as a share of that: 1 - growth / growth.

    Its bounds come from those of both. Cannot be told where either growth cannot, or where the
    reference does not grow for certain.
    """
    base = _trend(context.reference, context.check.series)
    own = _trend(context.entry, context.check.series)
    if base is None or own is None:
        return not_measurable(
            message("claims.no-growths", "the growth of the two variants is unknown"), "share"
        )
    assert base.rate is not None and base.rate_low is not None and base.rate_high is not None
    assert own.rate is not None and own.rate_low is not None and own.rate_high is not None
    if base.rate_low <= 0:
        return not_measurable(
            message("claims.reference-level", "the growth of the reference is not significant"),
            "share",
        )
    ends = product((own.rate_low, own.rate_high), (base.rate_low, base.rate_high))
    shares = [1 - one / other for one, other in ends]
    value, low, high = 1 - own.rate / base.rate, min(shares), max(shares)
    text = message(
        "claims.saving",
        "{value:.3g} % ({low:.3g} to {high:.3g} %), {own} and {base}",
        value=100 * value,
        low=100 * low,
        high=100 * high,
        own=Rate(own.rate, own.unit),
        base=Rate(base.rate, base.unit),
    )
    return ClaimMeasurement(value, low, high, "share", text)


def peak_saving(context: MeasureContext) -> ClaimMeasurement:
    """How much lower the peak is than the reference's, as a share of that: 1 - peak / peak.

    Cannot be told where either peak cannot, where either run ended before its time, or where the
    reference's is not above the start.
    """
    own = _peak(context.run, context.check.series)
    base = _peak(context.reference.run, context.check.series) if context.reference else None
    if own is None or base is None or context.reference is None:
        return not_measurable(
            message("claims.no-peaks", "the peaks of the two variants are unknown"), "share"
        )
    if context.is_cut_short:
        return not_measurable(
            message("claims.peak-cut-short", "ended early; the peak may be higher"),
            "share",
        )
    if base <= 0:
        return not_measurable(
            message("claims.reference-flat", "the reference does not grow above its start"),
            "share",
        )
    value, unit = 1 - own / base, Unit(context.unit)
    # A reference that ended before its time may have gone higher: then more is saved.
    high = None if context.reference.run.outcome.ending != "ok" else value
    text = message(
        "claims.peak-saving",
        "{value:.3g} %, {own} and {base}",
        value=100 * value,
        own=Amount(own, unit),
        base=Amount(base, unit),
    )
    return ClaimMeasurement(value, value, high, "share", text)


def falls(context: MeasureContext) -> ClaimMeasurement:
    """How many times the series falls from one sample to the next, as a share of the steps.

    Cannot be told of fewer than two samples.
    """
    values = _samples(context.run, context.check.series)
    if not context.unit or not values:
        return no_series(context)
    steps = [later - earlier for earlier, later in pairwise(values)]
    if not steps:
        return not_measurable(message("claims.no-step", "only one sample, no step"), "share")
    down = sum(step < 0 for step in steps)
    text = message(
        "claims.falls",
        "{share:.3g} %: {down:,} of {steps:,} steps",
        share=100 * down / len(steps),
        down=down,
        steps=len(steps),
    )
    return exactly(down / len(steps), "share", text)


def _samples(run: Run, series: str) -> Sequence[int]:
    return run.samples.get(series, ())[: run.samples_done]


def _trend(entry: JudgedRun | None, series: str) -> Trend | None:
    """The trend of a series, if it has a rate."""
    trend = entry.verdict.trends.get(series) if entry is not None else None
    return trend if trend is not None and trend.rate is not None else None


def _peak(run: Run, series: str) -> int | None:
    start, values = run.reading("start"), _samples(run, series)
    if start is None or series not in start.values or not values:
        return None
    return max(*values, _high_water(run) if series == RSS else 0) - start.values[series]


def _high_water(run: Run) -> int:
    """The highest RSS that the kernel saw, where that was in the calls; else 0.

    It is the process's since it began: one of before the calls says nothing of them. Of a service
    there are several.
    """
    marks = [each.values["rss_peak"] for each in run.readings if "rss_peak" in each.values]
    if not marks or run.plan.load is not None or marks[-1] <= marks[0]:
        return 0
    return marks[-1]


def _extreme(
    context: MeasureContext, amount: int, calls: tuple[int, int], is_least: bool
) -> ClaimMeasurement:
    """An amount as it was read; `is_least`: the run ended before it could come to more."""
    values = {"amount": Amount(amount, Unit(context.unit)), "first": calls[0], "last": calls[1]}
    if is_least:
        text = message(
            "claims.amount-at-least",
            "{amount}, calls {first:,} to {last:,}; lower bound: ended early ({ending})",
            ending=context.run.outcome.ending,
            **values,
        )
    else:
        text = message("claims.amount", "{amount}, calls {first:,} to {last:,}", **values)
    return ClaimMeasurement(amount, amount, None if is_least else amount, context.unit, text)
