"""A pair of variants in one sentence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from leakhunt.model.comparison import RSS_TOTAL, TIME, Conclusion, Fate, Metric, Mismatch, Pair
from leakhunt.model.report import Difference, JudgedRun
from leakhunt.model.run import Ending
from leakhunt.model.series import RSS, SeriesRole, judged_series, live_bytes
from leakhunt.text.language import tr

_TOLD = (Conclusion.MORE, Conclusion.LESS)


def sentence(pair: Pair, despite: bool) -> str:
    """What became of memory, time and results, from `pair` without its sentence."""
    by_name = {line.name: line for line in pair.lines}
    memory = list(_memory(pair, by_name))
    refusing = [each for each in pair.refusing if each.matter.refuses_memory]
    if refusing and not despite:
        facts = tr("; ").join(map(against, refusing))
        return tr(
            "{name}: no conclusion, these are not the same: {facts}.{endings}",
            name=pair.name,
            facts=facts,
            endings=_endings(pair),
        )
    parts = [*memory, _time(by_name.get(TIME)), _results(pair.results), _suspects(pair)]
    told = tr("; ").join(part for part in parts if part)
    lead = tr(" (despite differences)") if despite and pair.refusing else ""
    return tr(
        "{name}{lead}: {told}.{endings}",
        name=pair.name,
        lead=lead,
        told=told,
        endings=_endings(pair),
    )


def _memory(pair: Pair, by_name: dict[str, Metric]) -> Iterator[str]:
    leaking = any(entry.verdict.kind.is_leak for entry in (*pair.before, *pair.after))
    shown = {name: line for name, line in by_name.items() if line.conclusion in _TOLD}
    live = [shown[name] for name in _live_series() if name in shown]
    # Beside what is live, what is kept is worth a word for the whole run only.
    held = () if live else judged_series(SeriesRole.KEPT)
    kept = [shown[name] for name in (*held, RSS_TOTAL) if name in shown]
    for verb, lines in ((tr("leaks") if leaking else tr("grows by"), live), (tr("grows by"), kept)):
        if lines:
            than = [tr(" than {before_label}", before_label=pair.before_label)] + [""] * (
                len(lines) - 1
            )
            amounts = tr(" and ").join(map(_amount, lines, than))
            yield tr("{label} {verb} {amounts}", label=pair.after_label, verb=verb, amounts=amounts)
    if not live and not kept:
        yield _nothing_shows(by_name)


def _live_bytes() -> list[str]:
    """Live memory, what is read at every sample first."""
    return [facts.name for facts in sorted(live_bytes(), key=lambda facts: not facts.is_sampled)]


def _live_series() -> tuple[str, ...]:
    """What is live says more than what is held: RSS speaks where nothing live does."""
    return (*_live_bytes(), *judged_series(SeriesRole.RESOURCE))


def _amount(line: Metric, than: str) -> str:
    """``58.4 KiB/call less of live heap than A (99 % between ... and ...)``."""
    assert line.difference is not None
    ends = (line.difference.low, line.difference.high)
    low, high = sorted(abs(end) for end in ends)
    size = line.told(abs(line.difference.estimate))
    between = tr("99 % between {low} and {high}", low=line.told(low), high=line.told(high))
    word = tr("more") if line.conclusion is Conclusion.MORE else tr("less")
    return tr(
        "{size} {word} of {title}{than} ({between})",
        size=size,
        word=word,
        title=line.title,
        than=than,
        between=between,
    )


def _nothing_shows(by_name: dict[str, Metric]) -> str:
    seen = [
        by_name[name]
        for name in (*_live_bytes(), RSS)
        if name in by_name and by_name[name].conclusion is Conclusion.NO_DIFFERENCE
    ]
    if not seen:
        reasons = dict.fromkeys(line.reason for line in by_name.values() if line.reason)
        why = tr(": {reason}", reason=next(iter(reasons))) if reasons else ""
        return tr("no difference in memory can be told{why}", why=why)
    told = tr(" and ").join(
        tr("{amount} of {title}", amount=line.told(line.would_show or 0.0), title=line.title)
        for line in seen[:2]
    )
    return tr("no difference in memory that shows (would have seen {told})", told=told)


def _time(line: Metric | None) -> str:
    if line is None or line.difference is None:
        return ""
    if line.conclusion is Conclusion.REFUSED:
        return tr("no conclusion on time, these are not the same: {reason}", reason=line.reason)
    ratio = line.difference
    told = tr(
        "{estimate:.3g} × the time (99 % between {low:.3g} and {high:.3g})",
        estimate=ratio.estimate,
        low=ratio.low,
        high=ratio.high,
    )
    if line.conclusion is Conclusion.NO_DIFFERENCE:
        return tr("no difference in time that shows: {told}", told=told)
    return told


def _results(results: Difference | None) -> str:
    if results is None:
        return ""
    if results.differing:
        return tr(
            "{differing:,} of {compared:,} results differ",
            differing=results.differing,
            compared=results.compared,
        )
    return tr("all {compared:,} results are the same", compared=results.compared)


def _suspects(pair: Pair) -> str:
    """How many are new, gone and still there, where both sides were hunted."""
    fates = Counter(change.fate for change in pair.suspects)
    told = [
        f"{fates[fate]} {tr(fate)}" for fate in (Fate.NEW, Fate.GONE, Fate.STILL) if fates[fate]
    ]
    return tr("suspects: {told}", told=tr(", ").join(told)) if told else ""


def against(mismatch: Mismatch) -> str:
    """``threads 2 against 4``."""
    fact, before, after = mismatch.told()
    return tr("{fact} {before} against {after}", fact=fact, before=before, after=after)


def _endings(pair: Pair) -> str:
    """A word about runs that did not end by themselves."""
    sides = ((pair.before_label, pair.before), (pair.after_label, pair.after))
    told = [word for label, entries in sides for word in _ended(label, entries)]
    return "".join(tr(" {sentence}.", sentence=word) for word in told)


def _ended(label: str, entries: Sequence[JudgedRun]) -> Iterator[str]:
    for entry in entries:
        if entry.run.outcome.ending is not Ending.OK:
            yield tr(
                "{label} was {ending} after {calls_done:,} calls",
                label=label,
                ending=tr(entry.run.outcome.ending),
                calls_done=entry.run.calls_done,
            )
