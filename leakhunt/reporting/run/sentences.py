"""The words of a verdict, made from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.amounts import format_amount, format_rate, format_seconds
from leakhunt.model.plan import Work
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Forecast, Trend
from leakhunt.text.language import mark, tr

_TITLES = {
    "live_heap": mark("live heap"),
    "rss": "RSS",
    "python_blocks": mark("Python blocks"),
    "cuda_allocated": mark("CUDA allocated"),
    "cuda_reserved": mark("CUDA reserved"),
    "anonymous": mark("anonymous memory"),
    "cuda_process": mark("GPU memory"),
}


_AHEAD = {
    Work.CALL: mark("about {calls:,} calls ({calls_soonest:,} to {latest}){pace}"),
    Work.REQUEST: mark("about {calls:,} requests ({calls_soonest:,} to {latest}){pace}"),
}
_IN_ITS = {
    Work.CALL: mark("{told} In its {calls_done} calls RSS went from {first} to {last}."),
    Work.REQUEST: mark("{told} In its {calls_done} requests RSS went from {first} to {last}."),
}


def told_all(trends: Sequence[Trend], work: Work) -> str:
    """The growth of each, in one line."""
    return tr("; ").join(told_growth(trend, work) for trend in trends)


def told_growth(trend: Trend, work: Work) -> str:
    """``live heap grows by 4.00 KiB/call (between 3.98 KiB and 4.02 KiB), linear``."""
    assert trend.rate is not None and trend.rate_low is not None and trend.rate_high is not None
    told = {
        True: mark("{title} grow by {rate} (between {low} and {high}), {shape}"),
        False: mark("{title} grows by {rate} (between {low} and {high}), {shape}"),
    }
    return tr(
        told[_TITLES.get(trend.series, trend.series).endswith("s")],
        title=title(trend),
        rate=format_rate(trend.rate, trend.unit, work),
        low=format_amount(trend.rate_low, trend.unit),
        high=format_amount(trend.rate_high, trend.unit),
        shape=tr(trend.shape),
    )


def told_once(trends: Sequence[Trend]) -> str:
    """Each reason once, after the series it holds for; all series need no list."""
    reasons: dict[str, list[str]] = {}
    for trend in trends:
        reasons.setdefault(trend.reason, []).append(title(trend))
    if len(reasons) == 1 and len(trends) > 1:
        return trends[0].reason
    return tr("; ").join(
        tr("{kind}: {told}", kind=tr(", ").join(titles), told=reason)
        for reason, titles in reasons.items()
    )


def told_bound(trend: Trend, work: Work) -> str:
    """``live heap at most 12 B/call (would have seen 256 B/call with 95 %)``.

    The reason instead, where it is clean for another one than its bound: blocks are, by their
    bytes.
    """
    if trend.upper_bound is None or trend.upper_bound > trend.tolerance:
        return tr("{kind}: {told}", kind=title(trend), told=trend.reason)
    told = tr(
        "{title} at most {upper_bound}",
        title=title(trend),
        upper_bound=format_rate(trend.upper_bound, trend.unit, work),
    )
    if trend.detectable is None:
        return told
    return tr(
        "{told} (would have seen {detectable} with 95 %)",
        told=told,
        detectable=format_rate(trend.detectable, trend.unit, work),
    )


def reached(ahead: Forecast, work: Work) -> str:
    """``At this rate the memory limit (2 GiB) is reached in about 500 calls (480 to 530)``."""
    return tr(
        "At this rate {limit} ({room}) is reached in {calls_ahead}",
        limit=tr(ahead.limit),
        room=format_amount(ahead.limit_bytes, Unit.BYTES),
        calls_ahead=calls_ahead(ahead, work),
    )


def calls_ahead(ahead: Forecast, work: Work) -> str:
    """``about 500 calls (480 to 530), 25 s at this pace``."""
    latest = tr("never") if ahead.calls_latest is None else f"{ahead.calls_latest:,}"
    pace = (
        ""
        if ahead.seconds is None
        else tr(", {seconds} at this pace", seconds=format_seconds(ahead.seconds))
    )
    return tr(
        _AHEAD[work],
        calls=ahead.calls,
        calls_soonest=ahead.calls_soonest,
        latest=latest,
        pace=pace,
    )


def with_ending(sentence: str, run: Run) -> str:
    """`sentence`, and how the run ended if that was early."""
    outcome = run.outcome
    if outcome.ending is Ending.OK:
        return sentence
    told = tr(
        "{sentence} It ended early ({ending}): {reason}.",
        sentence=sentence,
        ending=tr(outcome.ending),
        reason=outcome.reason,
    )
    rss = run.samples.get("rss")
    if not rss:
        return told
    first, last = format_amount(rss[0], Unit.BYTES), format_amount(rss[-1], Unit.BYTES)
    return tr(
        _IN_ITS[run.plan.work],
        told=told,
        calls_done=run.calls_done,
        first=first,
        last=last,
    )


def title(trend: Trend) -> str:
    """The series as people call it."""
    return tr(_TITLES.get(trend.series, trend.series))


def capitalized(text: str) -> str:
    """`text` with a capital first letter and the others as they are."""
    return text[0].upper() + text[1:]
