"""Measures of what was concluded: results, verdicts, endings, suspects, findings, failures."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import Amount, Rate, Seconds
from leakhunt.analysis.claims.evidence import MeasureContext, exactly, not_measurable
from leakhunt.analysis.verdict.result_diff import difference
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Suspect
from leakhunt.model.claims import ClaimMeasurement
from leakhunt.model.kinds import Kind
from leakhunt.model.report import Difference
from leakhunt.text.message import Text, joined, message, plural_message

# What an instrument counts that is a place in the code, and not what holds or is held.
_PLACES = (FindingKind.SITE, FindingKind.LINE, FindingKind.RESOURCE)
# The instrument that also tells what another one does.
_ANSWERED_BY = {Instrument.OBJGRAPH: Instrument.TRACEMALLOC}


def differing(context: MeasureContext) -> ClaimMeasurement:
    """Share of the calls whose result differs from the reference's.

    Cannot be told where the reference was not run on the same inputs, or the scenario summarizes no
    results.
    """
    found = _difference(context)
    if found is None:
        return _no_results()
    share = found.differing / found.compared
    text = message(
        "claims.differing",
        "{share:.3g} %: {differing:,} of {compared:,} results",
        share=100 * share,
        differing=found.differing,
        compared=found.compared,
    )
    return exactly(share, "share", text)


def worst_difference(context: MeasureContext) -> ClaimMeasurement:
    """Largest difference of one call's result from the reference's, in milliseconds.

    For results that are intervals: time that one of the two counts and the other does not. Cannot
    be told of other results.
    """
    found = _difference(context)
    if found is None:
        return _no_results()
    if found.worst is None:
        return not_measurable(message("claims.no-intervals", "the results are not intervals"), "ms")
    text = message(
        "claims.worst-difference",
        "{worst} in one of {compared:,} results",
        worst=Seconds(found.worst / 1000),
        compared=found.compared,
    )
    return exactly(found.worst, "ms", text)


def _difference(context: MeasureContext) -> Difference | None:
    if not context.check.reference:
        return context.entry.difference
    return difference(context.reference.run, context.run) if context.reference else None


def _no_results() -> ClaimMeasurement:
    return not_measurable(message("claims.no-results", "no results to compare with the reference"))


def verdict(context: MeasureContext) -> ClaimMeasurement:
    """The run's class, and further ones that hold as well, in words.

    Cannot be told where the verdict is inconclusive, unless that is what the check asks for.
    """
    kinds = (context.entry.verdict.kind, *context.entry.verdict.also)
    if kinds[0] is Kind.INCONCLUSIVE and kinds[0] not in context.check.words:
        return not_measurable(message("claims.inconclusive", "the verdict is inconclusive"), "word")
    matching = [str(kind) for kind in kinds if kind in context.check.words]
    text = joined(kinds, " and ", "")
    return ClaimMeasurement(matching[0] if matching else str(kinds[0]), None, None, "word", text)


def ending(context: MeasureContext) -> ClaimMeasurement:
    """How the run ended, in a word. It is always known."""
    outcome = context.run.outcome
    done = context.run.calls_done
    text = plural_message(
        "claims.ending",
        "{ending} after {n} call",
        "{ending} after {n} calls",
        done,
        ending=outcome.ending,
    )
    return ClaimMeasurement(str(outcome.ending), None, None, "word", text)


def calls_done(context: MeasureContext) -> ClaimMeasurement:
    """Calls, or completed requests of a soak, before it ended. A count, always known."""
    done = context.run.calls_done
    text = plural_message("claims.calls", "{n} call", "{n} calls", done)
    if context.is_cut_short:
        text = plural_message(
            "claims.calls-then",
            "{n} call, then {ending}",
            "{n} calls, then {ending}",
            done,
            ending=context.run.outcome.ending,
        )
    return exactly(done, "count", text)


def suspect(context: MeasureContext) -> ClaimMeasurement:
    """Share of the growth that suspects take whose chain, line or cause holds the check's `names`.

    None of them: 0. Cannot be told where nothing was hunted, which is also where nothing grows, or
    where how much grows is not known.
    """
    attribution = context.entry.attribution
    if attribution is None:
        return not_measurable(
            message("claims.no-suspects", "no suspects: no growth, or the run was not a hunt"),
            "share",
        )
    named = [each for each in attribution.suspects if context.check.names in " ".join(_words(each))]
    if not named:
        first = next(iter(attribution.suspects), None)
        return exactly(0.0, "share", _unnamed(context.check.names, first))
    shares = [each.share for each in named if each.share is not None]
    if len(shares) < len(named):
        return not_measurable(
            message("claims.no-shares", "the suspects' share of the growth is unknown"),
            "share",
        )
    rate = sum(each.bytes_per_call or 0.0 for each in named)
    text = message(
        "claims.suspects",
        "{share:.3g} %: {title} ({rate})",
        share=100 * sum(shares),
        title=tuple(each.title for each in named),
        rate=Rate(rate),
    )
    return exactly(sum(shares), "share", text)


def _unnamed(names: str, first: Suspect | None) -> Text:
    if first is None:
        return message("claims.no-such-suspect", "0 %: no suspect names {names}", names=names)
    return message(
        "claims.another-suspect",
        "0 %: no suspect names {names}; the first is {title}",
        names=names,
        title=first.title,
    )


def _words(found: Suspect) -> Iterator[str]:
    """What a suspect is told by: the chain that holds it, its lines, its cause."""
    yield str(found.title)
    yield from found.chain
    yield from map(_line, found.stack)
    yield from (_line(frame) for frame in (found.where, found.holder) if frame is not None)
    if found.cause is not None:
        yield from (found.cause.id, found.cause.title)


def _line(frame: Frame) -> str:
    return f"{frame} {frame.source}"


def largest_finding(context: MeasureContext) -> ClaimMeasurement:
    """Bytes that the check's `instrument` saw alive at its last mark, by the largest of its sites.

    Of those whose stack names the check's `names`; 0 where none does. Cannot be told where the
    variant was not watched by that instrument.
    """
    wanted = Instrument(context.check.instrument)
    watchers = (wanted, _ANSWERED_BY.get(wanted, wanted))
    watched = [
        run
        for run in context.runs
        if run.plan.variant == context.run.plan.variant and run.plan.instrument in watchers
    ]
    if not watched:
        return not_measurable(
            message("claims.not-watched", "not instrumented by {instrument}", instrument=wanted),
            "bytes",
        )
    named = [
        finding
        for run in watched
        for finding in run.findings
        if finding.sort in _PLACES and finding.sizes and _names(finding, context.check.names)
    ]
    if not named:
        text = message(
            "claims.no-such-finding",
            "0 B: none of {count:,} findings matches",
            count=sum(len(each.findings) for each in watched),
        )
        return exactly(0, "bytes", text)
    largest = max(named, key=lambda each: each.sizes[-1])
    text = message(
        "claims.largest-finding",
        "{size} from {place}",
        size=Amount(largest.sizes[-1]),
        place=next((str(each) for each in largest.stack if context.check.names in _line(each)), ""),
    )
    return exactly(largest.sizes[-1], "bytes", text)


def _names(finding: Finding, names: str) -> bool:
    return any(names in _line(frame) for frame in finding.stack)


def failed(context: MeasureContext) -> ClaimMeasurement:
    """Share of the requests of a soak that got no answer, or a wrong one.

    Cannot be told of what is no soak, or where no request was made.
    """
    load_summary = context.entry.load_summary
    if load_summary is None or not load_summary.requests:
        return not_measurable(
            message("claims.no-requests", "not a soak, or no request was made"), "share"
        )
    text = message(
        "claims.failed",
        "{share:.3g} %: {failed:,} of {requests:,} requests",
        share=100 * load_summary.failed / load_summary.requests,
        failed=load_summary.failed,
        requests=load_summary.requests,
    )
    return exactly(load_summary.failed / load_summary.requests, "share", text)
