"""The suspects of a run, from the findings of its instrumented runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from leakhunt.amounts import Rate
from leakhunt.analysis.attribution.clusters import Cluster, clusters, merged
from leakhunt.analysis.attribution.dominance import led_by_holder
from leakhunt.analysis.attribution.garbage import garbage_per_call, is_cycle, reported_cycles
from leakhunt.analysis.attribution.known_causes import causes_for
from leakhunt.analysis.attribution.shares import accounted, share_base
from leakhunt.analysis.attribution.suspects import suspect_of
from leakhunt.analysis.attribution.unexplained import possible_explanation
from leakhunt.analysis.verdict.after_gc import collected_points, remains
from leakhunt.analysis.verdict.effort import has_dear_calls
from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.analysis.verdict.ledger import ledger
from leakhunt.model.attribution import (
    Attribution,
    Cause,
    Finding,
    FindingKind,
    Instrument,
    LineGrowth,
    Suspect,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.libraries import FREE_THREADING
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import CUDA_ALLOCATED, LIVE_HEAP, PYTHON_BLOCKS, PYTHON_LIVE, RSS, Unit
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Message, Text, message

# What a descriptor or a thread that is left may hold by itself: buffers, a stack, its own heap.
_RESOURCE_HOLDS_BYTES = 4 << 20
# Another instrument is used when less than this part of the growth is explained.
EXPLAINED_SHARE = 0.8
# Suspects below this part of the growth are not worth a line; nor is what no page would show.
_MIN_SHARE = 0.01
_MIN_BYTES = 8.0
# From this part on, a growth that known bounded caches explain is reported as bounded.
_BOUNDED_SHARE = 0.8
# Beside those, so much that is not the same at every call may be chance.
_CHANCE_SHARE = 0.05
MAX_SUSPECTS = 8
# From here on the sentence says that the instrumented calls grew by more than the measured ones.
_TOO_MUCH = 1.1
# What is retained without growing is worth a word from here on.
_RETAINED_BYTES = 8 << 20

BLIND_TO = {
    Instrument.TRACEMALLOC: message(
        "attribution.blind-tracemalloc",
        "tracemalloc does not see torch's CPU tensors,"
        " nor anything else that native code allocates",
    ),
    Instrument.OBJGRAPH: message(
        "attribution.blind-objgraph",
        "objgraph counts objects, not bytes, and only objects that hold references (not bytes,"
        " str, numbers)",
    ),
    Instrument.MEMRAY: message(
        "attribution.blind-memray",
        "memray does not see calls that reach malloc by its address (ctypes)",
    ),
    Instrument.CUDA: message(
        "attribution.blind-cuda",
        "the CUDA history does not see the context, NCCL, or libraries with an"
        " allocator of their own",
    ),
    Instrument.RESOURCES: message(
        "attribution.blind-resources",
        "descriptors and threads opened by C code have no stack",
    ),
    Instrument.LINES: message(
        "attribution.blind-lines",
        "memory-profiler reads RSS, in whole pages: growth that reuses free pages is not visible",
    ),
    Instrument.GARBAGE: message(
        "attribution.blind-garbage",
        "the collector does not see cycles inside C and C++ objects (autograd graphs)",
    ),
}


def attribute(
    run: Run, verdict: Verdict, instrumented: Sequence[Run], *, has_filled: bool = False
) -> Attribution:
    """Whom the findings of `instrumented`, runs of the same plan under instruments, make suspect.

    Where the measured `run` does not grow, only cycles of garbage: what else an instrument finds
    then replaces something. `has_filled`: `run` is the part in which a cache filled that was level
    later.
    """
    # Of few calls it is not known what they grow by.
    mappings = has_dear_calls(run) or Kind.MAPPING_GROWTH in (verdict.kind, *verdict.also)
    causes = causes_for(run.environment)
    found = merged(
        [each for one in instrumented for each in clusters(one.findings, mappings, causes)]
    )
    garbage = garbage_per_call(instrumented)
    closed = list(reported_cycles(found, garbage))
    all_garbage = share_base(garbage, closed) if garbage is not None else None
    cycles = tuple(suspect_of(each, all_garbage, run.calls_done, causes) for each in closed)
    of_garbage = Attribution(
        suspects=cycles,
        growth=None,
        explained=None,
        bounded=False,
        ceiling_bytes=None,
        ceiling_calls=None,
        sentence=_of_garbage(cycles, garbage, run.plan.work),
        retained=_retained(run, verdict),
        blind_spots=_blind_spots(instrumented),
        instruments=_instruments(instrumented),
        lines=tuple(_lines(each for one in instrumented for each in one.findings)),
        garbage=garbage,
    )
    if not (is_growing(verdict) or has_dear_calls(run)):
        return of_garbage
    growth = growth_per_call(run, verdict)
    grown = [each for each in found if not is_cycle(each)]
    grown = led_by_holder(grown, [one.findings for one in instrumented], growth, causes)
    ranked = sorted(
        _without_lines([each for each in grown if _matters(each, growth)]),
        key=lambda cluster: _rank(cluster, verdict, growth),
    )
    whole = share_base(growth, ranked) if growth is not None else None
    suspects = [
        suspect_of(each, whole, run.calls_done, causes, has_filled=has_filled)
        for each in ranked[:MAX_SUSPECTS]
    ]
    total = accounted(ranked)
    attribution = replace(
        of_garbage,
        suspects=(*suspects, *cycles),
        growth=growth,
        explained=min(total, growth) if growth is not None else None,
        bounded=_is_bounded(suspects, growth),
        ceiling_bytes=sum(s.ceiling_bytes or 0.0 for s in suspects) or None,
        ceiling_calls=max((s.ceiling_calls or 0 for s in suspects), default=0) or None,
    )
    rest = (growth or 0.0) - (attribution.explained or 0.0)
    findings = [each for one in instrumented for each in one.findings]
    open_still = possible_explanation(
        rest, ranked, findings, attribution.instruments, mappings=mappings
    )
    sentence = _sentence(attribution, run.plan.work, total, open_still)
    return replace(attribution, sentence=sentence)


def _instruments(instrumented: Sequence[Run]) -> tuple[Instrument, ...]:
    return tuple(each.plan.instrument for each in instrumented if each.plan.instrument)


def _blind_spots(instrumented: Sequence[Run]) -> tuple[Text, ...]:
    """What the instruments cannot see, and what they said of themselves."""
    caveats = (
        each for one in instrumented for note in one.notes for each in note.get("caveats", ())
    )
    return (*(BLIND_TO[instrument] for instrument in _instruments(instrumented)), *caveats)


def _lines(findings: Iterable[Finding]) -> Iterator[LineGrowth]:
    """The lines of the variant's function in their order, averaged over the calls counted."""
    found = [each for each in findings if each.sort is FindingKind.LINE and each.stack]
    for each in sorted(found, key=lambda finding: finding.stack[0].line):
        calls = each.calls[-1] - each.calls[0]
        grown, runs = each.sizes[-1] - each.sizes[0], each.counts[-1] - each.counts[0]
        yield LineGrowth(each.stack[0], grown / calls, runs / calls)


def _retained(run: Run, verdict: Verdict) -> tuple[Cause, ...]:
    """The known causes of what is retained without growing."""
    shown = {str(kind) for kind in (verdict.kind, *verdict.also)}
    lines = breakdown.lines if (breakdown := ledger(run)) else ()
    shown |= {line.name for line in lines if line.size_bytes > _RETAINED_BYTES}
    start, end = run.reading("start"), run.reading("end")
    if start is not None and end is not None:
        huge = end.values.get("huge_pages", 0) - start.values.get("huge_pages", 0)
        shown |= {"huge_pages"} if huge > _RETAINED_BYTES else set()
    if FREE_THREADING in run.environment and Kind.GARBAGE in (verdict.kind, *verdict.also):
        shown.add("garbage of a free-threaded build")
    return tuple(cause for cause in causes_for(run.environment) if shown & set(cause.shows))


def is_growing(verdict: Verdict) -> bool:
    """Whether there is anything to attribute: a leak, or growth that is not decided yet."""
    return (
        verdict.status is Status.LEAK
        or rss_alone(verdict) is not None
        or any(trend.rises_undecided for trend in verdict.trends.values())
    )


def grows_visibly(run: Run, verdict: Verdict) -> bool:
    """Whether growth is worth another run: not where only few bytes of Python blocks are left.

    What is open then is whether it goes on, and not by how much.
    """
    if verdict.status is Status.LEAK or rss_alone(verdict) is not None:
        return True
    rising = {name for name, trend in verdict.trends.items() if trend.rises_undecided}
    remaining = remains(run, PYTHON_LIVE)
    if rising == {PYTHON_BLOCKS} and remaining is not None:
        return remaining.pieces[-1] > tolerance_of(LIVE_HEAP, Unit.BYTES, run.calls_per_sample)
    return bool(rising)


def rss_alone(verdict: Verdict) -> Trend | None:
    """RSS, where it rises and the process that was measured does not tell its live heap.

    Of itself it does grow for certain; what is not decided is whether that is in use.
    """
    trends = verdict.trends
    if LIVE_HEAP in trends or PYTHON_BLOCKS not in trends:
        return None
    rss = trends.get(RSS)
    if rss is None or verdict.status is not Status.INCONCLUSIVE:
        return None
    return rss if rss.status is Status.LEAK or rss.rises_undecided else None


def growth_per_call(run: Run, verdict: Verdict) -> float | None:
    """The bytes per call that stay, over all heaps; None where what grows is no memory.

    The live heap, the live bytes of pymalloc, CUDA's allocated bytes; RSS for mappings, and where
    the live heap cannot be read.
    """
    if has_dear_calls(run):
        return _growth_of_few_calls(run)
    total = 0.0
    for name in (LIVE_HEAP, CUDA_ALLOCATED):
        trend = verdict.trends.get(name)
        if trend is not None and trend.status is not Status.NO_LEAK:
            total += max(trend.rate or 0.0, 0.0)
    remaining = remains(run, PYTHON_LIVE)
    blocks = verdict.trends.get(PYTHON_BLOCKS)
    if remaining is not None and blocks is not None and blocks.status is not Status.NO_LEAK:
        total += max(remaining.rate, 0.0)
    if (alone := rss_alone(verdict)) is not None:
        total += max(alone.rate or 0.0, 0.0)
    if Kind.MAPPING_GROWTH in (verdict.kind, *verdict.also):
        total += max(verdict.trends[RSS].rate or 0.0, 0.0)
    least = tolerance_of(LIVE_HEAP, Unit.BYTES, run.calls_per_sample)
    return total if total > least else None


def _growth_of_few_calls(run: Run) -> float | None:
    """The bytes per call between the last two collections, of a run too short for a trend."""
    total = 0.0
    for name in (LIVE_HEAP, PYTHON_LIVE, CUDA_ALLOCATED):
        points = sorted(set(collected_points(run, name, first_sample=1)))
        if len(points) >= 2 and (calls := points[-1][0] - points[-2][0]) > 0:
            total += max((points[-1][1] - points[-2][1]) / calls, 0.0)
    return total if total > tolerance_of(LIVE_HEAP, Unit.BYTES, 1) else None


def is_explained(attribution: Attribution) -> bool:
    """Whether the suspects account for (nearly) all that grows; resources keep memory of theirs."""
    if not attribution.growing:
        return False
    if attribution.growth is None:
        return True
    explained = attribution.explained or 0.0
    if attribution.growing[0].bytes_per_call is None:
        return attribution.growth - explained <= _RESOURCE_HOLDS_BYTES
    return explained >= EXPLAINED_SHARE * attribution.growth


def _without_lines(found: Sequence[Cluster]) -> Sequence[Cluster]:
    """Lines by memory-profiler are RSS: no suspects where others know the blocks themselves."""
    others = [each for each in found if each.lead.sort is not FindingKind.LINE]
    return others or found


def _matters(cluster: Cluster, growth: float | None) -> bool:
    if cluster.lead.sort in (FindingKind.GRAPH, FindingKind.RESOURCE):
        return True
    return cluster.bytes_per_call >= max(_MIN_SHARE * (growth or 0.0), _MIN_BYTES)


def _is_exactly_all(cluster: Cluster, growth: float | None) -> bool:
    least, most = (share * (growth or 0.0) for share in (EXPLAINED_SHARE, 2 - EXPLAINED_SHARE))
    return cluster.retained.exact and 0 < least <= cluster.bytes_per_call <= most


def _rank(
    cluster: Cluster, verdict: Verdict, growth: float | None
) -> tuple[bool, bool, bool, float, bool]:
    """Resources first where they grow, and a graph before the blocks it keeps; then by bytes.

    What retains the same in every call, and is (nearly) all of the measured growth by itself, comes
    before sites of irregular counts: these may be caches that fill in the instrumented calls. Of
    equals (resources have no bytes) those first of which is known where they were opened.
    """
    resources = Kind.RESOURCE_GROWTH in (verdict.kind, *verdict.also)
    sort = cluster.lead.sort
    return (
        not (resources and sort is FindingKind.RESOURCE),
        sort is not FindingKind.GRAPH,
        not _is_exactly_all(cluster, growth),
        -cluster.bytes_per_call,
        not cluster.lead.stack,
    )


def _is_bounded(suspects: Sequence[Suspect], growth: float | None) -> bool:
    """Whether bounded caches explain (nearly) all, and nothing else stays of every call."""
    ends = [suspect for suspect in suspects if suspect.ceiling_bytes is not None]
    others = [suspect for suspect in suspects if suspect.ceiling_bytes is None]
    if not ends or growth is None or any(_stays(each, growth) for each in others):
        return False
    return sum(suspect.bytes_per_call or 0.0 for suspect in ends) >= _BOUNDED_SHARE * growth


def _stays(suspect: Suspect, growth: float) -> bool:
    """Whether a suspect without an end is more than what comes and goes while others watch."""
    return suspect.exact or (suspect.bytes_per_call or growth) > _CHANCE_SHARE * growth


def _of_garbage(cycles: Sequence[Suspect], garbage: float | None, work: Work) -> Text:
    """What there is to say where nothing grows."""
    if garbage is None:
        return message("attribution.no-growth", "No suspects: no growth.")
    if not cycles:
        return message(
            "attribution.no-cycles",
            "No growth. No recurring cycles of garbage found.",
        )
    return message(
        "attribution.garbage",
        "No growth. Cyclic garbage: {rate}; the suspects account for {share:.0%}. First: {first}.",
        rate=Rate(garbage, Unit.BYTES, work),
        share=min(sum(each.share or 0.0 for each in cycles), 1.0),
        first=cycles[0].title,
    )


def _sentence(found: Attribution, work: Work, total: float, possibly_is: Message) -> Text:
    """What the suspects account for; what nobody does comes first, if it is much.

    `total` is what the suspects come to in the calls under instruments.
    """
    grows = Rate(found.growth, Unit.BYTES, work) if found.growth is not None else None
    if not found.growing:
        if grows is None or not found.instruments:
            return message(
                "attribution.no-suspect",
                "Growth not attributed: none of the instruments used found what retains it.",
            )
        return message(
            "attribution.nothing-attributed",
            "Unattributed: all of {grows}, possibly {cause}. None of the instruments used found"
            " what retains it.",
            grows=grows,
            cause=possibly_is,
        )
    first = found.growing[0].title
    if found.growth is None or grows is None:
        return message("attribution.first-suspect", "First suspect: {first}.", first=first)
    explained = found.explained or 0.0
    share = explained / found.growth
    rest = Rate(found.growth - explained, Unit.BYTES, work)
    if share < EXPLAINED_SHARE and not is_explained(found):
        return message(
            "attribution.unexplained-first",
            "Unattributed: {rest} of {grows} ({part:.0%}), possibly {cause}. First suspect:"
            " {first}.",
            rest=rest,
            grows=grows,
            part=1 - share,
            cause=possibly_is,
            first=first,
        )
    return _explained(found, Rate(total, Unit.BYTES, work), grows, rest)


def _explained(found: Attribution, total: Rate, grows: Rate, rest: Rate) -> Text:
    """The sentence where (nearly) all is accounted for; `rest` is not."""
    first, growth = found.growing[0].title, found.growth or 0.0
    if total.value > _TOO_MUCH * growth:
        return message(
            "attribution.explained-too-much",
            "First suspect: {first}. The suspects account for all of {grows}; the instrumented"
            " calls grew by {found}.",
            first=first,
            grows=grows,
            found=total,
        )
    if (share := (found.explained or 0.0) / growth) < 1:
        return message(
            "attribution.explained-in-part",
            "First suspect: {first}. The suspects account for {share:.0%} of {grows}; {rest}"
            " unattributed.",
            first=first,
            share=share,
            grows=grows,
            rest=rest,
        )
    return message(
        "attribution.explained",
        "First suspect: {first}. The suspects account for {share:.0%} of {grows}.",
        first=first,
        share=1.0,
        grows=grows,
    )
