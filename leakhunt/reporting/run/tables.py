"""The cells and phrases that every format shares: one way to say a thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from leakhunt.amounts import (
    format_amount,
    format_bytes,
    format_interval,
    format_rate,
    format_seconds,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.report import Cost, Difference, JudgedRun, Report
from leakhunt.model.run import Ending
from leakhunt.model.series import (
    ANONYMOUS,
    LIVE_HEAP,
    RSS,
    SeriesDisplay,
    SeriesFacts,
    Unit,
    displayed,
    short_title,
)
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.reporting.shared.load_table import failed_cell, work_of
from leakhunt.text.language import mark, tr
from leakhunt.text.number import three_digits

NOTHING = "–"
# A word always, a sign beside it: never told by colour alone.
SIGNS: Mapping[Status, str] = {
    Status.LEAK: "▲",
    Status.NO_LEAK: "●",
    Status.INCONCLUSIVE: "?",
}
# No leak, but memory that fills the limit all the same.
WARNING_SIGN = "!"
WARNING = "warning"
_RATE = {
    Work.CALL: mark("{title} per call"),
    Work.REQUEST: mark("{title} per request"),
    Work.SECOND: mark("{title} per second"),
}
# What is only looked on has no time per call, and no results.
_OF_EACH: Mapping[Work, tuple[str, ...]] = {
    Work.CALL: (mark("time per call"), mark("results")),
    Work.REQUEST: (mark("time per request"), mark("failed")),
    Work.SECOND: (),
}


def _columns(report: Report) -> list[SeriesFacts]:
    """The series of the table: those that were read, and of calls those that are expected."""
    read = {name for entry in report.entries for name in entry.verdict.trends}
    of_calls = work_of(report) is Work.CALL
    return [
        facts
        for facts in displayed(SeriesDisplay.TABLE)
        if facts.name in read or (facts.is_expected and of_calls)
    ]


def headings(report: Report) -> tuple[str, ...]:
    """The columns of the summary table."""
    work = work_of(report)
    rates = [tr(_RATE[work], title=short_title(facts.name)) for facts in _columns(report)]
    return (tr("variant"), tr("verdict"), *rates, *headings_of_each(report), tr("ended"))


def headings_of_each(report: Report) -> tuple[str, ...]:
    """The columns on what each call or request took and came to."""
    return tuple(map(tr, _OF_EACH[work_of(report)]))


def row(entry: JudgedRun, report: Report) -> tuple[str, ...]:
    """The cells of one variant, as many as `headings`."""
    trends = entry.verdict.trends
    is_soak = work_of(report) is Work.REQUEST
    result = failed_cell(entry.load_summary) if is_soak else difference_cell(entry)
    return (
        entry.variant,
        verdict_cell(entry),
        *(trend_cell(trends.get(facts.name)) for facts in _columns(report)),
        *((cost_cell(entry.cost), result) if work_of(report).is_timed else ()),
        outcome_cell(entry),
    )


def verdict_cell(entry: JudgedRun) -> str:
    """``▲ leak in Python``."""
    is_measured = entry.run.samples_done or entry.verdict.kind is not Kind.INCONCLUSIVE
    return f"{sign(entry.verdict)} {tr(entry.verdict.kind) if is_measured else tr('not measured')}"


def sign(verdict: Verdict) -> str:
    """What stands before a verdict: that of its status, or a warning."""
    return WARNING_SIGN if verdict.warns else SIGNS[verdict.status]


def colour(verdict: Verdict) -> str:
    """The class that a page colours a verdict by."""
    return WARNING if verdict.warns else str(verdict.status)


def limit_line(verdict: Verdict) -> str:
    """Whether the process is killed, as a line of its own; empty where nothing was foreseen."""
    if verdict.forecast is None:
        return ""
    return tr("Time to limit: {sentence}", sentence=verdict.forecast.sentence)


def trend_cell(trend: Trend | None) -> str:
    """``64.1 [63.2, 65.0] KiB``, or why there is no figure."""
    if trend is None:
        return tr("not read")
    if trend.rate is None or trend.rate_low is None or trend.rate_high is None:
        return NOTHING
    low, high = (format_amount(bound, trend.unit) for bound in (trend.rate_low, trend.rate_high))
    if trend.unit is Unit.BLOCKS:
        rate, low, high = map(three_digits, (trend.rate, trend.rate_low, trend.rate_high))
        in_bytes = trend.rate_in_bytes
        counted = f"{rate} [{low}, {high}]"
        return f"{counted}, {format_bytes(in_bytes)}" if in_bytes else counted
    return format_interval(format_amount(trend.rate, trend.unit), low, high)


def cost_cell(cost: Cost | None) -> str:
    """``18.4 ms (1.9 x)``."""
    if cost is None:
        return NOTHING
    ratio = "" if cost.ratio is None else f" ({_ratio(cost.ratio)} ×)"
    return f"{format_seconds(cost.median_seconds)}{ratio}"


def _ratio(ratio: float) -> str:
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"


def difference_cell(entry: JudgedRun) -> str:
    """``same in 200 calls``, or by how much the results differ from the reference's."""
    if entry.variant == entry.run.plan.reference:
        return tr("the reference")
    difference = entry.difference
    if difference is None:
        return NOTHING
    if not difference.differing:
        return tr("identical in {compared} calls", compared=difference.compared)
    text = tr(
        "differ in {differing} of {compared} calls",
        differing=difference.differing,
        compared=difference.compared,
    )
    return text + _amount_apart(difference)


def short_difference_cell(entry: JudgedRun) -> str:
    """``same``, or the share of the results that differs; for narrow places."""
    if entry.variant == entry.run.plan.reference:
        return tr("ref.")
    difference = entry.difference
    if difference is None:
        return NOTHING
    if not difference.differing:
        return tr("same")
    if difference.total is None or not difference.reference_total:
        return tr("{differing} differ", differing=difference.differing)
    return tr("{share:.2g} % differ", share=100 * difference.total / difference.reference_total)


def short_cells(entry: JudgedRun, report: Report) -> tuple[str, ...]:
    """Under `headings_of_each`, for narrow places."""
    if not work_of(report).is_timed:
        return ()
    is_soak = work_of(report) is Work.REQUEST
    last = failed_cell(entry.load_summary) if is_soak else short_difference_cell(entry)
    return (cost_cell(entry.cost), last)


def _amount_apart(difference: Difference) -> str:
    if difference.worst is None or difference.total is None or not difference.reference_total:
        return ""
    share = 100 * difference.total / difference.reference_total
    return tr(
        ", by at most {worst}, {share:.2g} % of the speech",
        worst=format_seconds(difference.worst / 1000.0),
        share=share,
    )


_DONE = {
    Work.CALL: mark("{done} calls"),
    Work.REQUEST: mark("{done} requests"),
    Work.SECOND: mark("{done} s"),
}
_ENDED_AFTER = {
    Work.CALL: mark("{ending} after {done:d} calls"),
    Work.REQUEST: mark("{ending} after {done:d} requests"),
    Work.SECOND: mark("{ending} after {done:d} s"),
}


def outcome_cell(entry: JudgedRun) -> str:
    """``200 calls``, or how it ended before."""
    done, planned = entry.run.calls_done, entry.run.plan.calls
    outcome = entry.run.outcome
    if outcome.ending is Ending.OK:
        return tr(_DONE[entry.run.plan.work], done=done)
    ending = tr(outcome.ending)
    if planned:
        return tr(
            "{ending} after {done:d} of {planned:d}", ending=ending, done=done, planned=planned
        )
    return tr(_ENDED_AFTER[entry.run.plan.work], ending=ending, done=done)


REMEDY_HEADINGS = (mark("fix"), mark("saving"), mark("overhead"), mark("results"))


class RemedyRow(NamedTuple):
    """What a variant saves against the reference and what it costs, in words."""

    variant: str
    saves: str
    costs: str
    results: str


def remedies(report: Report) -> tuple[RemedyRow, ...]:
    """One a variant other than the reference, where both can be compared."""
    if not report.entries or report.entries[0].variant != report.entries[0].run.plan.reference:
        return ()
    read, work, series = report.entries[0].verdict.trends, work_of(report), report.saved_series
    return tuple(
        RemedyRow(
            entry.variant,
            _saving(read.get(series), entry.verdict.trends.get(series), work) + _elsewhere(entry),
            _price(entry.cost),
            difference_cell(entry),
        )
        for entry in report.entries[1:]
    )


def _saving(base: Trend | None, trend: Trend | None, work: Work) -> str:
    if base is None or trend is None or base.rate is None or trend.rate is None:
        return tr("unknown: too few calls")
    assert base.rate_low is not None and base.rate_high is not None
    assert trend.rate_low is not None and trend.rate_high is not None
    if base.rate_high <= base.tolerance and trend.rate_high <= trend.tolerance:
        return tr("none: the reference does not grow either")
    if trend.rate_high < base.rate_low:
        saved = base.rate - trend.rate
        share = f"{tr(', ')}{100 * saved / base.rate:.0f} %" if base.rate > 0 else ""
        amount = format_rate(saved, base.unit, work)
        return tr(
            "{saved} of {title}{share}", saved=amount, title=short_title(base.series), share=share
        )
    if trend.rate_low > base.rate_high:
        return tr(
            "none: {rate} more than the reference",
            rate=format_rate(trend.rate - base.rate, base.unit, work),
        )
    return tr("no significant difference from the reference")


def _elsewhere(entry: JudgedRun) -> str:
    """What grows all the same, beside the live heap."""
    grows = [
        str(short_title(trend.series))
        for trend in entry.verdict.trends.values()
        if trend.status is Status.LEAK and trend.series not in (LIVE_HEAP, RSS, ANONYMOUS)
    ]
    return tr("; {grows} grow", grows=tr(", ").join(grows)) if grows else ""


def _price(cost: Cost | None) -> str:
    if cost is None or cost.ratio is None:
        return NOTHING
    return tr("{ratio:.3g} × the time of the reference", ratio=cost.ratio)
