"""The suspects of a run, from the findings of its instrumented runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.attribution.clusters import Cluster, clusters, merged
from leakhunt.analysis.attribution.known_causes import catalogue, title_of
from leakhunt.analysis.attribution.suspects import suspect_of
from leakhunt.analysis.verdict.after_gc import remains
from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.analysis.verdict.ledger import ledger
from leakhunt.model.attribution import (
    Attribution,
    Cause,
    Ceiling,
    Finding,
    FindingKind,
    Instrument,
    LineGrowth,
    Suspect,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import CUDA_ALLOCATED, LIVE_HEAP, PYTHON_BLOCKS, PYTHON_LIVE, RSS, Unit
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Message, Text, joined, message, sentences

# What a descriptor or a thread that is left may hold by itself: buffers, a stack, its own heap.
_RESOURCE_HOLDS_BYTES = 4 << 20
# Another instrument is used when less than this part of the growth is explained.
EXPLAINED_SHARE = 0.8
# Suspects below this part of the growth are not worth a line; nor is what no page would show.
_LEAST_SHARE = 0.01
_LEAST_BYTES = 8.0
# From this part on, a growth that known bounded caches explain is reported as bounded.
_BOUNDED_SHARE = 0.8
MOST_SUSPECTS = 8
# From here on the sentence says that the suspects come to more than the growth.
_TOO_MUCH = 1.25
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
}

_MEASURED = message("attribution.ceiling-measured", "verified by a run past the ceiling")
_PROJECTED = message("attribution.ceiling-projected", "projected from the number of entries")


def attribute(run: Run, verdict: Verdict, instrumented: Sequence[Run]) -> Attribution:
    """Whom the findings of `instrumented`, runs of the same plan under instruments, make suspect.

    No suspects where the measured `run` does not grow: what an instrument finds then only replaces
    something else.
    """
    instruments = tuple(each.plan.instrument for each in instrumented if each.plan.instrument)
    caveats = (
        each for one in instrumented for note in one.notes for each in note.get("caveats", ())
    )
    blind_spots = (*(BLIND_TO[instrument] for instrument in instruments), *caveats)
    lines = tuple(_lines(each for one in instrumented for each in one.findings))
    growth = growth_per_call(run, verdict)
    if not is_growing(verdict):
        return Attribution(
            suspects=(),
            growth=None,
            explained=None,
            bounded=False,
            ceiling_bytes=None,
            ceiling_calls=None,
            sentence=message("attribution.no-growth", "No suspects: no growth."),
            retained=_retained(run, verdict),
            blind_spots=blind_spots,
            instruments=instruments,
            lines=lines,
        )
    mappings = Kind.MAPPING_GROWTH in (verdict.kind, *verdict.also)
    found = merged([each for one in instrumented for each in clusters(one.findings, mappings)])
    ranked = sorted(
        (each for each in _without_lines(found) if _matters(each, growth)),
        key=lambda cluster: _rank(cluster, verdict),
    )
    suspects = [suspect_of(each, growth, run.calls_done) for each in ranked[:MOST_SUSPECTS]]
    explained = sum(suspect.bytes_per_call or 0.0 for suspect in suspects)
    attribution = Attribution(
        suspects=tuple(suspects),
        growth=growth,
        explained=explained if growth is not None else None,
        bounded=_is_bounded(suspects, growth),
        ceiling_bytes=sum(s.ceiling_bytes or 0.0 for s in suspects) or None,
        ceiling_calls=max((s.ceiling_calls or 0 for s in suspects), default=0) or None,
        sentence="",
        retained=_retained(run, verdict),
        blind_spots=blind_spots,
        instruments=instruments,
        lines=lines,
    )
    return replace(attribution, sentence=_sentence(attribution, run.plan.work))


def _lines(findings: Iterable[Finding]) -> Iterator[LineGrowth]:
    """The lines of the variant's function in their order, averaged over the calls counted."""
    found = [each for each in findings if each.sort is FindingKind.LINE and each.stack]
    for each in sorted(found, key=lambda finding: finding.stack[0].line):
        calls = each.calls[-1] - each.calls[0]
        grown, runs = each.sizes[-1] - each.sizes[0], each.counts[-1] - each.counts[0]
        yield LineGrowth(each.stack[0], grown / calls, runs / calls)


def bounded(verdict: Verdict, attribution: Attribution, past: Ceiling | None) -> Verdict:
    """The verdict on a run whose growth is that of caches that end: no leak, but a ceiling.

    A run `past` the ceiling decides, if there is one. Without, memory must suffice for it.
    """
    size, calls = attribution.ceiling_bytes, attribution.ceiling_calls
    if size is None or calls is None:
        return verdict
    if past is not None and not past.is_level:
        return verdict
    if past is None and (not attribution.bounded or _ends_before(verdict, calls)):
        return verdict
    ceiling_reached = message(
        "attribution.bounded",
        "Bounded cache, ceiling about {size} after about {ceiling_calls:,} calls ({known}):"
        " {names}",
        size=Amount(past.found_bytes if past else size),
        ceiling_calls=calls,
        known=_MEASURED if past else _PROJECTED,
        names=joined(_causes(attribution.suspects), " and ", ""),
    )
    until_then = message(
        "attribution.until-bounded",
        "Until then live memory grows by {grows}",
        grows=Rate(attribution.growth or 0.0),
    )
    return replace(
        verdict,
        status=Status.NO_LEAK,
        kind=Kind.BOUNDED_CACHE,
        also=tuple(kind for kind in verdict.also if not kind.is_leak),
        sentence=sentences([ceiling_reached, until_then]),
    )


def _ends_before(verdict: Verdict, calls: int) -> bool:
    """Whether the memory is used up before so many calls."""
    return verdict.forecast is not None and verdict.forecast.comes_within(calls)


def _causes(suspects: Sequence[Suspect]) -> list[Message]:
    """The names of the known causes of these, each once."""
    return list(dict.fromkeys(title_of(suspect.cause) for suspect in suspects if suspect.cause))


def _retained(run: Run, verdict: Verdict) -> tuple[Cause, ...]:
    """The known causes of what is retained without growing."""
    shown = {str(kind) for kind in (verdict.kind, *verdict.also)}
    lines = breakdown.lines if (breakdown := ledger(run)) else ()
    shown |= {line.name for line in lines if line.size_bytes > _RETAINED_BYTES}
    start, end = run.reading("start"), run.reading("end")
    if start is not None and end is not None:
        huge = end.values.get("huge_pages", 0) - start.values.get("huge_pages", 0)
        shown |= {"huge_pages"} if huge > _RETAINED_BYTES else set()
    return tuple(cause for cause in catalogue() if shown & set(cause.shows))


def is_growing(verdict: Verdict) -> bool:
    """Whether there is anything to attribute: a leak, or growth that is not decided yet."""
    return verdict.status is Status.LEAK or any(
        trend.rises_undecided for trend in verdict.trends.values()
    )


def rss_alone(verdict: Verdict) -> Trend | None:
    """RSS, where it rises and the process that was measured does not tell its live heap."""
    if LIVE_HEAP in verdict.trends or PYTHON_BLOCKS not in verdict.trends:
        return None
    rss = verdict.trends.get(RSS)
    return rss if rss is not None and rss.rises_undecided else None


def growth_per_call(run: Run, verdict: Verdict) -> float | None:
    """The bytes per call that stay, over all heaps; None where what grows is no memory.

    The live heap, the live bytes of pymalloc, CUDA's allocated bytes; RSS for mappings, and where
    the live heap cannot be read.
    """
    total = 0.0
    for name in (LIVE_HEAP, CUDA_ALLOCATED):
        trend = verdict.trends.get(name)
        if trend is not None and trend.status is not Status.NO_LEAK:
            total += max(trend.rate or 0.0, 0.0)
    left = remains(run, PYTHON_LIVE)
    blocks = verdict.trends.get(PYTHON_BLOCKS)
    if left is not None and blocks is not None and blocks.status is not Status.NO_LEAK:
        total += max(left.rate, 0.0)
    if (alone := rss_alone(verdict)) is not None:
        total += max(alone.rate or 0.0, 0.0)
    if Kind.MAPPING_GROWTH in (verdict.kind, *verdict.also):
        total += max(verdict.trends[RSS].rate or 0.0, 0.0)
    least = tolerance_of(LIVE_HEAP, Unit.BYTES, run.calls_per_sample)
    return total if total > least else None


def is_explained(attribution: Attribution) -> bool:
    """Whether the suspects account for (nearly) all that grows; resources keep memory of theirs."""
    if not attribution.suspects:
        return False
    if attribution.growth is None:
        return True
    explained = attribution.explained or 0.0
    if attribution.suspects[0].bytes_per_call is None:
        return attribution.growth - explained <= _RESOURCE_HOLDS_BYTES
    return explained >= EXPLAINED_SHARE * attribution.growth


def _without_lines(found: Sequence[Cluster]) -> Sequence[Cluster]:
    """Lines by memory-profiler are RSS: no suspects where others know the blocks themselves."""
    others = [each for each in found if each.lead.sort is not FindingKind.LINE]
    return others or found


def _matters(cluster: Cluster, growth: float | None) -> bool:
    if cluster.lead.sort in (FindingKind.GRAPH, FindingKind.RESOURCE):
        return True
    return cluster.bytes_per_call >= max(_LEAST_SHARE * (growth or 0.0), _LEAST_BYTES)


def _rank(cluster: Cluster, verdict: Verdict) -> tuple[bool, bool, float, bool]:
    """Resources first where they grow, and a graph before the blocks it keeps; then by bytes.

    Of equals (resources have no bytes) those first of which is known where they were opened.
    """
    resources = Kind.RESOURCE_GROWTH in (verdict.kind, *verdict.also)
    sort = cluster.lead.sort
    return (
        not (resources and sort is FindingKind.RESOURCE),
        sort is not FindingKind.GRAPH,
        -cluster.bytes_per_call,
        not cluster.lead.stack,
    )


def _is_bounded(suspects: Sequence[Suspect], growth: float | None) -> bool:
    """Whether bounded caches explain (nearly) all, and nothing else is suspect."""
    ends = [suspect for suspect in suspects if suspect.ceiling_bytes is not None]
    others = [suspect for suspect in suspects if suspect.ceiling_bytes is None]
    if not ends or others or growth is None:
        return False
    return sum(suspect.bytes_per_call or 0.0 for suspect in ends) >= _BOUNDED_SHARE * growth


def _sentence(found: Attribution, work: Work) -> Text:
    if not found.suspects:
        return message(
            "attribution.no-suspect",
            "Growth not attributed: none of the instruments used found what retains it.",
        )
    first = found.suspects[0].title
    if found.growth is None:
        return message("attribution.first-suspect", "First suspect: {first}.", first=first)
    explained = found.explained or 0.0
    share = explained / found.growth
    grows = Rate(found.growth, Unit.BYTES, work)
    if share > _TOO_MUCH:
        return message(
            "attribution.explained-too-much",
            "First suspect: {first}. The suspects account for {share:.0%} of {grows} (found"
            " {found:.0%}: the instrumented calls grew by more).",
            first=first,
            share=1.0,
            grows=grows,
            found=share,
        )
    if share < 1:
        return message(
            "attribution.explained-in-part",
            "First suspect: {first}. The suspects account for {share:.0%} of {grows}; {rest}"
            " unattributed.",
            first=first,
            share=share,
            grows=grows,
            rest=Rate(found.growth - explained, Unit.BYTES, work),
        )
    return message(
        "attribution.explained",
        "First suspect: {first}. The suspects account for {share:.0%} of {grows}.",
        first=first,
        share=1.0,
        grows=grows,
    )
