"""A pair of variants in one statement. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.comparison.metrics import READ_BY_ONE
from leakhunt.model.comparison import RSS_TOTAL, TIME, Conclusion, Fate, Metric, Mismatch, Pair
from leakhunt.model.plan import Work
from leakhunt.model.report import Difference
from leakhunt.model.run import Ending
from leakhunt.model.series import LIVE_HEAP, PEAK_RSS, RSS, SeriesRole, judged_series, live_bytes
from leakhunt.text.message import Message, Text, joined, message

_DIFFERS = (Conclusion.INCREASE, Conclusion.DECREASE)
# Where nothing differs, so many figures say what would have been seen.
_MAX_LIMITS = 2


def statement(pair: Pair, despite: bool) -> Text:
    """What became of memory, time and results, from `pair` without its sentence."""
    by_name = {line.name: line for line in pair.lines}
    refusing = [each for each in pair.refusing if each.matter.refuses_memory]
    if refusing and not despite:
        found = message(
            "comparison.refused",
            "{name}: not comparable, the runs differ in: {facts}",
            name=pair.name,
            facts=joined(map(difference_of, refusing), "; ", ""),
        )
        return joined([found, *_endings(pair)])
    parts = joined(_parts(pair, by_name), "; ", "")
    if despite and pair.refusing:
        found = message(
            "comparison.despite-differences",
            "{name} (despite differences): {parts}",
            name=pair.name,
            parts=parts,
        )
    else:
        found = message("comparison.pair", "{name}: {parts}", name=pair.name, parts=parts)
    return joined([found, *_endings(pair)])


def difference_of(mismatch: Mismatch) -> Message:
    """``threads 2 against 4``."""
    return message(
        "comparison.fact-differs",
        "{fact}: {before} and {after}",
        fact=mismatch.title,
        before=mismatch.before,
        after=mismatch.after,
    )


def quantity(line: Metric, amount: float, work: Work) -> Amount | Rate:
    """An amount of this line with its unit, per call or request; not for ``time``."""
    return Amount(amount) if line.name in (RSS_TOTAL, PEAK_RSS) else Rate(amount, line.unit, work)


def _parts(pair: Pair, by_name: Mapping[str, Metric]) -> Iterator[Text]:
    yield from _memory(pair, by_name)
    time = by_name.get(TIME)
    if time is not None and time.difference is not None:
        yield _time(time)
    if pair.results is not None:
        yield _results(pair.results)
    yield from _suspects(pair)


def _memory(pair: Pair, by_name: Mapping[str, Metric]) -> Iterator[Text]:
    shown = {name: line for name, line in by_name.items() if line.conclusion in _DIFFERS}
    # What is live says more than what is retained: RSS speaks where nothing live does.
    names = (*(facts.name for facts in live_bytes()), *judged_series(SeriesRole.RESOURCE))
    live = [shown[name] for name in names if name in shown]
    # Beside what is live, what is retained is worth a word for the whole run only.
    names = () if live else judged_series(SeriesRole.RETAINED)
    retained = [shown[name] for name in (*names, RSS_TOTAL) if name in shown]
    if live:
        yield _grows(pair, live)
    if retained:
        yield _grows(pair, retained)
    if not live and not retained:
        yield _no_difference(by_name, pair.work)
    heap = by_name.get(LIVE_HEAP)
    if heap is not None and heap.reason == READ_BY_ONE:
        yield message(
            "comparison.heap-read-by-one", "{title}: {reason}", title=heap.title, reason=heap.reason
        )


def _grows(pair: Pair, lines: Sequence[Metric]) -> Message:
    return message(
        "comparison.grows",
        "growth in {label}, {amounts}",
        label=pair.after_label,
        amounts=_amounts(lines, pair.before_label, pair.work),
    )


def _amounts(lines: Sequence[Metric], baseline: str, work: Work) -> Text:
    """By how much these differ; the first says from what."""
    first, *others = lines
    return joined(
        [_than(first, baseline, work), *(_amount(line, work) for line in others)], " and ", ""
    )


def _than(line: Metric, baseline: str, work: Work) -> Message:
    if line.conclusion is Conclusion.INCREASE:
        return message(
            "comparison.more-than",
            "{title}: {size} more than {before_label} (99 %: {low} to {high})",
            before_label=baseline,
            **_figures(line, work),
        )
    return message(
        "comparison.less-than",
        "{title}: {size} less than {before_label} (99 %: {low} to {high})",
        before_label=baseline,
        **_figures(line, work),
    )


def _amount(line: Metric, work: Work) -> Message:
    if line.conclusion is Conclusion.INCREASE:
        return message(
            "comparison.more",
            "{title}: {size} more (99 %: {low} to {high})",
            **_figures(line, work),
        )
    return message(
        "comparison.less", "{title}: {size} less (99 %: {low} to {high})", **_figures(line, work)
    )


def _figures(line: Metric, work: Work) -> dict[str, object]:
    """The values of a statement on one difference, without signs."""
    assert line.difference is not None
    low, high = sorted(abs(end) for end in (line.difference.low, line.difference.high))
    return {
        "size": quantity(line, abs(line.difference.estimate), work),
        "title": line.title,
        "low": quantity(line, low, work),
        "high": quantity(line, high, work),
    }


def _no_difference(by_name: Mapping[str, Metric], work: Work) -> Message:
    found = [
        by_name[name]
        for name in (*(facts.name for facts in live_bytes()), RSS)
        if name in by_name and by_name[name].conclusion is Conclusion.NO_DIFFERENCE
    ]
    if found:
        limits = (
            message(
                "comparison.detection-limit",
                "{amount} of {title}",
                amount=quantity(line, line.would_show or 0.0, work),
                title=line.title,
            )
            for line in found[:_MAX_LIMITS]
        )
        return message(
            "comparison.no-difference-in-memory",
            "no significant difference in memory (detection limit {limits})",
            limits=joined(limits, " and ", ""),
        )
    reason = next((line.reason for line in by_name.values() if line.reason), None)
    if reason is None:
        return message("comparison.unknown-in-memory", "memory: inconclusive")
    return message(
        "comparison.unknown-in-memory-because",
        "memory: inconclusive, {reason}",
        reason=reason,
    )


def _time(line: Metric) -> Message:
    ratio = line.difference
    assert ratio is not None
    if line.conclusion is Conclusion.NOT_COMPARABLE:
        return message(
            "comparison.refused-on-time",
            "time not comparable, the runs differ in: {reason}",
            reason=line.reason,
        )
    times = message(
        "comparison.times",
        "{estimate:.3g} × the time (99 %: {low:.3g} to {high:.3g})",
        estimate=ratio.estimate,
        low=ratio.low,
        high=ratio.high,
    )
    if line.conclusion is Conclusion.NO_DIFFERENCE:
        return message(
            "comparison.no-difference-in-time",
            "no significant difference in time: {times}",
            times=times,
        )
    return times


def _results(results: Difference) -> Message:
    if results.differing:
        return message(
            "results.differ",
            "{differing:,} of {compared:,} results differ",
            differing=results.differing,
            compared=results.compared,
        )
    return message(
        "results.same", "all {compared:,} results are identical", compared=results.compared
    )


def _suspects(pair: Pair) -> Iterator[Message]:
    """How many are new, gone and still there, where both sides were hunted."""
    fates = Counter(change.fate for change in pair.suspects)
    counts = tuple(
        message("comparison.fate", "{count} {fate}", count=fates[fate], fate=fate)
        for fate in (Fate.NEW, Fate.GONE, Fate.STILL)
        if fates[fate]
    )
    if counts:
        yield message("comparison.suspects", "suspects: {counts}", counts=counts)


def _endings(pair: Pair) -> Iterator[Message]:
    """The runs that did not end by themselves."""
    for label, entries in ((pair.before_label, pair.before), (pair.after_label, pair.after)):
        for entry in entries:
            if entry.run.outcome.ending is not Ending.OK:
                yield message(
                    "comparison.ended",
                    "{label} was {ending} after {calls_done:,} calls",
                    label=label,
                    ending=entry.run.outcome.ending,
                    calls_done=entry.run.calls_done,
                )
