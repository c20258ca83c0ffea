"""What a report means for a service: whether it leaks, what limit it needs, what helps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from leakhunt.amounts import Amount, Rate
from leakhunt.model.kinds import Kind
from leakhunt.model.report import Difference, JudgedRun, Report
from leakhunt.model.series import DURATION, RSS, short_title
from leakhunt.model.verdict import KillForecast, Outlook, Status
from leakhunt.text.message import Message, Text, joined, mentions, message, sentences

# A variant that saves nothing is named from this ratio to the time of the reference on.
_COSTLY_RATIO = 1.5
# More names than these are a number.
_NAMED = 3
# Runs that overlap by more than this part of the shorter one ran side by side.
_TOGETHER = 0.2
_ON_TIME = ("conclusion.times", "conclusion.costs")
_NANOSECONDS = 1e9
_ENDS = (Outlook.KILLED, Outlook.EXCEEDED, Outlook.AT_PACE, Outlook.SLOWING)


def conclusion(report: Report) -> tuple[Text, ...]:
    """Up to three sentences on several variants; of one alone its verdict says it all."""
    if len({entry.variant for entry in report.entries}) < 2:
        return ()
    found = (_leaks(report.entries), _limit(report.entries), _help(report))
    return tuple(each for each in found if each is not None)


def _leaks(entries: Sequence[JudgedRun]) -> Text | None:
    """Which variants leak, which fill a cache, which do not grow, and which are open."""
    leaking = [entry for entry in entries if entry.verdict.status is Status.LEAK]
    clean = [entry for entry in entries if entry.verdict.status is Status.NO_LEAK]
    filling = [entry for entry in clean if entry.verdict.kind == Kind.BOUNDED_CACHE]
    level = [entry for entry in clean if entry not in filling]
    unclear = [entry for entry in entries if entry.verdict.status is Status.INCONCLUSIVE]
    parts: list[Text] = []
    if leaking:
        parts.append(message("conclusion.leak", "leak: {names}", names=_names(leaking)))
    if filling:
        parts.append(_bounded(filling))
    if level:
        parts.append(message("conclusion.no-leak", "no leak: {names}", names=_names(level)))
    if unclear:
        parts.append(message("conclusion.open", "inconclusive: {names}", names=_names(unclear)))
    return sentences([joined(parts, "; ", "")])


def _bounded(filling: Sequence[JudgedRun]) -> Message:
    limits = [entry.recommended_limit for entry in filling]
    sizes = [limit.ceiling_bytes for limit in limits if limit is not None]
    if not sizes:
        return message(
            "conclusion.bounded", "no leak, but a bounded cache: {names}", names=_names(filling)
        )
    return message(
        "conclusion.bounded-at",
        "no leak, but a bounded cache of about {size}: {names}",
        size=Amount(max(sizes)),
        names=_names(filling),
    )


def _limit(entries: Sequence[JudgedRun]) -> Text | None:
    """Which variant is killed first; where none is, the memory limit that they need."""
    ending = [entry for entry in entries if _ends(entry.verdict.forecast)]
    if ending:
        first = min(ending, key=_calls_left)
        assert first.verdict.forecast is not None
        named = message(
            "conclusion.killed", "first to reach its limit: {variant}", variant=first.variant
        )
        return sentences([named, first.verdict.forecast.sentence])
    sizes = [
        entry.recommended_limit.limit_bytes
        for entry in entries
        if entry.recommended_limit is not None and entry.recommended_limit.limit_bytes is not None
    ]
    if not sizes:
        return None
    low, high = Amount(min(sizes)), Amount(max(sizes))
    needed: Text = message("conclusion.limit", "recommended memory limit: {size}", size=high)
    if str(low) != str(high):
        needed = message(
            "conclusion.limits",
            "recommended memory limit: {low} to {high}, by variant",
            low=low,
            high=high,
        )
    rising = [entry for entry in entries if _still_rises(entry)]
    if rising:
        grows = message(
            "conclusion.still-rises",
            "{series} still rises, so that long runs may need more: {names}",
            series=short_title(RSS),
            names=_names(rising),
        )
        needed = joined([needed, grows], "; ", "")
    return sentences([needed])


def _ends(forecast: KillForecast | None) -> bool:
    return forecast is not None and forecast.outlook in _ENDS and forecast.calls is not None


def _calls_left(entry: JudgedRun) -> int:
    """Calls until the limit; those that are over it come first."""
    forecast = entry.verdict.forecast
    assert forecast is not None and forecast.calls is not None
    over = forecast.outlook in (Outlook.KILLED, Outlook.EXCEEDED)
    return 0 if over else forecast.calls


def _still_rises(entry: JudgedRun) -> bool:
    limit = entry.recommended_limit
    return limit is not None and mentions(limit.sentence, "limit.still_grows")


def _help(report: Report) -> Text | None:
    """Which variant saves the most against the reference, and which only cost."""
    reference = report.entries[0]
    if reference.variant != reference.run.plan.reference:
        return None
    base = reference.verdict.trends.get(report.saved_series)
    if base is None or base.rate_low is None or base.rate_low <= base.tolerance:
        return None
    saved = [(report.saved(entry), entry) for entry in report.entries[1:]]
    saving = [(each.estimate, entry) for each, entry in saved if each is not None and each.low > 0]
    parts: list[Text] = []
    for same in (True, False):
        best = max((each for each in saving if _is_same(each[1]) == same), default=None, key=_first)
        if best is not None:
            parts.append(_saves(*best, report))
            break
    else:
        parts.append(
            message(
                "conclusion.no-help",
                "no variant grows by less than {reference}",
                reference=reference.variant,
            )
        )
    savers = [entry for _, entry in saving]
    costly = [entry for entry in report.entries[1:] if entry not in savers and _is_costly(entry)]
    if costly:
        parts.append(
            message(
                "conclusion.saves-nothing",
                "saves nothing: {names}",
                names=tuple(map(_cost, costly)),
            )
        )
    text = joined(parts, "; ", "")
    if any(mentions(text, each) for each in _ON_TIME) and _were_together(report.entries):
        beside = message("conclusion.times-together", "times are rough: variants ran side by side")
        text = joined([text, beside], "; ", "")
    return sentences([text])


def _were_together(entries: Sequence[JudgedRun]) -> bool:
    """Whether runs overlapped in time by more than a starting and an ending do."""
    spans = sorted(span for entry in entries if (span := _span(entry)) is not None)
    return any(
        min(one[1], other[1]) - other[0] > _TOGETHER * min(one[1] - one[0], other[1] - other[0])
        for one, other in pairwise(spans)
    )


def _span(entry: JudgedRun) -> tuple[float, float] | None:
    """When a run began and, at the earliest, its calls were done; in seconds."""
    start = entry.run.started_seconds
    if start is None:
        return None
    return start, start + sum(entry.run.samples.get(DURATION, ())) / _NANOSECONDS


def _first(pair: tuple[float, JudgedRun]) -> float:
    return pair[0]


def _is_same(entry: JudgedRun) -> bool:
    return entry.difference is not None and not entry.difference.differing


def _is_costly(entry: JudgedRun) -> bool:
    cost = entry.cost
    return cost is not None and cost.ratio is not None and cost.ratio >= _COSTLY_RATIO


def _saves(rate: float, entry: JudgedRun, report: Report) -> Text:
    trend = entry.verdict.trends[report.saved_series]
    parts: list[Text] = [
        message(
            "conclusion.saves",
            "saves most: {variant}, {rate} of {title}",
            variant=entry.variant,
            rate=Rate(rate, trend.unit, entry.run.plan.work),
            title=short_title(trend.series),
        )
    ]
    if entry.cost is not None and entry.cost.ratio is not None:
        parts.append(message("conclusion.times", "{ratio:.2g} × the time", ratio=entry.cost.ratio))
    if entry.difference is not None:
        parts.append(_results(entry.difference))
    return joined(parts, ", ", "")


def _results(difference: Difference) -> Message:
    if not difference.differing:
        return message("conclusion.same-results", "the same results")
    return message(
        "conclusion.other-results",
        "other results in {differing} of {compared} calls",
        differing=difference.differing,
        compared=difference.compared,
    )


def _cost(entry: JudgedRun) -> Message:
    assert entry.cost is not None
    return message(
        "conclusion.costs",
        "{variant} ({ratio:.2g} × the time)",
        variant=entry.variant,
        ratio=entry.cost.ratio,
    )


def _names(entries: Iterable[JudgedRun]) -> tuple[Text, ...]:
    """The variants by name, or how many where they are many."""
    names = tuple(dict.fromkeys(entry.variant for entry in entries))
    if len(names) <= _NAMED:
        return names
    return (message("conclusion.variants", "{count} variants", count=len(names)),)
