"""The cells and phrases that every format of a comparison shares."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.amounts import format_bytes, format_interval, format_rate, format_seconds
from leakhunt.model.comparison import (
    RSS_TOTAL,
    TIME,
    Comparison,
    Conclusion,
    Fate,
    Metric,
    Pair,
    SuspectChange,
    VerdictCount,
)
from leakhunt.model.plan import Work
from leakhunt.model.series import PEAK_RSS, Unit
from leakhunt.text.language import mark, ntr, tr
from leakhunt.text.number import three_digits

NOTHING = "–"
# A word always, a sign beside it: never told by colour alone.
SIGNS = {
    Conclusion.INCREASE: "▲",
    Conclusion.DECREASE: "▼",
    Conclusion.NO_DIFFERENCE: "=",
    Conclusion.INCONCLUSIVE: "?",
    Conclusion.NOT_COMPARABLE: "×",
}
_WORDS = {
    Conclusion.INCREASE: mark("grows more"),
    Conclusion.DECREASE: mark("grows less"),
    Conclusion.NO_DIFFERENCE: mark("not significant"),
    Conclusion.INCONCLUSIVE: mark("inconclusive"),
    Conclusion.NOT_COMPARABLE: mark("not comparable"),
}
_TIME_WORDS = {
    Conclusion.INCREASE: mark("takes longer"),
    Conclusion.DECREASE: mark("takes less time"),
}
# Less is rounded to nothing, not to less than nothing.
_MIN_BYTES = 0.05
_PER = {
    Work.CALL: mark("{title} per call"),
    Work.REQUEST: mark("{title} per request"),
    Work.SECOND: mark("{title} per second"),
}
_SHORT_PER = {
    Work.CALL: mark("{title}/call"),
    Work.REQUEST: mark("{title}/request"),
    Work.SECOND: mark("{title}/s"),
}
SUSPECT_HEADINGS = (mark("suspect"), "", mark("before"), mark("after"), mark("fingerprint"))
HOW_IT_IS_READ = mark(
    "Differences: after minus before, per call, over the measured calls of both. 99 %"
    " confidence intervals, each by itself. Detection limit: a difference of this size is found"
    " in 95 of 100 comparisons."
)


def title(comparison: Comparison) -> str:
    """``before against after, more``: the labels of the sides."""
    first, *others = (side.label for side in comparison.sides)
    return tr("{first} against {others}", first=first, others=tr(", ").join(others))


def pair_title(pair: Pair) -> str:
    """``naive: before -> after``."""
    return f"{pair.name}: {pair.before_label} → {pair.after_label}"


def sign(pair: Pair, despite: bool) -> str:
    """One sign for a pair: that of its first figure about memory that differs, or of the first."""
    if pair.refusing and not despite and any(e.matter.refuses_memory for e in pair.refusing):
        return SIGNS[Conclusion.NOT_COMPARABLE]
    found = [line.conclusion for line in pair.lines if line.name != TIME]
    differs = [each for each in found if each in (Conclusion.INCREASE, Conclusion.DECREASE)]
    return SIGNS[next(iter([*differs, *found]), Conclusion.INCONCLUSIVE)]


def headings(pair: Pair) -> tuple[str, ...]:
    """The columns of a pair's table."""
    return (
        tr("figure"),
        pair.before_label,
        pair.after_label,
        tr("difference [99 %]"),
        tr("conclusion"),
    )


def rows(pair: Pair) -> list[tuple[str, ...]]:
    """One row a figure, under `headings`; then the verdicts and the results."""
    cells: list[tuple[str, ...]] = [
        (line_title(line, pair.work), *amounts(line), difference_cell(line), conclusion_cell(line))
        for line in pair.lines
    ]
    verdicts = [verdict_cell(each) for each in pair.verdicts]
    same = tr("the same") if verdicts[0] == verdicts[1] else tr("another")
    cells.append((tr("verdict"), *verdicts, NOTHING, same))
    cells.append((tr("results"), NOTHING, NOTHING, NOTHING, results_cell(pair)))
    return cells


def verdict_cell(verdicts: Sequence[VerdictCount]) -> str:
    """The classes of the runs of a side; of several with how many have each."""
    if len(verdicts) == 1:
        return tr(verdicts[0].kind)
    runs = sum(each.runs for each in verdicts)
    return tr(", ").join(
        tr("{kind} ({count} of {entries})", kind=tr(each.kind), count=each.runs, entries=runs)
        for each in verdicts
    )


def line_title(line: Metric, work: Work) -> str:
    """``live heap per call``, of a soak ``live heap per request``."""
    if line.name in (TIME, RSS_TOTAL, PEAK_RSS):
        return str(line.title)
    return tr(_PER[work], title=line.title)


def short_line_title(line: Metric, work: Work) -> str:
    """``live heap/call``, for narrow places."""
    if line.name in (TIME, RSS_TOTAL, PEAK_RSS):
        return str(line.title)
    return tr(_SHORT_PER[work], title=line.title)


def amounts(line: Metric) -> tuple[str, str]:
    """The figure on both sides."""
    return _amount(line, line.before), _amount(line, line.after)


def _amount(line: Metric, value: float | None) -> str:
    if value is None:
        return NOTHING
    if line.name == TIME:
        return format_seconds(value)
    if line.unit is Unit.BYTES and abs(value) < _MIN_BYTES:
        value = 0.0
    return format_bytes(value) if line.unit is Unit.BYTES else three_digits(value)


def difference_cell(line: Metric) -> str:
    """``-58.4 [-58.5, -58.3] KiB``, or a ratio."""
    if line.difference is None:
        return NOTHING
    interval = (line.difference.estimate, line.difference.low, line.difference.high)
    if line.name == TIME:
        estimate, low, high = map(three_digits, interval)
        return f"{estimate} × [{low}, {high}]"
    estimate, low, high = (_signed(line, each) for each in interval)
    return format_interval(estimate, low, high)


def short_difference_cell(line: Metric) -> str:
    """``-58.4 KiB ± 0.1 KiB``, or a ratio with its interval; for narrow places."""
    if line.difference is None or line.name == TIME:
        return difference_cell(line)
    half = (line.difference.high - line.difference.low) / 2
    return f"{_signed(line, line.difference.estimate)} ± {_amount(line, half)}"


def _signed(line: Metric, value: float) -> str:
    amount = _amount(line, value)
    return f"+{amount}" if value > 0 and amount not in ("0", "0 B") else amount


def short_conclusion_cell(line: Metric) -> str:
    """``▼ grows less``; where nothing shows, what would have."""
    conclusion = _conclusion(line)
    if line.conclusion is Conclusion.NO_DIFFERENCE:
        return tr(
            "{told} (detection limit {limit})",
            told=conclusion,
            limit=detection_limit_cell(line),
        )
    return conclusion


def _conclusion(line: Metric) -> str:
    words = _WORDS | _TIME_WORDS if line.name == TIME else _WORDS
    return f"{SIGNS[line.conclusion]} {tr(words[line.conclusion])}"


def detection_limit_cell(line: Metric) -> str:
    """The difference that would have been seen."""
    if line.would_show is None:
        return NOTHING
    return (
        f"{three_digits(line.would_show)} ×"
        if line.name == TIME
        else _amount(line, line.would_show)
    )


def conclusion_cell(line: Metric) -> str:
    """``▼ grows less``, with what would have been seen or why nothing can be told."""
    conclusion = _conclusion(line)
    if line.conclusion is Conclusion.NO_DIFFERENCE:
        return tr(
            "{told}; detection limit {limit} (95 % power)",
            told=conclusion,
            limit=detection_limit_cell(line),
        )
    return (
        tr("{kind}: {told}", kind=conclusion, told=line.reason)
        if line.conclusion is Conclusion.INCONCLUSIVE
        else conclusion
    )


def results_cell(pair: Pair) -> str:
    """Whether the calls returned the same."""
    if pair.results is None:
        refused = any(mismatch.matter.refuses_memory for mismatch in pair.refusing)
        return tr("not compared") if refused else tr("not in the summary")
    if not pair.results.differing:
        return tr("identical in {compared:,} calls", compared=pair.results.compared)
    text = tr(
        "differ in {differing:,} of {compared:,} calls",
        differing=pair.results.differing,
        compared=pair.results.compared,
    )
    results = pair.results
    if results.worst is None or results.total is None or not results.reference_total:
        return text
    share = 100 * results.total / results.reference_total
    return tr(
        "{told}, by at most {worst}, {share:.2g} % of the total",
        told=text,
        worst=format_seconds(results.worst / 1000.0),
        share=share,
    )


def basis(pair: Pair) -> str:
    """How many runs there are on each side, and what the intervals of memory rest on."""
    counts = tr(" and ").join(
        ntr("{n} run of {label}", "{n} runs of {label}", len(entries), label=label)
        for label, entries in (
            (pair.before_label, pair.before),
            (pair.after_label, pair.after),
        )
    )
    about: dict[str, list[str]] = {}
    for line in pair.lines:
        if line.difference is not None and line.conclusion is not Conclusion.NOT_COMPARABLE:
            about.setdefault(str(line.reason), []).append(str(line.title))
    reasons = tr("; ").join(
        tr("{kind}: {told}", kind=tr(", ").join(titles), told=reason)
        for reason, titles in about.items()
    )
    if not reasons:
        return counts + tr(".")
    return tr("{counts}. {told}", counts=counts, told=reasons[:1].upper() + reasons[1:])


def suspect_row(change: SuspectChange, work: Work) -> tuple[str, ...]:
    """A suspect under `SUSPECT_HEADINGS`."""
    return (
        str(change.suspect.title),
        tr(change.fate),
        _retained(change.before, work),
        _retained(change.after, work),
        change.suspect.fingerprint,
    )


def _retained(amount: float | None, work: Work) -> str:
    return NOTHING if amount is None else format_rate(amount, Unit.BYTES, work)


def not_hunted(pair: Pair) -> str:
    """Which side nobody hunted, where the other was; else nothing."""
    if all(change.fate is not Fate.UNKNOWN for change in pair.suspects):
        return ""
    sides = ((pair.before_label, pair.before), (pair.after_label, pair.after))
    for label, entries in sides:
        if not any(entry.attribution is not None for entry in entries):
            return tr(
                "{label} has no suspects to compare: run 'leakhunt hunt' on it.",
                label=label,
            )
    return ""
